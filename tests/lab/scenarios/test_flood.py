"""A flood of initiations costs bounded memory, gets cookies at most, and leaves the session alone.

    [a] node ---- node [b] ---- [flood] forged sources

How much throughput is left is a benchmark's matter (`make bench-flood`).
"""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.lab.interop import wait_for
from tests.lab.scenarios import flood
from tests.lab.scenarios.world import World, ping

pytestmark = pytest.mark.lab

RATE, SECONDS = 5000, 10.0
GROWTH = 24 << 10
"""KiB that tables and queues of the node may take in all."""


def test_flood_of_initiations(world: World, tmp_path: Path) -> None:
    one, two, source = flood.arena(world)
    flood.write_messages(tmp_path / "messages", two)
    assert ping(one.space, "10.9.0.2")
    handshake, before = two.handshake(one), flood.resident(two.process.pid)
    running = flood.start(source, tmp_path / "messages", rate=RATE, seconds=SECONDS)
    answered = 0
    while running.process.poll() is None:
        answered += ping(one.space, "10.9.0.2", tries=2)
        running.collect()
        time.sleep(0.05)
    sent = running.finish()
    after = flood.resident(two.process.pid)
    print(f"{sent} initiations; RSS {before} KiB before, {after} KiB after; answers by length {dict(running.answers)}")
    assert sent > 500
    assert after - before < GROWTH
    assert set(running.answers) <= {flood.COOKIE_REPLY}
    assert answered
    assert two.handshake(one) == handshake, "the session was the same all the time"
    one.set("peer", two.public_key, "remove")
    one.peer(two, "10.9.0.2/32", "192.0.2.2:51820")
    wait_for(lambda: ping(one.space, "10.9.0.2"), "no new handshake after the flood", 30)
