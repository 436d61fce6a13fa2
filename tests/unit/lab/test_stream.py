"""What a stream of pings says of a gap in it."""

from __future__ import annotations

import pytest

from lab.stream import Stream, stream


def test_what_was_lost_and_for_how_long() -> None:
    whole = Stream([(10.0, 1), (10.1, 2), (10.2, 3)])
    assert (whole.received, whole.lost) == (3, 0)
    gap = Stream([(10.0, 1), (10.1, 2), (13.1, 32), (13.2, 33)])
    assert (gap.received, gap.lost) == (4, 29)
    assert gap.longest_gap == pytest.approx(3.0)
    late = Stream([(13.1, 32), (13.2, 33)], 0.1)
    assert (late.lost, late.longest_gap) == (31, pytest.approx(3.1))
    assert (Stream().received, Stream().lost, Stream().longest_gap) == (0, 0, 0.0)


def test_an_answer_that_comes_twice_or_late_is_no_loss() -> None:
    assert Stream([(10.0, 1), (10.3, 3), (10.4, 2), (10.4, 2)]).lost == 0


def test_loopback_loses_nothing() -> None:
    with stream([], "127.0.0.1", 0.05) as pings:
        pass
    assert pings.received > 1
    assert pings.lost == 0
