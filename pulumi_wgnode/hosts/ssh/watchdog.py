"""Ends waits that have no limit of their own, as paramiko's for the answer to an exec and for an exit status."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable


class Watchdog:
    """Calls `end` when a limit that was set has passed; it must wake whoever waits. `late` says which limit it was."""

    def __init__(self, end: Callable[[], object]) -> None:
        self._end = end
        self._timer: threading.Timer | None = None
        self._lock = threading.Lock()
        self._done = False
        self.late = ""

    def limit(self, seconds: float, name: str) -> None:
        """From now on, instead of the former limit."""
        with self._lock:
            if self._timer is not None:
                self._timer.cancel()
            if self._done or self.late:
                return
            self._timer = threading.Timer(seconds, self._expire, (name,))
            self._timer.daemon = True
            self._timer.start()

    def _expire(self, name: str) -> None:
        with self._lock:
            if self._done or threading.current_thread() is not self._timer:
                return
            self.late = name
        with contextlib.suppress(Exception):  # of a connection that ends at the same moment
            self._end()

    def __enter__(self) -> Watchdog:
        return self

    def __exit__(self, *raised: object) -> None:
        with self._lock:
            self._done = True
            if self._timer is not None:
                self._timer.cancel()
