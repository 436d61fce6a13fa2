"""Signals that come when nothing looks for them: after the last bytecode before the kernel waits."""

from __future__ import annotations

import ctypes
import operator
import os
import signal
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest

from wgnode.io.loop import Loop
from wgnode.io.signals import Signals

LATE = 3.0
"""Seconds of the next timer, which a node may have an hour away."""
RAISE = ctypes.PyDLL(None)["raise"]
"""C's: unlike those of Python it looks for no handlers after it."""


def in_the_window(number: int, wait: Callable[[], Any]) -> Any:
    """A signal, then what waits, without a bytecode between them for its handler to run at."""
    return list(map(operator.call, (partial(RAISE, number), wait)))[1]


class Epoll:
    """Of the loop, with a signal just before its first wait."""

    def __init__(self, epoll: Any, number: int) -> None:
        self._epoll, self._numbers = epoll, [number]

    def __getattr__(self, name: str) -> Any:
        return getattr(self._epoll, name)

    def poll(self, timeout: float) -> Any:
        wait = partial(self._epoll.poll, timeout)
        return in_the_window(self._numbers.pop(), wait) if self._numbers else wait()


@pytest.fixture
def loop() -> Iterator[Loop]:
    made = Loop()
    yield made
    made.close()


@pytest.fixture
def told(loop: Loop) -> Iterator[list[int]]:
    """SIGTERM and SIGINT stop the loop; the numbers that it is told, as they come."""
    numbers: list[int] = []

    def stop(number: int) -> None:
        numbers.append(number)
        loop.stop()

    signals = Signals(loop, (signal.SIGTERM, signal.SIGINT), stop)
    yield numbers
    signals.close()


def ends(loop: Loop, told: list[int]) -> None:
    """The loop ends by a signal's callback, and long before its timer. Raises AssertionError."""
    loop.call_later(LATE, loop.stop)
    begin = loop.now()
    loop.run()
    assert told == [signal.SIGTERM]
    assert loop.now() - begin < LATE / 2


def test_a_signal_just_before_the_loop_waits_ends_the_wait(loop: Loop, told: list[int]) -> None:
    loop._epoll = Epoll(loop._epoll, signal.SIGTERM)  # type: ignore[assignment]
    ends(loop, told)


def test_a_signal_is_told_between_callbacks_and_not_in_the_midst_of_one(loop: Loop, told: list[int]) -> None:
    order: list[list[int]] = []

    def busy() -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        order.append(list(told))

    loop.call_later(0, busy)
    loop.run()
    assert (order, told) == ([[]], [signal.SIGTERM])


def test_other_signals_are_left_to_their_own_handlers(loop: Loop, told: list[int]) -> None:
    seen: list[int] = []
    before = signal.signal(signal.SIGUSR1, lambda number, _: seen.append(number))
    signal.raise_signal(signal.SIGUSR1)
    loop.run_once(0)
    signal.signal(signal.SIGUSR1, before)
    assert (seen, told) == ([signal.SIGUSR1], [])


def test_once_closed_signals_are_as_they_were(loop: Loop) -> None:
    before = signal.getsignal(signal.SIGTERM)
    Signals(loop, (signal.SIGTERM,), lambda _: None).close()
    assert signal.getsignal(signal.SIGTERM) == before
    assert signal.set_wakeup_fd(-1) == -1
