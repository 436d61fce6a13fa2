"""What a device over the engine has to bear that a plain one never meets."""

from __future__ import annotations

import os
import struct
from collections.abc import Callable

import pytest

from tests.unit.dataplane.worlds import HOMES, World, inner_packet
from wgnode.dataplane.choose import FAST, Unavailable, choose
from wgnode.protocol import Device, Endpoint, traffic
from wgnode.protocol.plane import Plane


@pytest.fixture
def new_plane() -> Callable[[], Plane]:
    try:
        return choose(FAST).new_plane
    except Unavailable as missing:
        pytest.skip(str(missing))


def test_an_endpoint_by_an_interface_that_is_not_there_ends_nothing(new_plane: Callable[[], Plane]) -> None:
    device = Device((bytes([1]) * 32,), plane=new_plane(), random=os.urandom, tai64n=lambda: bytes(12))
    peer = device.add_peer([bytes([2]) * 32])
    device.replace_allowed_ips(peer, ["10.0.0.2/32"])
    endpoint = Endpoint("fe80::1%nowhere9", 51820)
    device.set_endpoint(peer, endpoint)
    device.start(0.0)
    device.send_packet(inner_packet("a", "b", 0, 5), 1.0)
    assert [to for _, to in device.datagrams_to_send()] == [endpoint]


def fly_to(world: World, name: str, *, kinds: tuple[int, ...]) -> int:
    """What is under way to a node, of these kinds of messages, arrives; how much that was."""
    found = [number for number, (data, to, _) in enumerate(world.flying) if to == name and data[0] in kinds]
    for number in reversed(found):
        world.fly(number)
    return len(found)


def test_a_session_that_was_retired_unconfirmed_is_opened_by_the_engine(
    new_plane: Callable[[], Plane], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Handshakes cross: b sends by the session that it began until it hears of the one that a began."""
    world = World(new_plane)
    for sender, other in ("ab", "ba"):
        world.send(sender, inner_packet(sender, other, 0, 5))
    for name, kind in (("a", 1), ("b", 2), ("b", 1), ("a", 2)):
        assert fly_to(world, name, kinds=(kind,)) == 1
    (peer,) = (peer for peer in world.nodes["a"].device.peers if peer.slots.previous)
    assert peer.slots.current is not None
    python: list[bytes] = []
    really = traffic.receive
    monkeypatch.setattr(
        traffic, "receive", lambda tables, data, *more: (python.append(data), really(tables, data, *more))
    )
    for number in range(10):
        world.send("b", inner_packet("b", "a", 0, number))
    assert fly_to(world, "a", kinds=(4,)) == 11, "what waited, and these"
    assert len(world.nodes["a"].delivered) == 11
    assert python == []


def test_forged_messages_for_an_unconfirmed_session_never_come_to_python(
    new_plane: Callable[[], Plane], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever sees a handshake knows the session's index."""
    world = World(new_plane)
    world.send("a", inner_packet("a", "b", 0, 5))
    assert fly_to(world, "b", kinds=(1,)) == 1
    device = world.nodes["b"].device
    (index,) = (peer.slots.next.local_index for peer in device.peers if peer.slots.next)
    python: list[bytes] = []
    really = traffic.receive
    monkeypatch.setattr(
        traffic, "receive", lambda tables, data, *more: (python.append(data), really(tables, data, *more))
    )
    for number in range(10):
        device.receive_datagram(struct.pack("<IIQ", 4, index, number) + bytes(32), HOMES["c"], world.clock.now)
    assert python == []
    assert device.counters == {"bad_transport": 10}
    assert fly_to(world, "a", kinds=(2,)) == 1
    assert fly_to(world, "b", kinds=(4,)) >= 1
    assert len(world.nodes["b"].delivered) == 1, "the real one confirms it all the same"
