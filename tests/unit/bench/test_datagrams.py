"""The sender keeps its rate, and the counter counts what came, over loopback."""

from __future__ import annotations

import json
import socket
import subprocess
import sys

import pytest

from tests.bench.dataplane import datagrams
from tests.bench.dataplane.datagrams import BATCH, STEP, due
from tests.bench.dataplane.traffic import DATAGRAMS


def test_without_a_rate_a_whole_batch_is_always_due() -> None:
    assert due(0.0, 0, 10**6) == BATCH


def test_a_low_rate_is_sent_one_by_one() -> None:
    rate = 1000
    assert due(0.0099, rate, 9) == 0
    assert due(0.0101, rate, 9) == 1


def test_a_high_rate_waits_for_what_falls_due_in_a_step_and_at_most_for_a_batch() -> None:
    rate = 80_000
    step = int(rate * STEP)
    assert step < BATCH
    assert due(1.0, rate, rate - step + 1) == 0
    assert due(1.0, rate, rate - step) == step
    assert due(1.0, 400_000, 400_000 - BATCH + 1) == 0
    assert due(1.0, 400_000, 400_000 - 10 * BATCH) == BATCH


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_all_that_is_sent_over_loopback_is_counted_at_the_rate_asked_for(address: str) -> None:
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind((address, 0))
        port = free.getsockname()[1]
    words = [sys.executable, "-I", str(DATAGRAMS), "receive", address, str(port)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as counter:
        assert counter.stdout is not None
        assert counter.stdout.readline() == "ready\n"
        sent = datagrams.send(address, port, 20_000, 0.5, 128)
        counted = json.loads(counter.stdout.readline())
    assert counted["received"] == sent["sent"]
    assert sent["sent"] == pytest.approx(10_000, rel=0.1)
