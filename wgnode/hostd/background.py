"""What may block, on a thread of its own: a disk that is slow, a journal that does not read."""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Callable

Work = Callable[[], None]
LONGEST_END = 2.0
"""Seconds that the end waits for what was begun."""


class Background:
    """Works in order. What waits is bounded: beyond `most` it is left out, and `do` says so."""

    def __init__(self, most: int = 1000) -> None:
        self._work: queue.Queue[Work | None] = queue.Queue(most)
        self._thread = threading.Thread(target=self._run, name="background", daemon=True)
        self._thread.start()

    def do(self, work: Work) -> bool:
        """False for work that is left out, because too much waits. It handles its own errors."""
        try:
            self._work.put_nowait(work)
        except queue.Full:
            return False
        return True

    def close(self) -> None:
        """Wait for what was given, as long as an end may take."""
        with contextlib.suppress(queue.Full):
            self._work.put(None, timeout=LONGEST_END)
            self._thread.join(LONGEST_END)

    def _run(self) -> None:
        while (work := self._work.get()) is not None:
            work()
