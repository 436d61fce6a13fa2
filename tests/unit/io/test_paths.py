"""The ways to peers: each direction's MTU is found, kept and acted on by what passes through a device."""

from __future__ import annotations

import pytest

from tests.unit.io.ways import Node, World
from tests.unit.protocol.pairs import A4, A6, B4, B6, packet
from wgnode.io import way
from wgnode.io.way_told import Learned, Unmeasured
from wgnode.pathmtu.known import Evidence, Guess
from wgnode.pathmtu.said import Said
from wgnode.protocol import Endpoint
from wgnode.protocol.plane import Fit, Limit


def dont(data: bytes) -> bytes:
    return data[:6] + bytes([data[6] | 0x40]) + data[7:]


def hello(node: Node) -> None:
    source, destination = (A4, B4) if node.addresses[0] == A4 else (B4, A4)
    node.send(packet(source, destination))


def full(node: Node) -> None:
    """As much as fits, as a TCP flow would."""
    source, destination = (A4, B4) if node.addresses[0] == A4 else (B4, A4)
    limit = node.way.limit
    assert limit is not None
    node.send(dont(packet(source, destination, bytes(min(limit.inner, 1420) - 20))))


def test_each_direction_is_found_to_four_bytes_within_a_second_and_is_its_own() -> None:
    world = World(a_to_b=1280, b_to_a=1440)
    hello(world.a)
    world.run(1.0)
    assert (world.a.known.size, world.a.known.evidence) == (1280, Evidence.PROBE)
    assert (world.b.known.size, world.b.known.evidence) == (1440, Evidence.PROBE)
    assert (world.a.way.limit, world.b.way.limit) == (Limit(1220, 1220), Limit(1380, 1380))


@pytest.mark.parametrize("mtu", [577, 1203, 1337, 1403, 1499, 1500])
def test_any_size_is_found_from_below(mtu: int) -> None:
    world = World(a_to_b=mtu)
    hello(world.a)
    world.run(3.0)
    assert mtu - 4 < world.a.known.size <= mtu


def test_until_something_is_known_nobody_is_held_to_a_size_and_nothing_above_what_every_path_carries_has_df() -> None:
    world = World(a_to_b=600)
    world.a.answers = world.b.answers = False
    world.a.send(dont(packet(A4, B4, bytes(1400))))
    world.run(5.0)
    world.a.send(dont(packet(A4, B4, bytes(1400))))
    world.run(5.0)
    assert [len(each) for each in world.b.delivered if len(each) > 1000] == [1420, 1420], "what waited, and the rest"
    assert world.a.known.evidence is Evidence.UNKNOWN
    assert world.a.way.limit == Limit(65535, 516)


def test_what_is_too_long_is_told_once_it_is_known() -> None:
    world = World(a_to_b=1400)
    hello(world.a)
    world.run(1.0)
    world.a.send(dont(packet(A4, B4, bytes(1400))))
    (error,) = [each for each in world.a.delivered if each[9] == 1]
    assert int.from_bytes(error[26:28], "big") == 1340
    assert world.a.device.plane.fitted[Fit.TOLD] == 1


def test_a_fall_under_traffic_is_noticed_within_three_seconds_and_growth_after_a_while() -> None:
    world = World()
    hello(world.a)
    world.run(1.0)
    assert world.a.known.size == 1500
    world.a.mtu = 1400
    world.run(3.0, lambda: full(world.a))
    assert world.a.known.size == 1400
    world.a.mtu = 1500
    world.run(700.0, lambda: full(world.a), every=0.5)
    assert world.a.known.size == 1500


def test_while_idle_nothing_is_probed() -> None:
    world = World()
    hello(world.a)
    world.run(30.0)
    before = len(world.a.probes)
    world.run(1000.0)
    assert len(world.a.probes) == before


def test_lost_probes_cause_no_handshake() -> None:
    world = World()
    hello(world.a)
    world.run(1.0)
    world.a.device.plane.take_activity()
    began = world.a.device.peers[0].last_handshake
    world.b.mtu = 40
    assert began is not None
    kinds: list[int] = []

    def watch(sender: Node, data: bytes) -> bool:
        if sender is world.a:
            kinds.append(data[0])
        return False

    world.lose = watch
    world.a.paths.sockets_changed()
    world.a.flush()
    world.run(60.0)
    assert len(kinds) > 3
    assert set(kinds) == {4}, "probes alone, no initiation"


def test_a_peer_that_roams_is_searched_anew() -> None:
    world = World(b_to_a=1400)
    hello(world.a)
    world.run(1.0)
    assert world.b.known.size == 1400
    world.a.at = Endpoint("203.0.113.9", 4500)
    world.b.mtu = 1340
    hello(world.a)
    world.run(1.0)
    assert (world.b.known.size, world.b.known.evidence) == (1340, Evidence.PROBE)


def test_another_port_of_ours_and_another_interface_are_another_way() -> None:
    world = World(a_to_b=1400)
    hello(world.a)
    world.run(1.0)
    world.a.mtu = 1380
    world.a.paths.sockets_changed()
    world.a.flush()
    world.run(1.0)
    assert world.a.known.size == 1380
    world.a.mtu = 1358
    world.a.paths.routing_changed()
    world.run(1.0)
    assert world.a.known.size == 1380, "the same interface is the same way"
    world.a.interface = 2
    world.a.paths.routing_changed()
    hello(world.a)
    world.run(1.0)
    assert world.a.known.size == 1358


def test_the_links_own_end_is_found_without_a_probe_being_lost() -> None:
    world = World()
    world.a.link = 1454
    hello(world.a)
    world.run(1.0)
    assert 1450 < world.a.known.size <= 1454
    assert max(world.a.probes) <= 1454


def test_what_the_link_refuses_of_data_is_a_reason_to_look_at_once() -> None:
    world = World()
    hello(world.a)
    world.run(1.0)
    world.run(1.0, lambda: full(world.a))
    world.a.link = 1400
    probes = len(world.a.probes)
    world.a.paths.refused({world.b.at: 1472})
    full(world.a)
    world.run(2.0)
    assert 1396 < world.a.known.size <= 1400
    assert len(world.a.probes) > probes


def test_a_peer_without_a_single_host_address_is_not_searched_until_it_is_said_whom_to_ask() -> None:
    world = World(a_to_b=1400, allowed={"b": (f"{B4}/31", f"{B6}/127")})
    hello(world.a)
    world.run(1.0)
    assert (world.a.probes, world.a.way.unmeasured()) == ([], Unmeasured.NO_TARGET)
    assert world.a.way.limit == Limit(65535, 516)
    world.a.device.set_probe(world.a.device.peers[0], bytes([10, 0, 0, 2]))
    world.a.flush()
    world.run(1.0)
    assert (world.a.known.size, world.a.way.unmeasured()) == (1400, None)
    with pytest.raises(ValueError, match="5 bytes"):
        world.a.device.set_probe(world.a.device.peers[0], bytes(5))


def test_a_peer_whose_address_we_reach_from_none_of_ours_is_searched_as_soon_as_there_is_one() -> None:
    world = World(a_to_b=1400)
    world.a.addresses = ()
    world.a.send(packet(A4, B4))
    world.run(1.0)
    assert (world.a.probes, world.a.way.unmeasured()) == ([], Unmeasured.NO_SOURCE)
    world.a.addresses = (A4,)
    assert world.a.paths.routing_changed() == 1
    world.a.flush()
    world.run(1.0)
    assert world.a.known.size == 1400


def test_over_ipv6_inside_only() -> None:
    world = World(a_to_b=1400, allowed={"b": (f"{B6}/128",), "a": (f"{A6}/128",)})
    world.a.send(packet(A6, B6))
    world.run(1.0)
    assert world.a.known.size == 1400


def test_pings_of_others_are_answered_to_them() -> None:
    world = World()
    hello(world.a)
    world.run(1.0)
    world.a.delivered.clear()
    asked = packet(A4, B4, b"\x08\0\xf7\xff" + bytes(8))
    world.a.send(asked[:9] + b"\1" + asked[10:])
    world.run(1.0)
    assert [each[9] for each in world.a.delivered] == [1]
    assert all(len(each) != 36 for each in world.a.delivered)


def test_memory_and_profile_hold_senders_at_once_but_nothing_is_trusted_before_an_answer() -> None:
    world = World(a_to_b=1340)
    key = world.b.device.public_keys[0]
    world.a.paths.offer([Learned(key, 4, "", 1440, 0.0), Learned(key, 6, "", 1400, 0.0)])
    world.a.paths.profile = Guess(1430, Evidence.PROFILE)
    world.b.paths.profile = Guess(1430, Evidence.PROFILE)
    hello(world.a)
    world.run(0.06)
    assert world.a.way.limit == Limit(1380, 516)
    world.run(0.03)
    assert world.b.way.limit == Limit(1370, 516)
    world.run(1.0)
    assert (world.a.known.size, world.b.known.size) == (1340, 1500)
    assert [each[1:4] for each in world.a.paths.learned()] == [(4, "", 1340), (6, "", 1400)]


def test_memory_of_another_address_of_ours_is_none_of_this_way() -> None:
    world = World()
    peer = world.b.device.peers[0]
    world.a.at = world.a.at._replace(source="198.51.100.2")
    world.b.paths.offer([Learned(peer.public_key, 4, "198.51.100.3", 1300, 0.0)])
    hello(world.b)
    world.run(0.06)
    assert world.b.known.evidence is Evidence.UNKNOWN


def test_a_fall_of_many_rungs_is_noticed_by_packets_that_are_far_from_the_largest() -> None:
    world = World()
    hello(world.a)
    world.run(1.0)
    assert world.a.known.size == 1500
    world.a.mtu = 1300
    world.run(3.0, lambda: world.a.send(packet(A4, B4, bytes(1270))))
    assert 1296 < world.a.known.size <= 1300


def test_a_peer_that_is_gone_is_forgotten() -> None:
    world = World()
    hello(world.a)
    world.run(0.1)
    peer = world.a.device.peers[0]
    hello(world.a)
    world.a.device.remove_peer(peer.public_key)
    world.a.flush()
    assert world.a.paths.way(peer) is None
    world.run(5.0)


def test_what_is_kept_of_a_way_outlives_its_session_but_is_not_trusted() -> None:
    world = World(a_to_b=1400)
    hello(world.a)
    world.run(1.0)
    world.run(700.0)
    assert world.a.way.unmeasured() is Unmeasured.NO_SESSION
    assert world.a.way.limit == Limit(1340, 516)
    hello(world.a)
    world.run(1.0)
    assert world.a.way.limit == Limit(1340, 1340)


def cited(node: Node, size: int, **other: int) -> Said:
    """What a router would say that has seen the last message of a node."""
    session = node.device.peers[0].slots.current
    to = node.device.peers[0].endpoint
    assert session is not None
    assert to is not None
    true = {"receiver": session.remote_index, "counter": session.keys.send_counter - 1, "length": 1480}
    return Said(to.address, to.port, size, **true | other)


def test_packet_too_big_about_a_message_that_was_sent_counts_where_nobody_answers_probes() -> None:
    world = World(a_to_b=1400)
    world.b.answers = False
    hello(world.a)
    world.run(8.0)
    assert world.a.known.evidence is Evidence.UNKNOWN
    world.a.paths.offer([Learned(world.b.device.public_keys[0], 4, "", 1480, 0.0)])
    world.a.device.set_endpoint(world.a.device.peers[0], Endpoint("2001:db8::9", 9))
    hello(world.a)
    world.a.device.set_endpoint(world.a.device.peers[0], world.b.at)
    hello(world.a)
    assert (world.a.known.size, world.a.known.evidence) == (1480, Evidence.MEMORY)
    hello(world.a)
    world.a.paths.too_big([cited(world.a, 1400)])
    world.a.flush()
    assert (world.a.known.size, world.a.known.evidence) == (1400, Evidence.HINT)


def test_packet_too_big_is_no_more_than_a_reason_to_look() -> None:
    """Of an honest word about nothing, and of a thousand of them a second."""
    world = World(a_to_b=1480)
    hello(world.a)
    world.run(5.0)
    spent = sum(world.a.probes)

    def word() -> None:
        full(world.a)
        world.a.paths.too_big([cited(world.a, size) for size in range(600, 1400, 80)])
        world.a.flush()

    world.run(10.0, word)
    assert (world.a.known.size, world.a.known.evidence) == (1480, Evidence.PROBE)
    assert sum(world.a.probes) - spent < 15 * 1600, "a confirmation a second, as under any traffic"


@pytest.mark.parametrize("lie", [{"receiver": 1}, {"counter": 1 << 40}, {"counter": 3}])
def test_who_cites_what_was_never_sent_or_long_ago_is_not_heard(
    lie: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(way, "LATELY", 4)
    world = World(a_to_b=1480)
    hello(world.a)
    world.run(5.0)
    for _ in range(10):
        full(world.a)
    world.run(0.6)
    before = len(world.a.probes)
    world.a.mtu = 1400
    world.a.paths.too_big([cited(world.a, 1400, **lie)])
    world.a.paths.too_big([cited(world.a, 1400)._replace(port=9)])
    world.a.flush()
    world.run(0.2)
    assert len(world.a.probes) == before
