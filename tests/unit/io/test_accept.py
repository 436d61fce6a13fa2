"""Without descriptors a loop waits instead of spinning, and serves whoever waited once there are some again."""

import errno
import socket
from pathlib import Path

import pytest

from wgnode.io import accept
from wgnode.io.accept import Acceptor
from wgnode.io.loop import Loop


class Exhausted:
    """A listening socket of a process that has no descriptors left."""

    def __init__(self, listener: socket.socket, number: int) -> None:
        self.listener, self.number, self.tried = listener, number, 0

    def fileno(self) -> int:
        return self.listener.fileno()

    def accept(self) -> tuple[socket.socket, object]:
        self.tried += 1
        if self.number:
            raise OSError(self.number, "")
        return self.listener.accept()


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM])
def test_exhausted_is_tried_again_later_and_not_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    monkeypatch.setattr(accept, "RETRY", 0.2)
    loop, served = Loop(), list[socket.socket]()
    with socket.socket(socket.AF_UNIX) as listener, socket.socket(socket.AF_UNIX) as client:
        listener.bind(str(tmp_path / "s"))
        listener.listen()
        client.connect(str(tmp_path / "s"))
        exhausted = Exhausted(listener, number)
        acceptor = Acceptor(loop, exhausted, served.append)  # type: ignore[arg-type]
        for _ in range(20):
            loop.run_once(0)
        assert exhausted.tried == 1
        exhausted.number = 0
        while not served:
            loop.run_once(1.0)
        assert exhausted.tried == 2
        served[0].close()
        exhausted.number = number
        acceptor.close()
        loop.run_once(0)
        assert exhausted.tried == 2
    loop.close()


def test_a_client_that_has_left_again_costs_nobody_else_a_second(tmp_path: Path) -> None:
    loop, served = Loop(), list[socket.socket]()
    with socket.socket(socket.AF_UNIX) as listener, socket.socket(socket.AF_UNIX) as client:
        listener.bind(str(tmp_path / "s"))
        listener.listen()
        client.connect(str(tmp_path / "s"))
        aborted = Exhausted(listener, errno.ECONNABORTED)
        Acceptor(loop, aborted, served.append)  # type: ignore[arg-type]
        loop.run_once(0)
        aborted.number = 0
        loop.run_once(0)
        assert len(served) == 1
        served[0].close()
    loop.close()
