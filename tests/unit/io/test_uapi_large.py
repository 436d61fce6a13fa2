"""UAPI requests near the limit, as `wgnode device` takes them: an error at most, and the device goes on serving."""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from wgnode.dataplane.plain import PlainPlane
from wgnode.io.loop import Loop
from wgnode.io.node import new_device
from wgnode.io.uapi import LONGEST_REASON, handle
from wgnode.io.uapi_socket import LARGEST_REQUEST, UapiListener

GET, DONE = b"get=1\n\n", b"errno=0\n\n"
TOO_LARGE, INVALID, NO_LINE = (b"errno=-%d\n\n" % number for number in (errno.EMSGSIZE, errno.EINVAL, errno.EPROTO))
LONGEST_LINE = 4000
BEGIN, END, MARK = b"set=1\n", b"\n\n", b"fwmark="


def marks(size: int) -> bytes:
    """A request of `size` bytes that sets nothing but the mark 0, often and with many digits."""
    room = size - len(BEGIN) - 1
    lengths = [LONGEST_LINE] * (room // LONGEST_LINE - 1)
    rest = room - sum(lengths)
    lines = (MARK + b"0" * (length - len(MARK) - 1) for length in (*lengths, rest // 2, rest - rest // 2))
    return BEGIN + b"\n".join(lines) + END


def filled(begin: bytes, end: bytes, size: int) -> bytes:
    """A request of `size` bytes, most of which are one word."""
    return BEGIN + begin + b"1" * (size - len(BEGIN + begin + end + END)) + end + END


class Served:
    """A listener over a device, as `wgnode device` and the shell put them together."""

    def __init__(self, directory: Path) -> None:
        self.loop, self.device, self.log = Loop(), new_device(PlainPlane()), list[str]()
        self.listener = UapiListener(
            self.loop, "wg0", lambda text, reply: reply(handle(self.device, text, 0.0, log=self.log.append)),
            directory=directory,
        )  # fmt: skip

    def client(self) -> socket.socket:
        made = socket.socket(socket.AF_UNIX)
        made.connect(str(self.listener.path))
        made.setblocking(False)
        return made

    def ask(self, client: socket.socket, request: bytes) -> bytes:
        """The answer; b"" where the connection was ended instead."""
        left = memoryview(request)
        while True:
            try:
                left = left[client.send(left) :] if left else left
            except BlockingIOError:
                pass
            except OSError:
                return b""
            self.loop.run_once(0)
            if not left:
                try:
                    return client.recv(1 << 16)
                except BlockingIOError:
                    continue


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    made = Served(tmp_path)
    yield made
    made.listener.close()
    made.loop.close()


@pytest.mark.parametrize(
    ("size", "answer"),
    [
        (LARGEST_REQUEST - 1, DONE),
        (LARGEST_REQUEST, DONE),
        (LARGEST_REQUEST + 1, TOO_LARGE),
        (LARGEST_REQUEST + 65_536, TOO_LARGE),
        (2 * LARGEST_REQUEST, b""),
    ],
)
def test_a_request_up_to_the_limit_is_done_and_one_beyond_is_refused(served: Served, size: int, answer: bytes) -> None:
    with served.client() as client, served.client() as other:
        assert served.ask(client, marks(size)) == answer
        if answer:
            assert served.ask(client, GET) == DONE
        assert served.ask(other, BEGIN + b"listen_port=7\n\n") == DONE
        assert served.ask(other, GET) == b"listen_port=7\n" + DONE


@pytest.mark.parametrize("size", [LARGEST_REQUEST - 1, LARGEST_REQUEST, LARGEST_REQUEST + 1])
@pytest.mark.parametrize(
    ("begin", "end", "answer"),
    [
        (b"", b"", NO_LINE),
        (b"", b"=1", INVALID),
        (b"fwmark=", b"", INVALID),
        (b"private_key=", b"", INVALID),
        (b"public_key=" + b"12" * 32 + b"\nendpoint=192.0.2.1:", b"", INVALID),
        (b"public_key=" + b"12" * 32 + b"\nallowed_ip=192.0.2.0/", b"", INVALID),
    ],
)
def test_one_word_of_16_mib_is_an_error_that_is_told_in_short(
    served: Served, begin: bytes, end: bytes, answer: bytes, size: int
) -> None:
    with served.client() as client:
        assert served.ask(client, filled(begin, end, size)) == (answer if size <= LARGEST_REQUEST else TOO_LARGE)
        assert served.ask(client, BEGIN + b"replace_peers=true\n\n") == DONE
        assert served.ask(client, GET) == DONE
    assert all(len(line) <= LONGEST_REASON + len("refused: …") for line in served.log)
