"""The outer sockets, on the loopback interface and ports that are free by chance."""

from __future__ import annotations

import contextlib
import errno
import os
import select
import socket
from collections.abc import Iterator

import pytest

from wgnode.io import udp, udp_destination
from wgnode.io.endpoints import parse_endpoint
from wgnode.io.sticky import SourcePaths
from wgnode.io.udp import UdpSockets
from wgnode.platform.linux import sockets as linux_sockets
from wgnode.protocol.endpoint import Endpoint

IPV6_MTU_DISCOVER = 23
OPTIONS = linux_sockets.Options()


@pytest.fixture
def pair() -> Iterator[tuple[UdpSockets, UdpSockets]]:
    made = UdpSockets(options=OPTIONS), UdpSockets(options=OPTIONS)
    yield made
    for each in made:
        each.close()


def wait(sockets: UdpSockets, family: int, number: int = 1) -> list[tuple[bytes, Endpoint]]:
    found: list[tuple[bytes, Endpoint]] = []
    while len(found) < number:
        assert select.select([sockets.descriptors[family]], [], [], 5)[0]
        found += sockets.receive(family)
    return found


@pytest.mark.parametrize(("family", "address"), [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")])
def test_datagrams_arrive_with_where_they_came_from(
    pair: tuple[UdpSockets, UdpSockets], family: int, address: str
) -> None:
    one, two = pair
    one.send(b"a", Endpoint(address, two.port))
    one.send(b"b" * 1400, Endpoint(address, two.port))
    source = Endpoint(address, one.port, address)
    assert wait(two, family, 2) == [(b"a", source), (b"b" * 1400, source)]
    assert two.receive(family) == []


@pytest.mark.parametrize(("family", "address"), [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")])
def test_a_control_message_that_does_not_fit_is_counted_and_costs_no_datagram(
    pair: tuple[UdpSockets, UdpSockets], family: int, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(udp, "ANCILLARY_SPACE", socket.CMSG_SPACE(4) - 4)
    one, two = pair
    one.send(b"a", Endpoint(address, two.port))
    assert wait(two, family) == [(b"a", Endpoint(address, one.port))]
    assert two.counters == {"control message cut off": 1}


def test_both_families_share_a_port() -> None:
    sockets = UdpSockets(options=OPTIONS)
    assert set(sockets.descriptors) == {socket.AF_INET, socket.AF_INET6}
    with pytest.raises(OSError, match="in use"):
        UdpSockets(sockets.port, options=OPTIONS)
    sockets.close()
    assert sockets.descriptors == {}


def test_a_port_that_is_taken_in_one_family_is_refused_and_leaves_the_other_free() -> None:
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as other:
        other.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        other.bind(("::", 0))
        port = other.getsockname()[1]
        with pytest.raises(OSError, match="in use"):
            UdpSockets(port, options=OPTIONS)
    UdpSockets(port, options=OPTIONS).close()


def test_a_batch_is_limited(pair: tuple[UdpSockets, UdpSockets]) -> None:
    one, two = pair
    for _ in range(5):
        one.send(b"a", Endpoint("127.0.0.1", two.port))
    select.select([two.descriptors[socket.AF_INET]], [], [], 5)
    assert len(two.receive(socket.AF_INET, 3)) == 3
    assert len(two.receive(socket.AF_INET, 3)) == 2


def test_what_can_not_be_sent_is_counted_and_dropped(pair: tuple[UdpSockets, UdpSockets]) -> None:
    one, two = pair
    one.send(b"a" * 65508, Endpoint("127.0.0.1", two.port))
    one.send(b"a", Endpoint("255.255.255.255", two.port))
    one.send(b"a", Endpoint("fe80::1%nonsense", two.port))
    one.send(b"a", Endpoint("127.0.0.1", two.port))
    assert len(wait(two, socket.AF_INET)) == 1
    assert one.counters["EMSGSIZE"] == 1
    assert sum(one.counters.values()) == 3


IP_RECVERR, IPV6_RECVERR = 11, 25


def hear_of_errors(sockets: UdpSockets) -> None:
    """ICMP errors then fail the socket's next call, as they do by themselves on other systems and connected sockets."""
    for family, fd in sockets.descriptors.items():
        level, option = (
            (socket.IPPROTO_IPV6, IPV6_RECVERR) if family == socket.AF_INET6 else (socket.IPPROTO_IP, IP_RECVERR)
        )
        with socket.socket(fileno=os.dup(fd)) as same:
            same.setsockopt(level, option, 1)


def refused(sockets: UdpSockets, family: int, address: str) -> None:
    """The socket has an error waiting: a datagram to a port of this machine that nobody listens on."""
    with socket.socket(family, socket.SOCK_DGRAM) as closed:
        closed.bind((address, 0))
        port = closed.getsockname()[1]
    sockets.send(b"anybody?", Endpoint(address, port))
    poll = select.poll()
    poll.register(sockets.descriptors[family], 0)
    assert poll.poll(5000) == [(sockets.descriptors[family], select.POLLERR)]


@pytest.mark.parametrize(("family", "address"), [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")])
def test_a_refusal_by_the_network_is_counted_and_what_arrives_beside_it_is_received(
    pair: tuple[UdpSockets, UdpSockets], family: int, address: str
) -> None:
    one, two = pair
    hear_of_errors(two)
    one.send(b"before", Endpoint(address, two.port))
    refused(two, family, address)
    one.send(b"after", Endpoint(address, two.port))
    assert [data for data, _ in two.receive(family)] == [b"before", b"after"]
    assert two.counters == {"ECONNREFUSED": 1}
    assert two.receive(family) == []


@pytest.mark.parametrize(("family", "address"), [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")])
def test_a_refusal_by_the_network_costs_the_next_datagram_and_no_more(
    pair: tuple[UdpSockets, UdpSockets], family: int, address: str
) -> None:
    """The kernel tells it to whom the socket sends next, and sends nothing."""
    one, two = pair
    hear_of_errors(one)
    refused(one, family, address)
    for data in (b"a", b"b", b"c"):
        one.send(data, Endpoint(address, two.port))
    assert [data for data, _ in wait(two, family, 2)] == [b"b", b"c"]
    assert one.counters == {"ECONNREFUSED": 1}
    assert not one.blocked


def test_a_full_socket_keeps_datagrams_in_order_up_to_a_limit(
    pair: tuple[UdpSockets, UdpSockets], monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = pair
    monkeypatch.setattr(udp, "LARGEST_BACKLOG", 2)
    full = True
    really = UdpSockets._try
    monkeypatch.setattr(UdpSockets, "_try", lambda self, *what: False if full else really(self, *what))
    for data in (b"a", b"b", b"c"):
        one.send(data, Endpoint("127.0.0.1", two.port))
    assert one.blocked
    assert one.counters["EAGAIN"] == 1
    one.flush()
    assert one.blocked
    full = False
    one.send(b"d", Endpoint("127.0.0.1", two.port))
    assert one.counters["EAGAIN"] == 2
    one.flush()
    assert not one.blocked
    one.send(b"e", Endpoint("127.0.0.1", two.port))
    assert [data for data, _ in wait(two, socket.AF_INET, 3)] == [b"a", b"b", b"e"]


def test_recent_sources_are_bounded(pair: tuple[UdpSockets, UdpSockets], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(udp, "KNOWN_SOURCES", 2)
    _, two = pair
    for _ in range(5):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.sendto(b"a", ("127.0.0.1", two.port))
            port = sender.getsockname()[1]
            assert wait(two, socket.AF_INET) == [(b"a", Endpoint("127.0.0.1", port, "127.0.0.1"))]
    assert len(two._sources) <= 2


def reply_comes_from(answering: UdpSockets, endpoint: Endpoint, peer: socket.socket) -> str:
    answering.send(b"reply", endpoint)
    peer.settimeout(5)
    return str(peer.recvfrom(100)[1][0])


def test_a_reply_leaves_from_the_address_that_was_written_to(pair: tuple[UdpSockets, UdpSockets]) -> None:
    """Linux would answer 127.0.0.1 from 127.0.0.1, whatever was written to."""
    _, two = pair
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
        peer.bind(("127.0.0.1", 0))
        peer.sendto(b"a", ("127.7.7.7", two.port))
        ((_, source),) = wait(two, socket.AF_INET)
        assert source.source == "127.7.7.7"
        assert reply_comes_from(two, source, peer) == "127.7.7.7"
        assert reply_comes_from(two, source._replace(source=None), peer) == "127.0.0.1"


@pytest.mark.parametrize(
    ("family", "local", "gone"), [(socket.AF_INET, "127.0.0.1", "192.0.2.77"), (socket.AF_INET6, "::1", "2001:db8::77")]
)
def test_an_address_that_has_vanished_is_given_up(
    pair: tuple[UdpSockets, UdpSockets], family: socket.AddressFamily, local: str, gone: str
) -> None:
    _, two = pair
    with socket.socket(family, socket.SOCK_DGRAM) as peer:
        peer.bind((local, 0))
        endpoint = Endpoint(local, peer.getsockname()[1], gone)
        assert reply_comes_from(two, endpoint, peer) == local
        assert reply_comes_from(two, endpoint, peer) == local
    assert not two.counters


class Unreachable:
    """A socket whose network is not there, whatever the source address."""

    def __init__(self, real: socket.socket, number: int) -> None:
        self._real, self.number = real, number

    def _send(self, *_: object) -> int:
        raise OSError(self.number, "no way")

    sendmsg = sendto = _send

    def close(self) -> None:
        self._real.close()


@pytest.mark.parametrize("number", udp_destination.SOURCE_GONE)
def test_an_error_that_comes_without_the_source_too_does_not_cost_it(
    pair: tuple[UdpSockets, UdpSockets], number: int
) -> None:
    """A route that is gone for a moment; nothing need be told of its return."""
    _, two = pair
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
        peer.bind(("127.0.0.1", 0))
        endpoint = Endpoint("127.0.0.1", peer.getsockname()[1], "127.7.7.7")
        real = two.sockets[socket.AF_INET]
        two.sockets[socket.AF_INET] = Unreachable(real, number)  # type: ignore[assignment]
        two.send(b"lost", endpoint)
        (known,) = two._destinations.values()
        two._destinations[endpoint] = known._replace(socket=real)
        two.sockets[socket.AF_INET] = real
        assert two.counters == {errno.errorcode[number]: 1}
        assert reply_comes_from(two, endpoint, peer) == "127.7.7.7"


@pytest.mark.parametrize(
    ("text", "endpoint"),
    [
        ("192.0.2.1:51820", Endpoint("192.0.2.1", 51820)),
        ("192.0.2.1:0", Endpoint("192.0.2.1", 0)),
        ("[2001:DB8:0::1]:65535", Endpoint("2001:db8::1", 65535)),
        ("[fe80::1%eth0]:1", Endpoint("fe80::1%eth0", 1)),
        ("[::ffff:192.0.2.1]:1", Endpoint("192.0.2.1", 1)),
    ],
)
def test_endpoints_are_parsed(text: str, endpoint: Endpoint) -> None:
    assert parse_endpoint(text) == endpoint


@pytest.mark.parametrize(
    "text",
    ["192.0.2.1", "192.0.2.1:", "192.0.2.1:65536", "192.0.2.1:-1", "192.0.2.1:1x", "192.0.2.1:１", "2001:db8::1:51820",
     "[2001:db8::1]", "[192.0.2.1]:1", "[fe80::1%]:1", "name.example:51820", ":1", "", "192.0.2:1"],
)  # fmt: skip
def test_endpoints_that_are_none_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="endpoint"):
        parse_endpoint(text)


class IntoTunnel(SourcePaths):
    """All leaves by a tunnel with an MTU of 100 bytes."""

    def __init__(self) -> None:
        super().__init__(lambda endpoint, fwmark: 7, tunnels=lambda: {7: 100})


@pytest.mark.parametrize(("address", "longest"), [("127.0.0.1", 72), ("::1", 52)])
def test_a_tunnels_datagram_goes_into_another_tunnel_only_unfragmented(address: str, longest: int) -> None:
    one, two = UdpSockets(options=OPTIONS, paths=IntoTunnel()), UdpSockets(options=OPTIONS)
    try:
        endpoint = Endpoint(address, two.port)
        one.send(b"ordinary" * 20, endpoint)
        assert one.nested
        for size in (longest, longest + 1):
            one.send(b"x" * size, endpoint, carries_tunnel=True)
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        assert [len(data) for data, _ in wait(two, family, 2)] == [160, longest]
        assert one.counters == {"EMSGSIZE": 1}
    finally:
        one.close()
        two.close()


def test_a_first_reply_asks_the_kernel_nothing() -> None:
    """Or a flood from many sources, each of which gets a cookie, would cost a question each."""
    asked: list[Endpoint] = []

    def interface(endpoint: Endpoint, fwmark: int) -> int:
        asked.append(endpoint)
        return 1

    one, two = UdpSockets(options=OPTIONS, paths=SourcePaths(interface)), UdpSockets(options=OPTIONS)
    try:
        learned, configured = Endpoint("127.0.0.1", two.port, "127.0.0.1"), Endpoint("127.0.0.1", two.port)
        one.send(b"first", learned)
        assert asked == []
        one.send(b"second", learned)
        one.send(b"third", learned)
        assert asked == [learned]
        one.send(b"first", configured)
        assert asked == [learned, configured]
        one.routing_changed()
        one.send(b"first after a change", learned)
        assert asked == [learned, configured, learned]
        assert len(wait(two, socket.AF_INET, 5)) == 5
    finally:
        one.close()
        two.close()


def test_a_source_that_was_not_judged_before_routing_changed_waits_for_its_next_datagram() -> None:
    """By which interface its datagram came is not known any more: the route may have moved since."""
    leaves_by = 1
    one = UdpSockets(options=OPTIONS, paths=SourcePaths(lambda endpoint, fwmark: leaves_by))
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
            peer.bind(("127.0.0.1", 0))
            peer.settimeout(5)
            peer.sendto(b"hello", ("127.0.0.9", one.port))
            ((_, endpoint),) = wait(one, socket.AF_INET)
            assert endpoint.source == "127.0.0.9"
            assert reply_comes_from(one, endpoint, peer) == "127.0.0.9"
            leaves_by = 2
            for _ in range(2):
                one.routing_changed()
                assert [reply_comes_from(one, endpoint, peer) for _ in range(3)] == ["127.0.0.1"] * 3
            peer.sendto(b"hello again", ("127.0.0.9", one.port))
            assert wait(one, socket.AF_INET) == [(b"hello again", endpoint)]
            assert [reply_comes_from(one, endpoint, peer) for _ in range(3)] == ["127.0.0.9"] * 3
            one.routing_changed()
            assert reply_comes_from(one, endpoint, peer) == "127.0.0.9", "judged in time, by the same interface"
    finally:
        one.close()


def test_of_whom_we_hear_the_way_is_learned_before_routing_changes() -> None:
    """Else unrelated changes, which come all the time beside BGP, would cost each new source its address."""
    leaves_by, asked = 1, list[Endpoint]()

    def interface(endpoint: Endpoint, fwmark: int) -> int:
        asked.append(endpoint)
        return leaves_by

    one = UdpSockets(options=OPTIONS, paths=SourcePaths(interface))
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
            peer.bind(("127.0.0.1", 0))
            peer.sendto(b"hello", ("127.0.0.9", one.port))
            ((_, endpoint),) = wait(one, socket.AF_INET)
            assert one.judge_heard(4)
            assert not one.judge_heard(4)
            assert asked == [endpoint]
            for _ in range(3):
                one.routing_changed()
                assert reply_comes_from(one, endpoint, peer) == "127.0.0.9"
            leaves_by = 2
            one.routing_changed()
            assert reply_comes_from(one, endpoint, peer) == "127.0.0.1"
    finally:
        one.close()


def test_in_a_flood_few_ways_are_asked_for() -> None:
    asked: list[Endpoint] = []
    one = UdpSockets(options=OPTIONS, paths=SourcePaths(lambda endpoint, fwmark: asked.append(endpoint) or 1))
    try:
        for number in range(udp.MOST_HEARD + 10):
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
                peer.sendto(b"%d" % number, ("127.0.0.9", one.port))
                wait(one, socket.AF_INET)
        assert one.judge_heard(4)
        assert len(asked) == 4
        while one.judge_heard(4):
            pass
        assert len(asked) == udp.MOST_HEARD
    finally:
        one.close()


def test_routers_may_fragment_what_is_sent_over_ipv4() -> None:
    """Of IPv6 the kernel fragments at the sender, as ever."""
    sockets = UdpSockets(options=OPTIONS)
    v4, v6 = sockets.sockets[socket.AF_INET], sockets.sockets[socket.AF_INET6]
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as untouched:
        usual = untouched.getsockopt(socket.IPPROTO_IPV6, IPV6_MTU_DISCOVER)
    assert v4.getsockopt(socket.IPPROTO_IP, linux_sockets.IP_MTU_DISCOVER) == linux_sockets.IP_PMTUDISC_DONT
    assert v6.getsockopt(socket.IPPROTO_IPV6, IPV6_MTU_DISCOVER) == usual
    sockets.close()


@pytest.fixture
def whole() -> Iterator[UdpSockets]:
    made = UdpSockets(options=OPTIONS, whole=True)
    yield made
    made.close()


@pytest.mark.parametrize(("family", "address"), [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")])
def test_what_comes_in_is_received_by_the_socket_that_receives_whoever_sends(
    whole: UdpSockets, family: int, address: str
) -> None:
    with contextlib.ExitStack() as closing:
        others = [closing.enter_context(socket.socket(family, socket.SOCK_DGRAM)) for _ in range(64)]
        for other in others:
            other.sendto(b"a", (address, whole.port))
        assert len(wait(whole, family, 64)) == 64
    assert select.select([whole.fragmenting[family]], [], [], 0) == ([], [], [])


@pytest.mark.parametrize(("family", "address"), [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")])
def test_both_sockets_send_from_one_port_and_only_one_leaves_fragmenting_to_others(
    whole: UdpSockets, family: int, address: str
) -> None:
    two = UdpSockets(options=OPTIONS)
    whole.send(b"a", Endpoint(address, two.port))
    whole.send(b"b", Endpoint(address, two.port), fragments=True)
    assert wait(two, family, 2) == [(each, Endpoint(address, whole.port, address)) for each in (b"a", b"b")]
    two.close()
    level, option = (socket.IPPROTO_IPV6, IPV6_MTU_DISCOVER) if family == socket.AF_INET6 else (socket.IPPROTO_IP, 10)
    ways = [each[family].getsockopt(level, option) for each in (whole.sockets, whole.fragmenting)]
    assert ways == [3, 1 if family == socket.AF_INET6 else 0]


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6])
def test_the_sockets_that_only_send_share_nothing_with_anybody(whole: UdpSockets, family: int) -> None:
    """Not the port's datagrams, which the kernel finds a receiver for as if there were no others, nor the port."""
    for each in (whole.sockets[family], whole.fragmenting[family]):
        assert each.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT) == 0
        assert each.getsockname()[1] == whole.port
    with socket.socket(family, socket.SOCK_DGRAM) as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        with pytest.raises(OSError, match="in use"):
            other.bind(("", whole.port))


def test_a_port_that_another_has_is_refused_with_two_sockets_too_and_is_free_after_them(whole: UdpSockets) -> None:
    for other in (True, False):
        with pytest.raises(OSError, match="in use"):
            UdpSockets(whole.port, options=OPTIONS, whole=other)
    whole.close()
    UdpSockets(whole.port, options=OPTIONS, whole=True).close()


def test_a_probe_is_sent_now_or_not_at_all(
    whole: UdpSockets, pair: tuple[UdpSockets, UdpSockets], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, two = pair
    to = Endpoint("127.0.0.1", two.port)
    assert whole.probe(b"a" * 1400, to) == 0
    assert [data for data, _ in wait(two, socket.AF_INET)] == [b"a" * 1400]
    assert whole.probe(b"a" * 65508, to) == errno.EMSGSIZE
    assert not whole.refused
    assert two.probe(b"a", to) == errno.EOPNOTSUPP, "it could be fragmented"
    monkeypatch.setattr(UdpSockets, "_try", lambda self, *what: False)
    whole.send(b"b", to)
    assert whole.probe(b"a", to) == errno.EAGAIN
    assert whole.awaited == whole.descriptors[socket.AF_INET]


def test_what_the_link_refuses_of_data_is_told(whole: UdpSockets) -> None:
    to = Endpoint("127.0.0.1", 9)
    whole.send(b"a" * 65508, to)
    assert whole.refused == {to: 65508}
