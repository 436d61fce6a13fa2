"""What iperf3, ping and our datagrams say, and what they say when something is wrong."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.bench.dataplane.measurements import passes
from tests.bench.dataplane.pair import Failed
from tests.bench.dataplane.traffic import Count, parse_count, parse_iperf, parse_pings

SENT = json.dumps({"sent": 1000, "seconds": 2.0, "refused": 0, "processor": 0.1})
PINGS = """PING 10.9.0.2 (10.9.0.2) 56(84) bytes of data.
64 bytes from 10.9.0.2: icmp_seq=1 ttl=64 time=0.300 ms
64 bytes from 10.9.0.2: icmp_seq=2 ttl=64 time=12 ms
64 bytes from 10.9.0.2: icmp_seq=3 ttl=64 time=0.100 ms

--- 10.9.0.2 ping statistics ---
4 packets transmitted, 3 received, 25% packet loss, time 9ms
rtt min/avg/max/mdev = 0.100/4.133/12.000/5.562 ms
"""


def iperf(**end: Any) -> str:
    whole = {
        "sum_sent": {"bytes": 2e9, "seconds": 1.0, "retransmits": 7},
        "sum_received": {"bytes": 1e9, "seconds": 2.0},
    }
    return json.dumps({"start": {}, "intervals": [], "end": {**whole, **end}})


def test_throughput_is_what_was_received() -> None:
    transfer = parse_iperf(iperf())
    assert transfer.gigabits == pytest.approx(4.0)
    assert transfer.retransmits == 7


def test_both_ways_are_added_up() -> None:
    assert parse_iperf(iperf(sum_received_bidir_reverse={"bytes": 5e8, "seconds": 2.0})).gigabits == pytest.approx(6.0)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"error": "unable to connect to server: Connection refused"}', "iperf3: unable to connect to server"),
        ("", "no JSON"),
        (iperf(sum_received={"bytes": 0, "seconds": 0}), "no time"),
    ],
)
def test_iperf3_that_failed_says_why(text: str, said: str) -> None:
    with pytest.raises(Failed, match=said):
        parse_iperf(text)


def test_datagrams_are_counted_by_second_of_sending() -> None:
    count = parse_count(SENT, 'ready\n{"received": 900, "processor": 0.2}\n')
    assert [count.offered, count.received, count.loss] == pytest.approx([500, 450, 10.0])


@pytest.mark.parametrize(("sender", "counter"), [(SENT, "ready\n"), ("", 'ready\n{"received": 1}'), (SENT, "")])
def test_datagrams_without_an_end_are_a_failure(sender: str, counter: str) -> None:
    with pytest.raises(Failed, match="did not come to an end"):
        parse_count(sender, counter)


def test_a_step_of_the_ladder_passes_below_one_percent_of_loss_and_when_it_was_offered() -> None:
    assert passes(Count(offered=960, received=955, loss=0.99), 1000)
    assert not passes(Count(offered=960, received=950, loss=1.0), 1000)
    assert not passes(Count(offered=940, received=940, loss=0.0), 1000)


def test_pings_have_a_median_a_tail_and_a_loss() -> None:
    trips = parse_pings(PINGS, 4)
    assert [trips.median, trips.p99, trips.lost] == pytest.approx([0.3, 12.0, 25.0])


def test_no_answered_ping_is_a_failure() -> None:
    with pytest.raises(Failed, match="no ping is answered"):
        parse_pings("PING 10.9.0.2 (10.9.0.2) 56(84) bytes of data.\n", 4)
