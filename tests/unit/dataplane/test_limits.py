"""What a plane does with packets that are too large for the way to a peer: see plane.Limit."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from tests.planes import plane
from tests.unit.protocol.pairs import A4, A6, B4, B6, ENDPOINT_A, Node, Pair, packet
from wgnode.dataplane.choose import FAST, PYTHON, Unavailable, choose
from wgnode.pathmtu import headers, probe
from wgnode.pathmtu.checksum import checksum, pseudo_header
from wgnode.protocol.plane import Fit, Limit

__all__ = ["plane"]

LIMIT = Limit(1340, 1340)
OVERHEAD = 32


def keeps(name: str) -> bool:
    try:
        return choose(name).new_plane().keeps_limits
    except Unavailable:
        return False


pytestmark = pytest.mark.parametrize("plane", [each for each in (PYTHON, FAST) if keeps(each)], indirect=True)


def limited(limit: Limit = LIMIT, **options: object) -> Pair:
    """A connected pair whose node a keeps to a limit."""
    pair = Pair(**options).connect()
    pair.a.device.set_limit(pair.a.peer, limit)
    return pair


def dont(data: bytes) -> bytes:
    """The IPv4 packet with DF."""
    return data[:6] + bytes([data[6] | 0x40]) + data[7:]


def sizes(node: Node) -> tuple[list[int], list[int]]:
    """Padded packets in what goes by ordinary sockets, and by those that fragment."""
    device = node.device
    drained = device.datagrams_to_send(), device.fragments_to_send()
    return tuple([len(data) - OVERHEAD for data, _ in each] for each in drained)  # type: ignore[return-value]


def test_what_fits_goes_as_it_is_and_what_does_not_is_told_and_dropped() -> None:
    for source, destination, most, kind in ((A4, B4, 1340, b"\3\4"), (A6, B6, 1340, b"\2\0")):
        pair = limited()
        whole = packet(source, destination, bytes(most - (40 if ":" in source else 20)))
        pair.a.send(dont(whole) if kind == b"\3\4" else whole)
        assert sizes(pair.a) == ([most], [])
        longer = packet(source, destination, bytes(most + 1 - (40 if ":" in source else 20)))
        pair.a.send(dont(longer) if kind == b"\3\4" else longer)
        assert sizes(pair.a) == ([], [])
        (error,) = pair.a.device.packets_to_deliver()
        read = headers.read(error)
        assert read is not None
        assert (read.source, read.destination) == (ip_address(destination).packed, ip_address(source).packed)
        assert error[read.upper : read.upper + 2] == kind
        assert int.from_bytes(error[read.upper + 4 : read.upper + 8], "big") == most
        assert pair.a.device.plane.fitted == {Fit.TOLD: 1}


def test_senders_are_told_at_a_bounded_rate_and_what_is_not_told_is_dropped_too() -> None:
    pair = limited()
    for _ in range(20):
        pair.a.send(dont(packet(A4, B4, bytes(1400))))
    assert sizes(pair.a) == ([], [])
    fitted = pair.a.device.plane.fitted
    assert len(pair.a.device.packets_to_deliver()) == fitted[Fit.TOLD] < 20
    assert fitted[Fit.TOLD] + fitted[Fit.UNTOLD] == 20


def test_ipv4_without_df_is_fragmented_inside() -> None:
    pair = limited()
    pair.a_to_b(bytes(range(256)) * 5 + bytes(100))
    first, second = (headers.read(each) for each in pair.b.delivered)
    assert first is not None
    assert second is not None
    assert (first.more, second.more, second.fragment) == (True, False, first.length - 20)
    assert max(first.length, second.length) <= LIMIT.inner
    assert pair.a.device.plane.fitted == {Fit.INSIDE: 1}


def test_padding_ends_at_the_limit() -> None:
    pair = limited(Limit(1338, 1338))
    for size in (1322, 1330, 1338):
        pair.a.send(packet(A4, B4, bytes(size - 20)))
    assert sizes(pair.a) == ([1328, 1338, 1338], [])


def test_ipv6_below_1280_goes_in_outer_fragments_and_is_counted() -> None:
    pair = limited(Limit(1200, 1200))
    for size in (1200, 1201, 1280, 1281):
        pair.a.send(packet(A6, B6, bytes(size - 40)))
    assert sizes(pair.a) == ([1200], [1216, 1280])
    (error,) = pair.a.device.packets_to_deliver()
    assert int.from_bytes(error[44:48], "big") == 1280
    assert pair.a.device.plane.fitted == {Fit.OUTSIDE: 2, Fit.TOLD: 1}


def test_what_nobody_may_be_told_of_goes_in_outer_fragments() -> None:
    pair = limited()
    pair.a.device.add_allowed_ip(pair.a.peer, "224.0.0.0/4")
    pair.a.send(dont(packet(A4, "224.0.0.5", bytes(1380))))
    assert sizes(pair.a) == ([], [1408])
    assert pair.a.device.packets_to_deliver() == []


def test_over_a_path_of_which_nothing_is_known_only_what_every_path_carries_has_df() -> None:
    pair = limited(Limit(1420, 516))
    for size in (516, 517, 1420):
        pair.a.send(dont(packet(A4, B4, bytes(size - 20))))
    assert sizes(pair.a) == ([516], [528, 1420])
    assert not pair.a.device.plane.fitted


@pytest.mark.parametrize(("source", "destination"), [(A4, B4), (A6, B6)])
def test_what_waited_for_a_session_keeps_to_the_limit_too(source: str, destination: str) -> None:
    pair = Pair()
    pair.a.device.set_limit(pair.a.peer, Limit(1290, 1200))
    head = 40 if ":" in source else 20
    pair.a.send(packet(source, destination, bytes(1290 - head)))
    pair.a.send(packet(source, destination, bytes(1200 - head)))
    too_long = packet(source, destination, bytes(1300 - head))
    pair.a.send(too_long if head == 40 else dont(too_long))
    assert len(pair.a.device.packets_to_deliver()) == 1
    pair.b.device.receive_datagram(pair.a.take()[0], ENDPOINT_A, pair.now)
    pair.a.device.receive_datagram(pair.b.take()[0], pair.b.endpoint, pair.now)
    assert sizes(pair.a) == ([1200], [1290])


def syn(source: str, destination: str, mss: int) -> bytes:
    """A SYN with a right checksum."""
    src, dst = ip_address(source).packed, ip_address(destination).packed
    options = b"\2\4" + mss.to_bytes(2, "big")
    head = b"\x04\xd2\x00\x50" + bytes(8) + bytes([6 << 4, 2]) + b"\xff\xff" + bytes(4) + options
    check = checksum(head, pseudo_header(src, dst, 6, len(head)))
    whole = packet(source, destination, head[:16] + check.to_bytes(2, "big") + head[18:])
    return whole[:9] + b"\6" + whole[10:] if len(src) == 4 else whole[:6] + b"\6" + whole[7:]


def mss_of(data: bytes) -> int:
    return int.from_bytes(data[-2:], "big")


@pytest.mark.parametrize(("source", "destination", "most"), [(B4, A4, 1300), (B6, A6, 1280)])
@pytest.mark.parametrize("connected", [True, False])
def test_a_syn_that_comes_out_is_clamped_and_one_that_goes_in_is_not(
    source: str, destination: str, most: int, connected: bool
) -> None:
    pair = Pair()
    if connected:
        pair.connect()
    pair.a.device.set_limit(pair.a.peer, LIMIT)
    pair.b.send(syn(source, destination, 1460))
    pair.deliver()
    (got,) = pair.a.delivered
    assert mss_of(got) == most
    read = headers.read(got)
    assert read is not None
    assert checksum(got[read.upper :], pseudo_header(read.source, read.destination, 6, len(got) - read.upper)) == 0
    pair.a.send(syn(destination, source, 1460))
    pair.deliver()
    assert mss_of(pair.b.delivered[-1]) == 1460
    assert pair.a.device.plane.fitted == {Fit.CLAMPED: 1}
    pair.b.send(syn(source, destination, most))
    pair.deliver()
    assert mss_of(pair.a.delivered[-1]) == most
    assert pair.a.device.plane.fitted == {Fit.CLAMPED: 1}


def reply_to(asked: bytes) -> bytes:
    """What a kernel answers to an inner echo."""
    read = headers.read(asked)
    assert read is not None
    body = bytes([{8: 0, 128: 129}[asked[read.upper]], 0]) + asked[read.upper + 4 : read.length]
    start = pseudo_header(read.destination, read.source, 58, len(body) + 2) if read.version == 6 else 0
    message = body[:2] + checksum(body[:2] + b"\0\0" + body[2:], start).to_bytes(2, "big") + body[2:]
    return probe.ip_header(read.destination, read.source, read.protocol, len(message)) + message


@pytest.mark.parametrize(("source", "destination"), [(A4, B4), (A6, B6)])
def test_a_probe_is_a_message_of_exactly_its_size_and_its_reply_is_kept(source: str, destination: str) -> None:
    pair = Pair().connect()
    ours, theirs = ip_address(source).packed, ip_address(destination).packed
    pair.a.device.set_echo(pair.a.peer, (ours, theirs))
    for wire in (1280, 1281, 1405):
        padded = probe.one_way(b"0123456789ab", ours, theirs, wire, 4)
        sealed = pair.a.device.probe(pair.a.peer, padded, pair.now)
        assert sealed is not None
        assert len(sealed[0]) == wire - 28
        pair.b.receive(sealed[0], pair.a.endpoint)
        pair.b.send(reply_to(pair.b.delivered[-1]))
        pair.deliver()
        (echo,) = pair.a.device.echoes()
        assert probe.recognise(echo.packet, ours, theirs) == b"0123456789ab"
        assert pair.a.delivered == []


def test_other_echo_replies_are_delivered() -> None:
    pair = Pair().connect()
    ours, theirs = ip_address(A4).packed, ip_address(B4).packed
    pair.a.device.set_echo(pair.a.peer, (ours, theirs))
    reply = reply_to(probe.one_way(bytes(12), ours, theirs, 1280, 4))
    others = [
        packet(B4, A4),
        reply[:6] + b"\x20\0" + reply[8:],
        reply[:20] + b"\3" + reply[21:],
        packet(B6, A6),
    ]
    for each in others:
        pair.b.send(each)
    pair.deliver()
    assert (len(pair.a.delivered), pair.a.device.echoes()) == (4, [])
    pair.b.send(reply)
    pair.deliver()
    (echo,) = pair.a.device.echoes()
    pair.a.device.deliver_echo(echo)
    assert pair.a.device.packets_to_deliver() == [reply]
    pair.a.device.set_echo(pair.a.peer, None)
    pair.b.send(reply)
    pair.deliver()
    assert pair.a.delivered[-1] == reply


def test_lost_probes_cause_no_handshake_and_answer_nothing_that_is_owed() -> None:
    pair = Pair().connect()
    padded = probe.one_way(bytes(12), ip_address(A4).packed, ip_address(B4).packed, 1400, 4)
    pair.b_to_a()
    pair.log.clear()
    for _ in range(8):
        pair.advance(1.0)
        assert pair.a.device.probe(pair.a.peer, padded, pair.now) is not None
    assert pair.log == []
    pair.advance(3.0)
    assert [len(data) for _, _, data in pair.log] == [OVERHEAD], "the keepalive for what b has sent, in its time"
    pair.log.clear()
    for _ in range(30):
        pair.advance(1.0)
        pair.a.device.probe(pair.a.peer, padded, pair.now)
    assert pair.log == [], "no handshake after 15 seconds of silence"


def test_the_largest_message_is_told() -> None:
    pair = Pair().connect()
    plane = pair.a.device.plane
    for size in (100, 1300, 700):
        plane.send(packet(A4, B4, bytes(size - 20)), pair.now)
    (did,) = plane.take_activity()
    assert did.longest == 1312 + OVERHEAD
    plane.send(packet(A4, B4, bytes(80)), pair.now)
    assert plane.take_activity()[0].longest == 112 + OVERHEAD
