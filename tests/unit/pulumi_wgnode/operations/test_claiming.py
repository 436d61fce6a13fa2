"""How often a run asks the backend whether it is still the one that runs, and that it learns when it is not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import cast

import pytest

from pulumi_wgnode.operations.rolling import claiming
from pulumi_wgnode.operations.rolling.claiming import SURE, Holder, Taken, claimed
from pulumi_wgnode.operations.rolling.tags import CLAIM, Tags
from wgnode.rollout.claim import LEASE, Claim

STACK = "prod-mesh"


class FakeTags:
    """A backend's, counting how often they are read."""

    def __init__(self) -> None:
        self.kept: dict[str, str] = {}
        self.reads = 0

    def all(self, stack: str) -> dict[str, str]:
        self.reads += 1
        return dict(self.kept)

    def set(self, stack: str, name: str, value: str) -> None:
        self.kept[name] = value

    def remove(self, stack: str, name: str) -> None:
        del self.kept[name]


class FakeClock:
    now = 1000.0


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> FakeClock:
    clock = FakeClock()
    monkeypatch.setattr(claiming, "_now", lambda: clock.now)
    monkeypatch.setattr(claiming, "SETTLED", 0.0)
    return clock


@pytest.fixture
def tags() -> FakeTags:
    return FakeTags()


@pytest.fixture
def holder(clock: FakeClock, tags: FakeTags) -> Iterator[Holder]:
    with claimed(cast(Tags, tags), STACK, "prod", "c0ffee" * 6, "run", lambda line: None) as holder:
        yield holder


def _taken_over(tags: FakeTags) -> None:
    ours = Claim.parse(tags.kept[CLAIM])
    assert ours is not None
    tags.kept[CLAIM] = replace(ours, run="another").to_text()


def test_a_claim_that_nobody_can_have_taken_yet_is_not_looked_up(
    holder: Holder, clock: FakeClock, tags: FakeTags
) -> None:
    before = tags.reads
    for _ in range(5):
        holder.check()
        clock.now += (SURE - 1) / 5
    assert tags.reads == before
    assert SURE < LEASE


def test_one_that_somebody_may_have_taken_is_looked_up_and_told(
    holder: Holder, clock: FakeClock, tags: FakeTags
) -> None:
    _taken_over(tags)
    clock.now += SURE
    for _ in range(2):  # it stays taken
        with pytest.raises(Taken, match="no longer the one that runs"):
            holder.check()


def test_what_the_heartbeat_finds_taken_is_told_at_the_next_step(
    holder: Holder, clock: FakeClock, tags: FakeTags, monkeypatch: pytest.MonkeyPatch
) -> None:
    _taken_over(tags)
    beats = iter([False, True])
    monkeypatch.setattr(holder._end, "wait", lambda timeout: next(beats))
    holder.beat()
    with pytest.raises(Taken):
        holder.check()


def test_a_claim_that_is_not_ours_any_more_stays_its_own_at_the_end(clock: FakeClock, tags: FakeTags) -> None:
    with claimed(cast(Tags, tags), STACK, "prod", "c0ffee" * 6, "run", lambda line: None):
        _taken_over(tags)
    assert '"another"' in tags.kept[CLAIM]
