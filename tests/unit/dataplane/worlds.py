"""Three devices on a lossy network, all of one data plane: the same script in two worlds must do the same."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.unit.protocol.pairs import Clock, packet
from wgnode.protocol import Device, Endpoint
from wgnode.protocol.plane import Plane

NAMES = "abc"
ADDRESSES = {"a": ("10.0.0.1", "fd00::1"), "b": ("10.0.0.2", "fd00::2"), "c": ("10.0.0.3", "fd00::3")}
HOMES = {"a": Endpoint("192.0.2.1", 51820), "b": Endpoint("198.51.100.2", 51820), "c": Endpoint("2001:db8::3", 51820)}
ELSEWHERE = [Endpoint("203.0.113.9", 4500), Endpoint("2001:db8::99", 53), Endpoint("192.0.2.1", 51821)]


@dataclass
class Node:
    """`at` is where its datagrams come from now; `source` the local address that the others see themselves by."""

    name: str
    device: Device
    at: Endpoint
    delivered: list[bytes] = field(default_factory=list)


class World:
    """`log` has all that could be seen from outside: every datagram with where it went, every packet delivered."""

    def __init__(self, new_plane: Callable[[], Plane]) -> None:
        self.clock = Clock()
        self.nodes = {name: self._node(name, number, new_plane) for number, name in enumerate(NAMES, 1)}
        for name, node in self.nodes.items():
            for other in NAMES.replace(name, ""):
                self._introduce(node.device, other)
            node.device.start(self.clock.now)
        self.flying: list[tuple[bytes, str, Endpoint]] = []
        self.log: list[Any] = []

    def _node(self, name: str, number: int, new_plane: Callable[[], Plane]) -> Node:
        key = bytes([0x40 + number]) * 32
        randomness = random.Random(number).randbytes
        device = Device((key,), plane=new_plane(), random=randomness, tai64n=self.clock.tai64n)
        return Node(name, device, HOMES[name])

    def _introduce(self, device: Device, other: str) -> None:
        peer = device.add_peer(self.nodes[other].device.public_keys)
        device.replace_allowed_ips(peer, ADDRESSES[other])
        device.set_endpoint(peer, HOMES[other])

    # What a script does

    def send(self, name: str, data: bytes) -> None:
        self.nodes[name].device.send_packet(data, self.clock.now)
        self._collect(name)

    def fly(self, number: int, *, keep: bool = False, spoil: int | None = None) -> None:
        """A datagram under way arrives, perhaps out of its turn, perhaps with a bit wrong, perhaps to come again."""
        if not self.flying:
            return
        at = number % len(self.flying)
        data, to, source = self.flying[at] if keep else self.flying.pop(at)
        if spoil is not None:
            wrong = bytearray(data)
            wrong[spoil % len(data)] ^= 1 << spoil % 8
            data = bytes(wrong)
        self.nodes[to].device.receive_datagram(data, source, self.clock.now)
        self._collect(to)

    def deliver(self) -> None:
        """All that is under way arrives, and what that leads to."""
        for _ in range(40):
            self.fly(0)

    def lose(self, number: int) -> None:
        if self.flying:
            del self.flying[number % len(self.flying)]

    def roam(self, name: str, where: int) -> None:
        self.nodes[name].at = ELSEWHERE[where % len(ELSEWHERE)]

    def wait(self, seconds: float) -> None:
        """Each timer in its time."""
        end = self.clock.now + seconds
        for _ in range(200):
            due = [d for n in self.nodes.values() if (d := n.device.next_deadline()) is not None and d <= end]
            if not due:
                break
            self.clock.now = max(self.clock.now, min(due))
            for name in NAMES:
                self.nodes[name].device.handle_timer(self.clock.now)
                self._collect(name)
        self.clock.now = max(self.clock.now, end)

    def configure(self, name: str, other: str, what: str) -> None:
        device = self.nodes[name].device
        peer = device.peer(self.nodes[other].device.public_keys[0])
        if peer is None or name == other:
            return
        match what:
            case "keepalive":
                device.set_keepalive(peer, 0 if peer.persistent_keepalive else 7, self.clock.now)
            case "no route":
                device.remove_allowed_ip(peer, ADDRESSES[other][0])
            case "route":
                device.add_allowed_ip(peer, ADDRESSES[other][0])
            case "steal":
                device.add_allowed_ip(peer, "10.0.0.0/24")
            case "psk":
                device.set_preshared_keys(peer, [bytes([0x51]) * 32])
            case "forget":
                device.set_endpoint(peer, None)
            case "restart":
                device.stop(self.clock.now)
                device.start(self.clock.now)
        device.handle_timer(self.clock.now)
        self._collect(name)

    def _collect(self, name: str) -> None:
        node = self.nodes[name]
        for data, to in node.device.datagrams_to_send():
            self.log.append((name, data, to))
            whose = next((n for n in NAMES if to[:2] in (self.nodes[n].at[:2], HOMES[n][:2])), None)
            if whose is not None:
                self.flying.append((data, whose, node.at._replace(source=to.address)))
        delivered = node.device.packets_to_deliver()
        node.delivered += delivered
        self.log.extend((name, data) for data in delivered)

    def state(self) -> list[Any]:
        """What an operator could read of the devices."""
        return [
            (
                name,
                dict(node.device.counters),
                node.device.next_deadline(),
                [(p.tx_bytes, p.rx_bytes, p.endpoint, p.last_handshake, p.allowed_ips) for p in node.device.peers],
            )
            for name, node in self.nodes.items()
        ]


def inner_packet(source: str, destination: str, family: int, size: int) -> bytes:
    """From one node's address to another's."""
    return packet(ADDRESSES[source][family], ADDRESSES[destination][family], bytes(size))
