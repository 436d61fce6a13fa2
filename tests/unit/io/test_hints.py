"""A flood of what others say is heard at a bounded rate, and of one port only."""

from __future__ import annotations

import os
import socket

from wgnode.io.hints import AT_ONCE, PAUSE, Hints
from wgnode.io.loop import Loop
from wgnode.pathmtu.said import Said
from wgnode.platform.linux.sockets import Options

SAID = Said("192.0.2.2", 4000, 1280, 1428, 7, 99)


class Flood(Options):
    """Something waits always; `opened` are the ports that were listened to and are so still."""

    def __init__(self, *, able: bool = True) -> None:
        self.able, self.opened, self.reads = able, list[int](), 0
        self._near, self._far = socket.socketpair()
        self._far.send(b"a")

    def too_bigs(self, port: int) -> Flood:  # type: ignore[override]
        if not self.able:
            raise PermissionError(1, "no CAP_NET_RAW")
        self.opened.append(port)
        return self

    @property
    def fds(self) -> list[int]:
        return [self._near.fileno()]

    def read(self, most: int) -> tuple[list[Said], bool]:
        self.reads += 1
        return [SAID] * most, True

    def close(self) -> None:
        self.opened.pop()


def test_after_a_few_of_a_flood_there_is_a_rest() -> None:
    now = [100.0]
    loop, flood, heard = Loop(lambda: now[0]), Flood(), list[Said]()
    hints = Hints(loop, flood, heard.extend)
    hints.listen(51820)
    for step in range(100):
        now[0] = 100.0 + step / 100
        loop.run_once(0)
    assert flood.reads == 1 / PAUSE
    assert len(heard) == flood.reads * AT_ONCE
    hints.close()
    loop.run_once(0)
    assert (flood.opened, flood.reads) == ([], 1 / PAUSE)
    loop.close()


def test_another_port_is_listened_to_in_place_of_the_former() -> None:
    loop, flood = Loop(), Flood()
    hints = Hints(loop, flood, lambda said: None)
    hints.listen(51820)
    hints.listen(51821)
    assert flood.opened == [51821]
    hints.close()
    loop.close()


def test_where_the_process_may_not_nothing_is_heard() -> None:
    loop = Loop()
    for options in (None, Flood(able=False)):
        hints = Hints(loop, options, lambda said: None)
        hints.listen(51820)
        loop.run_once(0)
        hints.close()
    loop.close()


def test_without_the_right_to_it_the_platform_says_so() -> None:
    if os.geteuid() == 0:
        heard = Options().too_bigs(51820)
        assert heard.read(8) == ([], False)
        assert len(heard.fds) >= 1
        heard.close()
