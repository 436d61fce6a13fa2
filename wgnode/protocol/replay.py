"""The window of transport counters that were accepted (wp 5.4.6; the ring of RFC 6479)."""

from __future__ import annotations

from wgnode.protocol.constants import REJECT_AFTER_MESSAGES

_WORD_BITS = 64
_WORDS = 128
WINDOW = (_WORDS - 1) * _WORD_BITS
"""8128 counters behind the newest: one word of the ring is always being refilled."""


class ReplayFilter:
    """Ask only after the packet authenticated: a forged counter must not move the window."""

    __slots__ = ("_newest", "_ring")

    def __init__(self) -> None:
        self._newest = -1
        self._ring = [0] * _WORDS

    def accept(self, counter: int) -> bool:
        """True, once, for a counter that is new and not behind the window; it is marked as seen."""
        if counter >= REJECT_AFTER_MESSAGES:
            return False
        word = counter >> 6
        newest = self._newest
        if counter > newest:
            self._advance(word - (newest >> 6), word)
            self._newest = counter
        elif counter < newest - WINDOW:
            return False
        bit = 1 << (counter & 63)
        slot = word & 127
        seen = self._ring[slot]
        self._ring[slot] = seen | bit
        return not seen & bit

    def _advance(self, distance: int, word: int) -> None:
        """Clear the words between the newest counter's and `word`, the latter included."""
        if distance == 0:
            return
        for clear in range(word - min(distance, _WORDS) + 1, word + 1):
            self._ring[clear & 127] = 0
