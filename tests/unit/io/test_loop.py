"""The event loop, over pipes and a clock of our own."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator

import pytest

from wgnode.io.loop import Loop


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def loop(clock: Clock) -> Iterator[Loop]:
    made = Loop(clock)
    yield made
    made.close()


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    read, write = os.pipe2(os.O_NONBLOCK)
    yield read, write
    for fd in (read, write):
        with contextlib.suppress(OSError):
            os.close(fd)


def test_reader_is_called_while_there_is_something_to_read(loop: Loop, pipe: tuple[int, int]) -> None:
    seen: list[bytes] = []
    loop.add_reader(pipe[0], lambda: seen.append(os.read(pipe[0], 1)))
    loop.run_once(0)
    assert seen == []
    os.write(pipe[1], b"ab")
    loop.run_once(0)
    loop.run_once(0)
    loop.run_once(0)
    assert seen == [b"a", b"b"]


def test_removed_reader_is_not_called_any_more(loop: Loop, pipe: tuple[int, int]) -> None:
    loop.add_reader(pipe[0], lambda: pytest.fail("called"))
    os.write(pipe[1], b"a")
    loop.remove_reader(pipe[0])
    loop.remove_reader(pipe[0])
    loop.run_once(0)


def test_reader_removed_by_an_earlier_callback_of_the_same_wake_up_is_not_called(loop: Loop) -> None:
    pipes = [os.pipe2(os.O_NONBLOCK) for _ in range(2)]
    called: list[int] = []

    def first(index: int) -> None:
        called.append(index)
        for read, _ in pipes:
            loop.remove_reader(read)

    for index, (read, write) in enumerate(pipes):
        os.write(write, b"a")
        loop.add_reader(read, lambda index=index: first(index))  # type: ignore[misc]
    loop.run_once(0)
    assert len(called) == 1
    for read, write in pipes:
        os.close(read)
        os.close(write)


def test_reader_learns_of_a_hang_up(loop: Loop, pipe: tuple[int, int]) -> None:
    seen: list[bytes] = []

    def readable() -> None:
        seen.append(os.read(pipe[0], 1))
        loop.remove_reader(pipe[0])

    loop.add_reader(pipe[0], readable)
    os.close(pipe[1])
    loop.run_once(0)
    assert seen == [b""]


def test_reader_and_writer_of_one_descriptor_come_and_go_alone(loop: Loop, pipe: tuple[int, int]) -> None:
    called: list[str] = []
    loop.add_reader(pipe[1], lambda: called.append("reader"))
    loop.add_writer(pipe[1], lambda: called.append("writer"))
    loop.run_once(0)
    assert called == ["writer"]
    loop.remove_writer(pipe[1])
    loop.run_once(0)
    assert called == ["writer"]
    loop.add_writer(pipe[1], lambda: called.append("again"))
    loop.run_once(0)
    assert called == ["writer", "again"]


def test_timer_fires_at_its_deadline_and_not_before(loop: Loop, clock: Clock) -> None:
    fired: list[float] = []
    loop.call_later(5, lambda: fired.append(clock.now))
    clock.now = 104.999
    loop.run_once(0)
    assert fired == []
    clock.now = 105.0
    loop.run_once(0)
    loop.run_once(0)
    assert fired == [105.0]


def test_timers_fire_in_order_and_cancelled_ones_never(loop: Loop, clock: Clock) -> None:
    fired: list[str] = []
    loop.call_later(2, lambda: fired.append("second"))
    loop.call_later(1, lambda: fired.append("first"))
    loop.call_later(2, lambda: fired.append("third"))
    loop.call_later(1, lambda: fired.append("cancelled")).cancel()
    clock.now += 3
    loop.run_once(0)
    assert fired == ["first", "second", "third"]


def test_timer_cancelled_by_one_due_at_the_same_time_does_not_fire(loop: Loop, clock: Clock) -> None:
    fired: list[str] = []
    loop.call_later(1, lambda: victim.cancel())
    victim = loop.call_later(1, lambda: fired.append("victim"))
    clock.now += 1
    loop.run_once(0)
    assert fired == []


def test_timer_that_is_always_due_does_not_starve_readers(loop: Loop, pipe: tuple[int, int]) -> None:
    rounds: list[int] = []

    def again() -> None:
        rounds.append(1)
        loop.call_later(0, again)

    seen: list[bytes] = []
    again()
    os.write(pipe[1], b"a")
    loop.add_reader(pipe[0], lambda: seen.append(os.read(pipe[0], 1)))
    loop.run_once()
    assert seen == [b"a"]
    assert len(rounds) == 2


def test_waits_for_the_first_timer_only_as_long_as_needed() -> None:
    loop = Loop()
    fired: list[bool] = []
    loop.call_later(0.02, lambda: fired.append(True))
    start = loop.now()
    loop.run_once()
    assert 0.01 < loop.now() - start < 2
    assert fired == [True]
    loop.close()


def test_clock_goes_on_while_the_machine_sleeps(monkeypatch: pytest.MonkeyPatch, pipe: tuple[int, int]) -> None:
    """After a suspend of 200 s, during which CLOCK_MONOTONIC stood still, what is due runs with the next wake-up."""
    slept = 0.0
    really = time.clock_gettime
    sleeping = {time.CLOCK_BOOTTIME: lambda: really(time.CLOCK_MONOTONIC) + slept}
    monkeypatch.setattr(time, "clock_gettime", lambda which: sleeping.get(which, lambda: really(which))())
    loop = Loop()
    fired: list[str] = []
    start = loop.now()
    loop.call_later(180, lambda: fired.append("session ends"))
    loop.call_later(300, lambda: fired.append("later"))
    loop.add_reader(pipe[0], lambda: fired.append(os.read(pipe[0], 1).decode()))
    loop.run_once(0)
    slept = 200.0
    assert 200 <= loop.now() - start < 260
    os.write(pipe[1], b"a")
    loop.run_once()
    assert fired == ["a", "session ends"]
    loop.close()


def test_stop_ends_a_run_even_if_it_comes_first(loop: Loop) -> None:
    loop.stop()
    loop.run()
    loop.call_later(0, loop.stop)
    loop.run()
