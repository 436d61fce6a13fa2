"""The gateway's log: lines on the serial console at once, and over the control channel as soon as that is there."""

from __future__ import annotations

import os
import select
import time
from collections import deque
from collections.abc import Callable

KEPT = 500
"""Lines that wait for the host."""

CONSOLE_PATIENCE = 0.2
"""Seconds, once: a console that was not read for so long is not waited for again until it takes a line."""

Sink = Callable[[str, str], bool]
"""Gets level and text; False when the line could not be handed on."""


class Log:
    """Lines are "info", "warning" or "error", with seconds of `now` on the console. Nothing secret is ever logged."""

    def __init__(self, console: int = 1, now: Callable[[], float] = time.monotonic) -> None:
        os.set_blocking(console, False)  # whoever reads the machine's console may stop doing so; the node must not
        self.console, self.now = console, now
        self._unseen = 0
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
        self._show(f"wgnode {self.now():9.3f} {mark}{text}\n")
        self._waiting.append((level, text))
        self.drain()

    def _show(self, line: str) -> None:
        """What a console that nobody reads does not take in time is left out, and counted once it is read again."""
        left_out = f"wgnode: {self._unseen} lines are missing here\n" if self._unseen else ""
        rest = (left_out + line).encode(errors="replace")
        while rest:
            try:
                rest = rest[os.write(self.console, rest) :]
            except BlockingIOError:
                if self._unseen or not _writable(self.console):
                    self._unseen += 1
                    return
        self._unseen = 0


def _writable(descriptor: int) -> bool:
    """Whether it takes more within CONSOLE_PATIENCE: a serial line has a buffer of 4 KiB, and is only slow."""
    poll = select.poll()
    poll.register(descriptor, select.POLLOUT)
    return bool(poll.poll(CONSOLE_PATIENCE * 1000))
