"""The replay window against a set of all counters ever seen."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from wgnode.protocol.constants import REJECT_AFTER_MESSAGES
from wgnode.protocol.replay import WINDOW, ReplayFilter


def check(counters: list[int]) -> None:
    window, seen, newest = ReplayFilter(), set[int](), -1
    for counter in counters:
        expected = counter < REJECT_AFTER_MESSAGES and counter not in seen and counter >= newest - WINDOW
        assert window.accept(counter) is expected, counter
        if expected:
            seen.add(counter)
            newest = max(newest, counter)


@given(st.lists(st.integers(0, 3 * WINDOW), max_size=300))
def test_anywhere_around_the_window(counters: list[int]) -> None:
    check(counters)


@given(st.integers(0, 2**64), st.lists(st.integers(-WINDOW - 130, WINDOW + 130), max_size=300))
def test_steps_to_and_fro(start: int, moves: list[int]) -> None:
    counters, at = [start], start
    for move in moves:
        at = max(0, at + move)
        counters += [at, max(0, at - WINDOW), max(0, at - WINDOW - 1), at]
    check(counters)


def test_in_order_traffic() -> None:
    check(list(range(3 * WINDOW)))


def test_the_window_reaches_back_8128_counters() -> None:
    window = ReplayFilter()
    assert window.accept(20000)
    assert window.accept(20000 - 8128)
    assert not window.accept(20000 - 8129)


def test_the_last_counter_is_the_one_before_reject_after_messages() -> None:
    window = ReplayFilter()
    assert not window.accept(REJECT_AFTER_MESSAGES)
    assert window.accept(REJECT_AFTER_MESSAGES - 1)
    assert not window.accept(REJECT_AFTER_MESSAGES)
    assert window.accept(REJECT_AFTER_MESSAGES - 2)


def test_the_oldest_counters_of_the_window_stay_seen_while_it_moves() -> None:
    window = ReplayFilter()
    for counter in range(2 * WINDOW):
        assert window.accept(counter)
        if counter >= WINDOW:
            assert not window.accept(counter - WINDOW)
            assert not window.accept(counter - WINDOW // 2)
