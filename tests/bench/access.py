"""python -m tests.bench.access [--dataplane python|fast] [--rounds N]: what judging a flow costs a plane.

One device sends and receives packets of one TCP flow through a gateway's plane; with a policy and without, round by
round in turn in one process, so that a noisy machine is noisy to both. Prints microseconds a packet and the ratio.
"""

from __future__ import annotations

import argparse
import statistics
import time

import tests.planes
from tests.unit.policy.crossing import ALICE, MACHINE, TCP, Crossing, ip, policy, tcp
from wgnode.dataplane.choose import choose
from wgnode.policy.model import Policy
from wgnode.protocol import Endpoint

PACKETS, PAYLOAD = 500, 1_380
GATEWAY = Endpoint("198.51.100.1", 51820)


class Way:
    """A gateway with that policy; what alice's device has sealed is opened by it, and answers are sealed."""

    def __init__(self, said: Policy | None) -> None:
        self.crossing = Crossing(said)
        assert self.crossing.carry("alice", tcp(ALICE, MACHINE))
        self.there, self.back = (
            ip(source, to, TCP, tcp(source, to, port, sport)[20:] + bytes(PAYLOAD))
            for source, to, port, sport in ((ALICE, MACHINE, 443, 4000), (MACHINE, ALICE, 4000, 443))
        )

    def receive(self) -> float:
        """Seconds for PACKETS of them."""
        crossing = self.crossing
        now, alice, home = crossing.clock.now, crossing.others["alice"], crossing.homes["alice"]
        alice.send_packets([self.there] * PACKETS, now)
        messages = [(message, home) for message, _ in alice.datagrams_to_send()]
        began = time.thread_time()
        crossing.gateway.receive_datagrams(messages, now)
        took = time.thread_time() - began
        assert len(crossing.gateway.packets_to_deliver()) == PACKETS
        return took

    def send(self) -> float:
        crossing, packets = self.crossing, [self.back] * PACKETS
        began = time.thread_time()
        crossing.gateway.send_packets(packets, crossing.clock.now)
        took = time.thread_time() - began
        assert len(crossing.gateway.datagrams_to_send()) == PACKETS
        return took


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dataplane", default="python", choices=("python", "fast"))
    parser.add_argument("--rounds", type=int, default=60)
    asked = parser.parse_args()
    tests.planes._new_plane = choose(asked.dataplane).new_plane
    without, judged = Way(None), Way(policy())
    for name in ("receive", "send"):
        ways = [getattr(way, name) for way in (without, judged)]
        rounds = [[way() for way in ways] for _ in range(asked.rounds)]
        plain, with_policy = (1e6 * statistics.median(column) / PACKETS for column in zip(*rounds, strict=True))
        ratio = statistics.median(one[1] / one[0] for one in rounds)
        print(
            f"{asked.dataplane} {name}: {plain:.2f} µs a packet, judged {with_policy:.2f} µs; ratio {ratio:.3f}"
            f" (median of {asked.rounds} rounds of {PACKETS})"
        )


if __name__ == "__main__":
    main()
