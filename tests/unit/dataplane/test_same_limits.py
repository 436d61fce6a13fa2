"""Both data planes do the same, byte by byte, with what is too long for a peer, and with what comes from it."""

from __future__ import annotations

from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.dataplane.test_trains import connected
from tests.unit.dataplane.worlds import HOMES, World
from tests.unit.pathmtu.naive import ipv4, ipv6, tcp
from wgnode.dataplane.choose import FAST, PYTHON, Unavailable, choose
from wgnode.pathmtu import probe
from wgnode.protocol import Device, Peer
from wgnode.protocol.plane import Limit

OURS = {4: bytes((10, 0, 0, 1)), 6: bytes.fromhex("fd00") + bytes(13) + b"\1"}
THEIRS = {4: bytes((10, 0, 0, 2)), 6: bytes.fromhex("fd00") + bytes(13) + b"\2"}
SYN, MSS = 0x02, b"\2\4\5\xb4"


@cache
def worlds() -> tuple[World, World]:
    try:
        choose(FAST)
    except Unavailable as missing:
        pytest.skip(str(missing))
    return connected(PYTHON), connected(FAST)


def between(packet: bytes, source: dict[int, bytes], destination: dict[int, bytes]) -> bytes:
    """The packet with these addresses; its checksums need not be right to be changed rightly."""
    at, version = (12, 4) if packet[0] >> 4 == 4 else (8, 6)
    addresses = source[version] + destination[version]
    return packet[:at] + addresses + packet[at + len(addresses) :]


OPTIONS = st.sampled_from((b"", b"\x44\4\5\0", b"\x94\4\0\0\x88\4\1\2", b"\1\1\1\1\x94\4\0\0", b"\x94\0\0\0"))
EXTENSIONS = st.lists(
    st.sampled_from(((0, bytes(8)), (60, b"\0\1" + bytes(14)), (44, b"\0\0\0\1" + bytes(4)), (44, b"\0\0\1\0abcd"))),
    max_size=3,
).map(tuple)
DATA = st.integers(0, 1500).map(lambda size: bytes(at * 7 % 251 for at in range(size)))
MESSAGES = st.one_of(
    DATA,
    st.builds(
        tcp, st.sampled_from((SYN, 0x12, 0x10)), st.sampled_from((MSS, b"\1" + MSS, b"")) | st.binary(max_size=40)
    ),
    st.builds(lambda kind, data: bytes((kind, 0, 1, 2)) + data, st.sampled_from((0, 3, 8, 128, 129)), DATA),
)
PROTOCOLS = st.sampled_from((1, 6, 17, 58))
PACKETS = st.one_of(
    st.builds(
        ipv4,
        PROTOCOLS,
        MESSAGES,
        flags=st.sampled_from((0, 0x4000, 0x2000, 0x2010, 0x8000, 0x4010)),
        options=OPTIONS,
        ident=st.integers(0, 65535),
    ),
    st.builds(ipv6, PROTOCOLS, MESSAGES, EXTENSIONS),
)
SPOILT = st.builds(
    lambda packet, at, value: packet[: at % len(packet)] + bytes((value,)) + packet[at % len(packet) + 1 :],
    PACKETS,
    st.integers(1, 60),
    st.integers(0, 255),
)
LIMITS = st.builds(Limit, st.one_of(st.integers(20, 1500), st.sampled_from((1220, 1280, 1300))), st.integers(20, 1500))


def of(world: World, name: str, other: str) -> tuple[Device, Peer]:
    device = world.nodes[name].device
    peer = device.peer(world.nodes[other].device.public_keys[0])
    assert peer is not None
    return device, peer


@settings(deadline=None)  # the first example makes the worlds
@given(st.lists(PACKETS | SPOILT, min_size=1, max_size=4), LIMITS)
def test_what_goes_to_a_peer_with_a_limit(packets: list[bytes], limit: Limit) -> None:
    done = []
    for world in worlds():
        device, peer = of(world, "a", "b")
        device.set_limit(peer, limit)
        for packet in packets:
            device.send_packet(between(packet, OURS, THEIRS), world.clock.now)
        world.clock.now += 0.06
        sent = device.datagrams_to_send(), device.fragments_to_send(), device.packets_to_deliver()
        activity = [each._replace(peer=0) for each in device.plane.take_activity()]
        done.append((sent, +device.plane.fitted, +device.counters, activity))
    assert done[1] == done[0]


@settings(deadline=None)  # the first example makes the worlds
@given(st.lists(PACKETS | SPOILT, min_size=1, max_size=4), LIMITS, st.sampled_from((None, 4, 6)))
def test_what_comes_from_a_peer_with_a_limit(packets: list[bytes], limit: Limit, version: int | None) -> None:
    done = []
    for world in worlds():
        device, peer = of(world, "a", "b")
        far, back = of(world, "b", "a")
        far.set_limit(back, None)
        device.set_limit(peer, limit)
        device.set_echo(peer, None if version is None else (OURS[version], THEIRS[version]))
        for packet in packets:
            far.send_packet(between(packet, THEIRS, OURS), world.clock.now)
        for data, _ in far.datagrams_to_send():
            device.receive_datagram(data, HOMES["b"], world.clock.now)
        echoes = [each._replace(peer=0) for each in device.echoes()]
        done.append((device.packets_to_deliver(), echoes, +device.plane.fitted, +device.counters))
    assert done[1] == done[0]


@pytest.mark.parametrize("version", [4, 6])
def test_the_reply_to_a_probe_is_kept_by_both(version: int) -> None:
    for world in worlds():
        device, peer = of(world, "a", "b")
        far, back = of(world, "b", "a")
        device.set_limit(peer, None)
        far.set_limit(back, None)
        device.set_echo(peer, (OURS[version], THEIRS[version]))
        sealed = device.probe(peer, probe.one_way(b"twelve bytes", OURS[version], THEIRS[version], 1300, 4), 0.0)
        assert sealed is not None
        assert len(sealed[0]) == 1272
        asked = probe.one_way(b"twelve bytes", THEIRS[version], OURS[version], probe.smallest(version, 4), 4)
        at = {4: 20, 6: 40}[version]
        far.send_packet(asked[:at] + {4: b"\0", 6: b"\x81"}[version] + asked[at + 1 :], world.clock.now)
        for data, _ in far.datagrams_to_send():
            device.receive_datagram(data, HOMES["b"], world.clock.now)
        (echo,) = device.echoes()
        assert (device.packets_to_deliver(), echo.peer) == ([], peer.number)
