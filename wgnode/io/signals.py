"""Signals as callbacks of the loop.

Python runs a signal's handler between two bytecodes. One that comes after the last of them and before the kernel waits
is seen when the kernel's waiting ends: at the next packet or timer, which may be an hour away. So what the signal wakes
is a descriptor (signal.set_wakeup_fd), written at once and in whichever thread, which the loop reads.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterable

from wgnode.io.loop import Loop

NUMBERS = 4096
"""Bytes, of which each is a signal's number."""


class Signals:
    """Calls back with the number of each of these signals that comes: from the loop, never in the midst of other work.

    One for a process, and in its main thread (ValueError elsewhere). From `close` on all is as it was before.
    """

    def __init__(self, loop: Loop, numbers: Iterable[int], callback: Callable[[int], None]) -> None:
        self._loop, self._callback = loop, callback
        self._read, self._write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._before = signal.set_wakeup_fd(self._write, warn_on_full_buffer=False)
        self._handlers = {number: signal.signal(number, _wake) for number in numbers}
        loop.add_reader(self._read, self._woken)

    def close(self) -> None:
        self._loop.remove_reader(self._read)
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._before)
        os.close(self._read)
        os.close(self._write)

    def _woken(self) -> None:
        for number in os.read(self._read, NUMBERS):
            if number in self._handlers:
                self._callback(number)


def _wake(number: int, frame: object) -> None:
    """Python has written to the descriptor before it comes here; without a handler it would not."""
