"""Which source addresses are kept for replies, with a kernel of the test's own and with the real one."""

from __future__ import annotations

import errno
import socket
import struct

import pytest

from wgnode.io import sticky
from wgnode.io.sticky import SourcePaths, from_address, is_tunnel_datagram, local_address
from wgnode.platform.linux.routing import RoutingWatch
from wgnode.protocol.endpoint import Endpoint

PEER = Endpoint("203.0.113.1", 51820, "192.0.2.1")


class Kernel:
    """Answers with one interface, or with no route when it is 0."""

    def __init__(self) -> None:
        self.leaves_by, self.asked = 1, 0

    def interface(self, endpoint: Endpoint, fwmark: int) -> int:
        if endpoint.source is None:
            return 9
        self.asked += 1
        if not self.leaves_by:
            raise OSError(errno.ENETUNREACH, "no route")
        return self.leaves_by


@pytest.mark.parametrize("address", ["192.0.2.7", "2001:db8::7"])
def test_what_is_sent_back_names_the_address_and_no_interface(address: str) -> None:
    ((_, _, information),) = from_address(address)
    assert local_address(information) == address
    interface = information[:4] if ":" not in address else information[16:]
    assert interface == bytes(4)


def test_a_source_is_kept_until_the_route_leaves_by_another_interface() -> None:
    kernel = Kernel()
    paths = SourcePaths(kernel.interface)
    assert paths.source(PEER, 0) == PEER.source
    paths.changed()
    assert paths.source(PEER, 0) == PEER.source
    kernel.leaves_by = 2
    assert paths.source(PEER, 0) == PEER.source, "nothing told of a change"
    paths.changed()
    assert paths.source(PEER, 0) is None
    kernel.leaves_by = 1
    paths.changed()
    assert paths.source(PEER, 0) == PEER.source


def test_the_kernel_is_asked_once_after_each_change() -> None:
    kernel = Kernel()
    paths = SourcePaths(kernel.interface)
    for _ in range(3):
        paths.source(PEER, 0)
    assert kernel.asked == 1
    paths.changed()
    for _ in range(3):
        paths.source(PEER, 0)
    assert kernel.asked == 2


def test_a_source_without_a_route_is_left_out_until_there_is_one() -> None:
    kernel = Kernel()
    kernel.leaves_by = 0
    paths = SourcePaths(kernel.interface)
    assert paths.source(PEER, 0) is None
    kernel.leaves_by = 5
    paths.changed()
    assert paths.source(PEER, 0) == PEER.source


def test_what_would_come_back_into_the_tunnel_is_refused() -> None:
    kernel = Kernel()
    anywhere = PEER._replace(source=None)
    assert SourcePaths(kernel.interface, own=8).source(anywhere, 0) is None
    loops = SourcePaths(kernel.interface, own=9)
    assert loops.source(PEER, 0) == PEER.source
    with pytest.raises(OSError, match="own tunnel") as refused:
        loops.source(anywhere, 0)
    assert refused.value.errno == errno.ELOOP
    kernel.leaves_by = 3  # no longer from its source, hence by any
    loops.changed()
    with pytest.raises(OSError, match="own tunnel"):
        loops.source(PEER, 0)


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sticky, "MOST_REMEMBERED", 3)
    paths = SourcePaths(Kernel().interface)
    for port in range(10):
        assert paths.source(PEER._replace(port=port), 0) == PEER.source
    assert len(paths._paths) <= 3


def test_the_real_kernel_tells_interfaces_and_addresses_that_are_not_ours() -> None:
    watch = RoutingWatch()
    try:
        loopback = socket.if_nametoindex("lo")
        assert watch.interface(Endpoint("127.0.0.1", 1, "127.0.0.1"), 0) == loopback
        assert watch.interface(Endpoint("::1", 1, "::1"), 0) == loopback
        assert watch.interface(Endpoint("fe80::1%lo", 1, "fe80::2"), 0) == loopback
        with pytest.raises(OSError, match=r"route to 127\.0\.0\.1"):
            watch.interface(Endpoint("127.0.0.1", 1, "192.0.2.77"), 0)
    finally:
        watch.close()


def ipv4(protocol: int, payload: bytes, fragment: int = 0) -> bytes:
    return struct.pack(">BBHHHBBH8x", 0x45, 0, 20 + len(payload), 0, fragment, 64, protocol, 0) + payload


def ipv6(next_header: int, payload: bytes) -> bytes:
    return struct.pack(">IHBB32x", 6 << 28, len(payload), next_header, 64) + payload


@pytest.mark.parametrize("message", [1, 2, 3, 4])
def test_datagrams_of_tunnels_and_fragments_are_recognised(message: int) -> None:
    payload = bytes(8) + bytes([message, 0, 0, 0]) + bytes(20)
    for packet in (ipv4(17, payload), ipv6(17, payload), ipv4(17, bytes(32), 0x2000), ipv4(17, bytes(32), 7)):
        assert is_tunnel_datagram(packet)
    assert is_tunnel_datagram(ipv6(44, bytes(32)))


@pytest.mark.parametrize(
    "packet",
    [ipv4(17, bytes(8) + b"\5\0\0\0" + bytes(8)), ipv4(17, bytes(8) + b"\1\0\0\1" + bytes(8)),
     ipv4(6, bytes(32), 0x2000),
     ipv4(1, bytes(8) + b"\4\0\0\0"), ipv4(17, bytes(8)), ipv6(6, bytes(8) + b"\4\0\0\0"), b"", b"\x45", bytes(27)],
)  # fmt: skip
def test_other_packets_are_no_datagrams_of_tunnels(packet: bytes) -> None:
    assert not is_tunnel_datagram(packet)


def test_the_tunnel_that_carries_a_datagram_is_known_by_its_mtu() -> None:
    paths = SourcePaths(Kernel().interface, tunnels=lambda: {1: 1420})
    assert paths.tunnel_mtu(PEER, 0) == 1420
    assert paths.tunnel_mtu(PEER._replace(source=None), 0) is None
