"""What blocks does so beside the loop, in order and within bounds."""

import threading
import time
from pathlib import Path

import pytest

from tests.unit.hostd.fakes import FakeGuest, turn
from tests.unit.hostd.test_service import RecordingNotifier, baked, greet, hostd, notifier, said
from wgnode.hostd import state
from wgnode.hostd.background import Background
from wgnode.hostd.rates import Bucket
from wgnode.hostd.service import Hostd
from wgnode.io.loop import Loop

__all__ = ["RecordingNotifier", "baked", "hostd", "notifier", "said"]


def test_work_is_done_in_order_and_an_end_waits_for_it() -> None:
    background, done = Background(), list[int]()
    for number in range(100):
        assert background.do(lambda number=number: done.append(number) or time.sleep(0.001))  # type: ignore[misc, func-returns-value]
    background.close()
    assert done == list(range(100))


def test_what_waits_is_bounded_and_an_end_does_not_wait_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wgnode.hostd.background.LONGEST_END", 0.05)
    background, gate = Background(3), threading.Event()
    accepted = [background.do(gate.wait) for _ in range(10)]
    assert 3 <= sum(accepted) <= 4
    began = time.monotonic()
    background.close()
    assert time.monotonic() - began < 2
    gate.set()


def test_a_disk_that_hangs_does_not_hold_up_the_loop(
    loop: Loop, guest: FakeGuest, hostd: Hostd, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    gate = threading.Event()
    monkeypatch.setattr(state.os, "fsync", lambda _: gate.wait(20))
    greet(loop, guest)
    guest.send({"type": "heartbeat", "tai64n": 1_001 * 10**9})
    turn(loop, guest, lambda: hostd.kept.tai64n)
    hostd.kept.save()
    guest.send({"type": "heartbeat", "tai64n": 1_002 * 10**9})
    turn(loop, guest, lambda: hostd.kept.tai64n == 1_002 * 10**9, limit=5.0)
    assert not (tmp_path / "peers.json").exists()
    gate.set()
    turn(loop, guest, (tmp_path / "peers.json").exists)


def test_a_bucket_gives_its_burst_at_once_and_its_rate_for_long() -> None:
    bucket = Bucket(10.0, 3.0)
    assert [bucket.offer(0.0) for _ in range(4)] == [True, True, True, False]
    assert [bucket.offer(at) for at in (0.09, 0.1, 0.11)] == [False, True, False]
    assert bucket.offer(-5.0) is False
    assert [bucket.offer(1000.0) for _ in range(4)] == [True, True, True, False]


def test_what_is_taken_beyond_a_bucket_has_to_be_waited_for() -> None:
    bucket = Bucket(10.0, 20.0)
    assert bucket.take(20, 0.0) == 0.0
    assert bucket.take(5, 0.0) == pytest.approx(0.5)
    assert bucket.take(0, 0.5) == pytest.approx(0.0)
