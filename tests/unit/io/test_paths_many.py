"""A node with a thousand peers, in memory: what it sends to find out stays at its rate, whatever happens to all."""

from __future__ import annotations

import heapq
import random
from bisect import bisect_left
from collections.abc import Callable
from itertools import accumulate

import pytest

from tests.unit.io.ways import DELAY, reply_to
from tests.unit.protocol.pairs import A4, ENDPOINT_A, KEY_A, Clock, packet
from wgnode.dataplane.plain import PlainPlane
from wgnode.io.paths import Paths
from wgnode.pathmtu.known import Evidence
from wgnode.pathmtu.sizes import wire_of_message
from wgnode.pathmtu.stagger import BURST, RATE
from wgnode.protocol import Device, Endpoint

PEERS = 1000
OF_THE_PATHS = (1280, 1400, 1440, 1492, 1500)


class Hub:
    """The node, its ground, and a network to peers that only answer. `sent`: when which probe left, wire bytes."""

    def __init__(self) -> None:
        self.clock, self.sent, self.epoch = Clock(), list[tuple[float, int]](), 1
        self.device = Device((KEY_A,), plane=PlainPlane(), random=random.Random(1).randbytes, tai64n=self.clock.tai64n)
        self.paths = Paths(self.device, self, random.Random(2).randbytes)
        self.ends = dict(map(self._end, range(PEERS)))
        self.floors = {at: self.passes(number) for number, at in enumerate(self.ends)}
        self._flying: list[tuple[float, int, bytes, Endpoint | None, Endpoint]] = []
        self._order = 0
        self.device.start(self.clock.now)

    def _end(self, number: int) -> tuple[Endpoint, Device]:
        at, inside = Endpoint(f"198.51.{100 + number // 200}.{number % 200 + 1}", 51820), self.address(number)
        made = Device(
            (bytes(8) + number.to_bytes(4, "big") + bytes(20),),
            plane=PlainPlane(),
            random=random.Random(number + 3).randbytes,
            tai64n=self.clock.tai64n,
        )
        for device, other, network, where in ((self.device, made, inside, at), (made, self.device, A4, ENDPOINT_A)):
            peer = device.add_peer(other.public_keys)
            device.replace_allowed_ips(peer, (f"{network}/32",))
            device.set_endpoint(peer, where)
        made.start(self.clock.now)
        return at, made

    @staticmethod
    def address(number: int) -> str:
        return f"10.1.{number // 250}.{number % 250 + 1}"

    @staticmethod
    def passes(number: int) -> int:
        return OF_THE_PATHS[number % len(OF_THE_PATHS)]

    # Ground

    def probe(self, data: bytes, endpoint: Endpoint) -> int:
        size = wire_of_message(len(data), 4)
        self.sent.append((self.clock.now, size))
        if size <= self.floors[endpoint]:
            self._fly(data, None, endpoint)
        return 0

    def own_address(self, theirs: bytes) -> bytes | None:
        return bytes((10, 0, 0, 1))

    def leaves_by(self, endpoint: Endpoint) -> int | None:
        return self.epoch

    def link_mtu(self, index: int) -> int | None:
        return 1500

    def hear(self, endpoint: Endpoint) -> None:
        return None

    def fragment_at(self, endpoint: Endpoint, size: int | None) -> None: ...

    def _fly(self, data: bytes, source: Endpoint | None, to: Endpoint) -> None:
        self._order += 1
        heapq.heappush(self._flying, (self.clock.now + DELAY, self._order, data, source, to))

    # Time

    def flush(self) -> None:
        for data, to in (*self.device.datagrams_to_send(), *self.device.fragments_to_send()):
            self._fly(data, None, to)
        self.paths.flush(self.clock.now)
        self.device.packets_to_deliver()

    def run(self, seconds: float) -> None:
        end = self.clock.now + seconds
        while True:
            deadlines = (self.device.next_deadline(), self.paths.next_deadline())
            due = min((each for each in deadlines if each is not None), default=end)
            self.clock.now = max(self.clock.now, min(due, self._flying[0][0] if self._flying else end, end))
            while self._flying and self._flying[0][0] <= self.clock.now:
                self._land(*heapq.heappop(self._flying)[2:])
            self.device.handle_timer(self.clock.now)
            self.flush()
            if self.clock.now >= end:
                return

    def _land(self, data: bytes, source: Endpoint | None, to: Endpoint) -> None:
        if source is not None:
            self.device.receive_datagram(data, source, self.clock.now)
            return
        end = self.ends[to]
        end.receive_datagram(data, ENDPOINT_A, self.clock.now)
        for inner in end.packets_to_deliver():
            if (reply := reply_to(inner)) is not None:
                end.send_packet(reply, self.clock.now)
        for answer, _ in (*end.datagrams_to_send(), *end.fragments_to_send()):
            self._fly(answer, to, ENDPOINT_A)

    def everybody(self, size: int = 100) -> None:
        for number in range(PEERS):
            self.device.send_packet(packet(A4, self.address(number), bytes(size - 20)), self.clock.now)
        self.flush()


def most_in(sent: list[tuple[float, int]], seconds: float, of: Callable[[int], int]) -> int:
    """The most that left in any time of that length."""
    times = [at for at, _ in sent]
    total = [0, *accumulate(of(size) for _, size in sent)]
    return max(total[bisect_left(times, at + seconds)] - total[number] for number, at in enumerate(times))


def flat(sent: list[tuple[float, int]]) -> None:
    """At no time more than the rate and what may go at once; the half of it in the half of the time."""
    for seconds in (0.01, 0.1, 1.0):
        assert most_in(sent, seconds, lambda size: size) <= RATE * seconds + BURST + 12_000, f"bytes in {seconds} s"
    tenth = most_in(sent, 0.1, lambda size: 1)
    assert tenth <= 4 * len(sent) / ((sent[-1][0] - sent[0][0]) / 0.1) + BURST / 128, "probes"


@pytest.fixture(scope="module")
def hub() -> Hub:
    made = Hub()
    made.everybody()
    made.run(25.0)
    return made


def test_a_node_that_starts_finds_all_its_ways_one_after_the_other(hub: Hub) -> None:
    flat(hub.sent)
    for number, peer in enumerate(hub.device.peers):
        way = hub.paths.way(peer)
        assert way is not None
        assert way.search is not None
        assert way.search.known.evidence is Evidence.PROBE
        assert hub.passes(number) - 4 < way.search.known.size <= hub.passes(number)


def test_routing_that_changes_for_all_is_looked_at_in_turn_and_while_idle_not_at_all(hub: Hub) -> None:
    before = len(hub.sent)
    hub.run(30.0)
    assert len(hub.sent) == before, "idle"
    hub.epoch += 1
    hub.paths.routing_changed()
    hub.everybody()
    hub.run(25.0)
    again = hub.sent[before:]
    assert len(again) > 5 * PEERS
    flat(again)


@pytest.mark.sampled(0)  # seconds of processor time; in make test-long
def test_what_keeps_a_thousand_flows_sizes_is_spread_too(hub: Hub) -> None:
    before = len(hub.sent)
    for _ in range(6):
        hub.everybody(1220)
        hub.run(0.5)
    kept = hub.sent[before:]
    assert len(kept) > PEERS
    flat(kept)
