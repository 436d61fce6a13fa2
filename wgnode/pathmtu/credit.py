"""What probing may cost, in wire bytes: some sizes' worth to find it, a share of the peer's own traffic to keep it."""

from __future__ import annotations

CONVERGENCE = 40
"""Sizes' worth of bytes that one convergence may cost."""
SMALLEST_FOUND = 576
"""A convergence that finds less may cost as much as one that finds this (RFC 791 section 3.1)."""
SHARE = 0.01
"""Of what is sent to the peer."""

ROUTINE = 6
SUSPECTED = 4
"""Sizes' worth that must be left before a value is confirmed as a matter of routine, or on a suspicion: the rest pays
for finding out what is wrong when the first probe is lost."""
MOST = 24
"""Sizes' worth that can be saved up."""


class Credit:
    """One account. What a convergence has not used remains, traffic adds to it.

    Only the batch that finds out what a lost size falls to may be owed: it can't wait for traffic that passes no more.
    """

    def __init__(self) -> None:
        self._converged = 0.0
        self._left = 0.0
        self.spent = 0
        """In all, ever."""
        self.convergences = 0

    def begin(self) -> None:
        """A convergence begins: its allowance is for it alone, whatever was saved before."""
        self._converged = 0.0
        self.convergences += 1

    def allows(self, cost: int, found: int) -> bool:
        """May a convergence that has found so much spend this as well?"""
        return self._converged + cost <= CONVERGENCE * max(found, SMALLEST_FOUND)

    def converge(self, cost: int) -> None:
        self._converged += cost
        self.spent += cost

    def settle(self, found: int) -> None:
        """A convergence ends."""
        found = max(found, SMALLEST_FOUND)
        self._left = min(MOST * found, max(0.0, CONVERGENCE * found - self._converged))

    def earn(self, sent: int, size: int) -> None:
        """So many bytes were sent to the peer."""
        self._left = max(self._left, min(MOST * size, self._left + SHARE * sent))

    def left(self, cost: int) -> bool:
        return self._left >= cost

    def keep(self, cost: int) -> None:
        """Spend for keeping a value; `left` said yes."""
        self._left -= cost
        self.spent += cost
