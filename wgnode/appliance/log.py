"""The gateway's log: lines on the serial console at once, and over the control channel as soon as that is there."""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable

KEPT = 500
"""Lines that wait for the host."""

Sink = Callable[[str, str], bool]
"""Gets level and text; False when the line could not be handed on."""


class Log:
    """Lines are "info", "warning" or "error". Nothing secret is ever logged."""

    def __init__(self, console: int = 1) -> None:
        self.console = console
        self.sink: Sink | None = None
        self._waiting: deque[tuple[str, str]] = deque(maxlen=KEPT)

    def info(self, text: str) -> None:
        self._line("info", text)

    def warning(self, text: str) -> None:
        self._line("warning", text)

    def error(self, text: str) -> None:
        self._line("error", text)

    def drain(self) -> None:
        """Hand on what waits, oldest first."""
        while self._waiting and self.sink is not None and self.sink(*self._waiting[0]):
            self._waiting.popleft()

    def _line(self, level: str, text: str) -> None:
        mark = "" if level == "info" else f"{level}: "
        stamp = time.clock_gettime(time.CLOCK_BOOTTIME)
        os.write(self.console, f"wgnode {stamp:9.3f} {mark}{text}\n".encode(errors="replace"))
        self._waiting.append((level, text))
        self.drain()
