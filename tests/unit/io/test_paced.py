"""Work at a bounded rate, over a clock of the test's own and a pipe that thousands write to."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from wgnode.io.loop import Loop
from wgnode.io.paced import LONGEST_REST, REST, SHARE, Paced


class World:
    """`tells` are written to the pipe; each work takes `cost` seconds and leads to `later` more."""

    def __init__(self) -> None:
        self.now, self.cost, self.later = 0.0, 0.0, 0.0
        self.loop = Loop(lambda: self.now)
        self.read, self.write = os.pipe2(os.O_NONBLOCK)
        self.works: list[tuple[float, bytes]] = []
        self.paced = Paced(self.loop, self.read, self.work)

    def work(self) -> float:
        self.works.append((self.now, os.read(self.read, 65536)))
        self.now += self.cost
        return self.later

    def tell(self, what: bytes = b"x") -> None:
        os.write(self.write, what)

    def run(self, until: float, step: float = 0.001, told_at_each: bytes = b"") -> None:
        while self.now < until:
            if told_at_each:
                self.tell(told_at_each)
            self.loop.run_once(0)
            self.now += step
        self.loop.run_once(0)


@pytest.fixture
def world() -> Iterator[World]:
    made = World()
    yield made
    made.paced.close()
    made.loop.close()
    os.close(made.read)
    os.close(made.write)


def test_a_change_after_a_quiet_time_is_seen_at_once(world: World) -> None:
    for begin in (5.0, 5.0 + REST + 0.002):
        world.run(begin, step=1.0 if begin == 5.0 else 0.001)
        world.tell()
        world.loop.run_once(0)
        assert world.works[-1] == (world.now, b"x")
    assert len(world.works) == 2


def test_thousands_of_changes_cost_as_many_works_as_there_are_rests(world: World) -> None:
    world.run(1.0, told_at_each=b"abcde")
    assert 0.9 / REST <= len(world.works) <= 1.0 / REST + 2


def test_the_last_change_of_many_is_seen_soon(world: World) -> None:
    world.run(0.3, told_at_each=b"a")
    world.tell(b"last")
    told = world.now
    world.run(1.0)
    when, what = world.works[-1]
    assert what.endswith(b"last")
    assert when - told <= REST + 0.002


@pytest.mark.parametrize(("cost", "later"), [(0.02, 0.0), (0.0, 0.02), (0.01, 0.01)])
def test_dear_work_rests_longer(world: World, cost: float, later: float) -> None:
    world.cost, world.later = cost, later
    world.run(2.0, told_at_each=b"a")
    first, second = (when for when, _ in world.works[:2])
    assert second - first == pytest.approx(SHARE * (cost + later) + cost, abs=0.003)


def test_no_rest_is_longer_than_the_longest(world: World) -> None:
    world.cost = 0.7
    world.run(4.0, told_at_each=b"a")
    gaps = [second - first for (first, _), (second, _) in zip(world.works, world.works[1:], strict=False)]
    assert gaps
    assert max(gaps) <= LONGEST_REST + world.cost + 0.003


def test_once_closed_nothing_works_any_more(world: World) -> None:
    world.tell()
    world.loop.run_once(0)
    world.tell()
    world.paced.close()
    world.run(1.0)
    assert len(world.works) == 1
