"""Whose processor time is somebody else's."""

from __future__ import annotations

import os
from collections.abc import Collection

import pytest

from tests.bench.dataplane import quiet
from tests.bench.dataplane.quiet import CALM, TICK, Process, foreign, parse_stat

OURS, HOST = 11, 1


def test_a_line_of_proc_has_its_parent_and_all_its_time() -> None:
    line = "7 (a) b (c) S 3 7 7 0 -1 4194560 1 2 3 4 100 20 3 4 20 0 1 0 5 6 7"
    assert parse_stat("7", line, HOST) == Process("7", "3", HOST, 127)


def test_our_namespaces_this_process_and_the_kernels_threads_are_not_foreign() -> None:
    mine = [
        Process("50", "1", OURS, 1000),
        Process(str(os.getpid()), "1", HOST, 1000),
        Process("2", "0", HOST, 1000),
        Process("9", "2", HOST, 1000),
    ]
    assert foreign({OURS}, mine) == 0
    assert foreign({OURS}, [*mine, Process("51", "1", HOST, 2 * TICK)]) == 2.0


def test_a_process_that_was_waited_for_loses_nothing() -> None:
    before = [Process("60", "1", HOST, 5), Process("61", "60", HOST, 40)]
    assert foreign(set(), [Process("60", "1", HOST, 45 + 3)]) - foreign(set(), before) == pytest.approx(3 / TICK)


def test_this_machine_can_be_watched() -> None:
    watch = quiet.Watch(set())
    assert any(process.pid == str(os.getpid()) for process in quiet.processes())
    assert watch.foreign() >= 0
    assert watch.stolen() >= 0


@pytest.mark.parametrize(("used", "calm"), [(CALM - 0.01, True), (CALM, False)])
def test_it_waits_for_calm_but_not_for_ever(used: float, calm: bool) -> None:
    class Busy(quiet.Watch):
        def __init__(self, ours: Collection[int]) -> None: ...

        def foreign(self) -> float:
            return used

    assert quiet.wait_until_calm(set(), 0.6, Busy) is calm
