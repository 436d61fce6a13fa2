"""The way back of a foreign peer: what an echo that is large both ways shows, and what it doesn't."""

from __future__ import annotations

import pytest

from tests.unit.io.test_paths import hello
from tests.unit.io.ways import World
from wgnode.io import ways_back
from wgnode.io.path_report import path_mtu
from wgnode.pathmtu.known import Evidence


def foreign(*, there: int = 1500, back: int = 1500, replies: int = 65535) -> World:
    """b is a WireGuard that knows nothing of limits: what it sends is put in pieces on its way, and put together here.

    `replies`: bytes of inner packet that its kernel sends as one.
    """
    world = World(a_to_b=there, b_to_a=back)
    world.a.pieces_above = back
    world.b.foreign, world.b.tunnel = True, replies
    hello(world.a)
    world.run(2.0)
    return world


def asked(world: World, seconds: float = 8.0) -> int | None:
    """Bytes that its way here is shown to carry."""
    assert world.a.paths.again(None, world.clock.now) == 1
    world.a.flush()
    world.run(seconds)
    assert world.a.hearing is None, "nothing is left open"
    found = world.a.way.back
    return None if found is None else found.size


@pytest.mark.parametrize("back", [1500, 1440, 1400, 1333, 1280, 1000])
def test_it_is_found_to_what_padding_lets_see(back: int) -> None:
    found = asked(foreign(back=back))
    assert found is not None
    assert back - 20 < found <= back


def test_it_goes_as_far_as_our_own_way_there() -> None:
    assert asked(foreign(there=1340, back=1440)) in range(1337, 1341)


def test_nothing_is_measured_and_nobody_listens_unless_somebody_asks() -> None:
    world = foreign(back=1400)
    before = len(world.a.probes)
    world.run(30.0)
    assert (world.a.way.back, world.a.listened, len(world.a.probes)) == (None, 0, before)


def test_replies_in_inner_fragments_show_what_goes_as_one() -> None:
    """Linux answers without DF, in pieces of its interface's MTU."""
    found = asked(foreign(back=1500, replies=1296))
    assert found is not None
    assert 1296 + 60 - 20 < found <= 1296 + 60


def test_a_loss_is_no_smaller_path() -> None:
    world = foreign(back=1440)
    dropped: list[int] = []

    def lose(sender: object, data: bytes) -> bool:
        if sender is world.b and len(data) > 1300 and len(dropped) < 2:
            dropped.append(len(data))
            return True
        return False

    world.lose = lose
    found = asked(world)
    assert len(dropped) == 2
    assert found is not None
    assert 1420 < found <= 1440


def test_where_nobody_may_listen_or_nobody_answers_nothing_is_said() -> None:
    world = foreign()
    world.a.deaf = True
    assert asked(world) is None
    world = foreign()
    world.b.answers = False
    assert asked(world, 20.0) is None


def test_with_the_sockets_its_listening_ends() -> None:
    world = foreign(back=1400)
    world.a.paths.again(None, world.clock.now)
    world.a.flush()
    while world.a.hearing is None:
        world.run(0.02)
    world.a.paths.sockets_closed()
    assert world.a.hearing is None
    world.run(10.0)
    assert (world.a.hearing, world.a.listened) == (None, 1)


def test_what_was_shown_of_another_way_is_forgotten() -> None:
    world = foreign(back=1400)
    assert asked(world)
    world.a.paths.sockets_changed()
    world.a.flush()
    world.run(1.0)
    assert world.a.way.back is None


def test_our_own_value_is_not_touched_and_its_bytes_are_few() -> None:
    world = foreign(back=1280)
    world.a.paths.again(None, world.clock.now)
    world.a.flush()
    world.run(1.0)
    before = world.a.known
    world.a.probes.clear()
    world.run(8.0)
    assert world.a.way.back is not None
    assert (world.a.known, before.evidence) == (before, Evidence.PROBE)
    assert sum(world.a.probes) <= 40 * 1500


def test_of_many_at_once_nobody_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ways_back, "MOST", 0)
    assert asked(foreign()) is None


def test_it_is_told_with_its_evidence_and_age() -> None:
    world = foreign(back=1400)
    found = asked(world)
    told = path_mtu(world.a.paths, world.a.device.peers[0], world.clock.now, world.clock.now)
    assert told is not None
    assert world.a.way.back is not None
    assert told["back"] == {"size": found, "evidence": "echo", "since": round(world.a.way.back.since, 3)}
