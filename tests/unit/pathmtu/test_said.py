"""What is believed of somebody who says that a datagram was too long: only who has seen it can cite it."""

from __future__ import annotations

import ctypes
import socket
import struct
from dataclasses import dataclass
from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wgnode.pathmtu.probe import ip_header
from wgnode.pathmtu.said import Said, read4, read6
from wgnode.platform.linux.icmp import filter4, filter6
from wgnode.platform.linux.send_only import SO_ATTACH_FILTER

PORT = 51820


@dataclass(frozen=True)
class Cited:
    """A datagram of ours with a message of 1,400 bytes, and who it was for."""

    version: int
    ours: int = PORT
    kind: int = 4
    protocol: int = 17
    size: int = 1280
    bytes_of_message: int = 16

    def icmp(self) -> bytes:
        """The message alone."""
        one, two = (ip_address({4: f"192.0.2.{n}", 6: f"2001:db8::{n}"}[self.version]).packed for n in (1, 2))
        message = self.kind.to_bytes(4, "little") + (7).to_bytes(4, "little") + (99).to_bytes(8, "little")
        udp = self.ours.to_bytes(2, "big") + (4000).to_bytes(2, "big") + (1408).to_bytes(2, "big") + bytes(2)
        quoted = ip_header(one, two, self.protocol, 1408) + udp + message[: self.bytes_of_message]
        return {4: b"\3\4\0\0\0\0" + self.size.to_bytes(2, "big"), 6: b"\2\0\0\0" + self.size.to_bytes(4, "big")}[
            self.version
        ] + quoted

    def heard(self) -> bytes:
        """As a raw socket gives it."""
        message = self.icmp()
        return ip_header(bytes(4), bytes(4), 1, len(message)) + message if self.version == 4 else message

    def read(self) -> Said | None:
        return (read4 if self.version == 4 else read6)(self.heard(), PORT)


BELIEVED = {
    4: Said("192.0.2.2", 4000, 1280, 1428, 7, 99),
    6: Said("2001:db8::2", 4000, 1280, 1448, 7, 99),
}
NOT_BELIEVED = {
    "another program's": {"ours": 4001},
    "no datagram": {"protocol": 6},
    "a handshake, which is small": {"kind": 1},
    "as little as RFC 792 asks for": {"bytes_of_message": 0},
    "half of a counter": {"bytes_of_message": 15},
    "more than the datagram had": {"size": 1448},
}


@pytest.mark.parametrize("version", [4, 6])
def test_who_cites_the_message_is_heard(version: int) -> None:
    assert Cited(version).read() == BELIEVED[version]


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("why", NOT_BELIEVED)
def test_who_does_not_is_not(version: int, why: str) -> None:
    assert Cited(version, **NOT_BELIEVED[why]).read() is None


def test_a_router_that_says_no_size_means_the_next_usual_one() -> None:
    said = Cited(4, size=0).read()
    assert said is not None
    assert said.size == 1420


@given(st.binary(max_size=100))
def test_whatever_comes_is_read_or_not(data: bytes) -> None:
    for start in (b"", b"\3\4", b"\x45" + bytes(19) + b"\3\4", b"\2\0"):
        for read in (read4, read6):
            assert read(start + data, PORT) is None or len(data) > 40


@pytest.mark.parametrize("version", [4, 6])
def test_the_kernel_lets_nothing_else_through(version: int) -> None:
    """The filter, at a socket that needs no right."""
    code = ctypes.create_string_buffer((filter4 if version == 4 else filter6)(PORT))
    near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with near, far:
        far.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, struct.pack("@HP", len(code) // 8, ctypes.addressof(code)))
        far.setblocking(False)
        for other in (Cited(version, ours=4001), Cited(version, protocol=6)):
            near.send(other.heard())
        whole = Cited(version).heard()
        near.send(whole[:20] + b"\0" + whole[21:] if version == 4 else b"\3" + whole[1:])
        near.send(whole)
        assert far.recv(2000) == whole
        with pytest.raises(BlockingIOError):
            far.recv(2000)
