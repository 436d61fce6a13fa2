"""Long work in steps, so that whoever does it may do other things between them.

Work is a generator. It yields before each of its steps (a line of a request, a peer of an answer): True where it may
rest, False where what it has begun should take effect as one.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import TypeVar

Result = TypeVar("Result")
Work = Generator[bool, None, Result]


def at_once(work: Work[Result]) -> Result:
    """All of it, for who has nothing else to do."""
    while True:
        try:
            next(work)
        except StopIteration as finished:
            return finished.value  # type: ignore[no-any-return]
