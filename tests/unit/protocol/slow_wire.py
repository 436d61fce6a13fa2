"""A wire on which datagrams overtake each other."""

from __future__ import annotations

import random

from tests.unit.protocol.pairs import Node, Pair


class SlowWire:
    """Carries datagrams with a delay of its own for each, so that they overtake each other; loses none."""

    def __init__(self, p: Pair, seed: int, longest: float) -> None:
        self.p = p
        self.random = random.Random(seed)
        self.longest = longest
        self.flying: list[tuple[float, int, Node, bytes]] = []
        self.sent = 0

    def collect(self) -> None:
        for node in (self.p.a, self.p.b):
            for data in node.take():
                self.p.log.append((self.p.now, node, data))
                self.sent += 1
                self.flying.append((self.p.now + self.random.uniform(0, self.longest), self.sent, node, data))

    def advance(self, seconds: float) -> None:
        end = self.p.now + seconds
        while True:
            self.collect()
            deadlines = [n.device.next_deadline() for n in (self.p.a, self.p.b)]
            events = [at for at in (*deadlines, *(f[0] for f in self.flying)) if at is not None and at <= end]
            self.p.clock.now = max(self.p.now, min(events, default=end))
            for node in (self.p.a, self.p.b):
                node.device.handle_timer(self.p.now)
            for flight in sorted(f for f in self.flying if f[0] <= self.p.now):
                self.flying.remove(flight)
                self.p.other(flight[2]).receive(flight[3], flight[2].endpoint)
            if not events:
                return
