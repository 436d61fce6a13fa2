"""What others say about datagrams that were too long, for whoever searches ways. A flood of it costs little."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

from wgnode.io.loop import Loop, Timer
from wgnode.pathmtu.said import Said
from wgnode.platform import SocketOptions, TooBigs

AT_ONCE, PAUSE = 8, 0.1
"""Of each family, and seconds of rest after as many."""


class Hints:
    """Hears about datagrams of one port, from `listen` to `close`; where the process may not, nothing is heard."""

    def __init__(self, loop: Loop, options: SocketOptions | None, on_said: Callable[[list[Said]], None]) -> None:
        self._loop, self._options, self._on_said = loop, options, on_said
        self._heard: TooBigs | None = None
        self._resting: Timer | None = None

    def listen(self, port: int) -> None:
        """To what is said about this port's, and no other's any more."""
        self.close()
        if self._options is None:
            return
        with contextlib.suppress(OSError):
            self._heard = self._options.too_bigs(port)
        self._watch()

    def close(self) -> None:
        heard, self._heard = self._heard, None
        if heard is None:
            return
        if self._resting is None:
            self._unwatch(heard)
        else:
            self._resting.cancel()
            self._resting = None
        heard.close()

    def _watch(self) -> None:
        self._resting = None
        for fd in () if self._heard is None else self._heard.fds:
            self._loop.add_reader(fd, self._readable)

    def _unwatch(self, heard: TooBigs) -> None:
        for fd in heard.fds:
            self._loop.remove_reader(fd)

    def _readable(self) -> None:
        heard = self._heard
        if heard is None or self._resting is not None:
            return
        said, full = heard.read(AT_ONCE)
        if full:
            self._unwatch(heard)
            self._resting = self._loop.call_later(PAUSE, self._watch)
        if said:
            self._on_said(said)
