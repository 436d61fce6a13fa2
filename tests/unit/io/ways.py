"""Two nodes that search their ways to each other over simulated paths, of another MTU each way; no sockets, no time."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from ipaddress import ip_address

from tests.unit.protocol.pairs import A4, A6, B4, B6, ENDPOINT_A, ENDPOINT_B, KEY_A, KEY_B, Clock
from wgnode.dataplane.plain import PlainPlane
from wgnode.io.paths import Paths
from wgnode.io.way import Way
from wgnode.io.way_limit import family_of
from wgnode.pathmtu import fragment, headers, probe
from wgnode.pathmtu.checksum import checksum, pseudo_header
from wgnode.pathmtu.known import Known
from wgnode.pathmtu.pieces import Whole
from wgnode.pathmtu.sizes import wire_of_message
from wgnode.protocol import Device, Endpoint
from wgnode.protocol.messages import TRANSPORT

DELAY = 0.025
"""Seconds one way."""


def reply_to(asked: bytes) -> bytes | None:
    """What a kernel answers to an inner echo request; None for anything else."""
    read = headers.read(asked)
    if read is None or read.protocol not in (1, 58) or asked[read.upper] not in (8, 128):
        return None
    body = bytes([{8: 0, 128: 129}[asked[read.upper]], 0]) + asked[read.upper + 4 : read.length]
    start = pseudo_header(read.destination, read.source, 58, len(body) + 2) if read.version == 6 else 0
    message = body[:2] + checksum(body[:2] + b"\0\0" + body[2:], start).to_bytes(2, "big") + body[2:]
    return probe.ip_header(read.destination, read.source, read.protocol, len(message)) + message


@dataclass
class Hearing:
    node: Node
    endpoint: Endpoint
    came: list[Whole] = field(default_factory=list)

    def read(self) -> list[Whole]:
        came, self.came = self.came, []
        return came

    def close(self) -> None:
        self.node.hearing = None


@dataclass
class Node:
    """One end. `mtu` is that of its way to the other, `link` that of its own link; what it sends goes to `carry`."""

    clock: Clock
    at: Endpoint
    key: bytes
    addresses: tuple[str, ...]
    mtu: int = 1500
    link: int = 1500
    answers: bool = True
    carry: Callable[[bytes, Endpoint], None] = lambda data, to: None
    delivered: list[bytes] = field(default_factory=list)
    probes: list[int] = field(default_factory=list)
    """Wire sizes."""
    interface: int = 1
    cut_at: int | None = None
    foreign: bool = False
    """It sends whatever it is given, in as many pieces as its way takes, and has no search."""
    tunnel: int = 65535
    """What its kernel answers is in pieces of so many inner bytes."""
    pieces_above: int = 65535
    """Wire bytes of what comes here in one piece."""
    deaf: bool = False
    """Nobody may listen for pieces."""
    hearing: Hearing | None = None
    listened: int = 0

    def __post_init__(self) -> None:
        seed = random.Random(self.key[0])
        self.device = Device((self.key,), plane=PlainPlane(), random=seed.randbytes, tai64n=self.clock.tai64n)
        self.paths = Paths(self.device, self, seed.randbytes)

    # Ground

    def probe(self, data: bytes, endpoint: Endpoint) -> int:
        size = wire_of_message(len(data), family_of(endpoint))
        if size > self.link:
            return 90
        self.probes.append(size)
        self._whole(data, endpoint)
        return 0

    def own_address(self, theirs: bytes) -> bytes | None:
        own = [ip_address(each).packed for each in self.addresses]
        return next((each for each in own if len(each) == len(theirs)), None)

    def leaves_by(self, endpoint: Endpoint) -> int | None:
        return self.interface

    def link_mtu(self, index: int) -> int | None:
        return self.link

    def hear(self, endpoint: Endpoint) -> Hearing | None:
        if self.deaf:
            return None
        self.listened += 1
        self.hearing = Hearing(self, endpoint)
        return self.hearing

    def fragment_at(self, endpoint: Endpoint, size: int | None) -> None:
        self.cut_at = size

    # The shell's part

    @property
    def way(self) -> Way:
        return self.way_to(0)

    def way_to(self, number: int) -> Way:
        """To the so many-th peer."""
        way = self.paths.way(self.device.peers[number])
        assert way is not None
        return way

    @property
    def known(self) -> Known:
        search = self.way.search
        assert search is not None
        return search.known

    def flush(self) -> None:
        for data, to in self.device.datagrams_to_send():
            self._whole(data, to)
        for data, to in self.device.fragments_to_send():
            self.carry(data, to)
        if not self.foreign:
            self.paths.flush(self.clock.now)
        for packet in self.device.packets_to_deliver():
            reply = reply_to(packet) if self.answers else None
            if reply is None:
                self.delivered.append(packet)
            else:
                self.reply(reply)

    def send(self, packet: bytes) -> None:
        self.device.send_packet(packet, self.clock.now)
        self.flush()

    def reply(self, packet: bytes) -> None:
        """Without DF where it is too long, as Linux."""
        if len(packet) <= self.tunnel:
            return self.send(packet)
        for piece in fragment.fragments(packet[:6] + b"\0" + packet[7:], self.tunnel):
            self.send(piece)

    def receive(self, data: bytes, source: Endpoint) -> None:
        size = wire_of_message(len(data), family_of(source))
        if self.hearing is not None and size <= self.pieces_above and data[0] == TRANSPORT:
            self.hearing.came.append(Whole(int.from_bytes(data[4:8], "little"), size))
        self.device.receive_datagram(data, source, self.clock.now)
        self.flush()

    def due(self) -> float:
        deadlines = (self.device.next_deadline(), None if self.foreign else self.paths.next_deadline())
        return min((each for each in deadlines if each is not None), default=float("inf"))

    def wake(self) -> None:
        self.device.handle_timer(self.clock.now)
        self.flush()

    def _whole(self, data: bytes, to: Endpoint) -> None:
        if self.foreign or wire_of_message(len(data), family_of(to)) <= self.mtu:
            self.carry(data, to)


class World:
    """Node a and node b. `lose(sender, data)` sees what the path's size lets pass."""

    def __init__(
        self, *, a_to_b: int = 1500, b_to_a: int = 1500, allowed: dict[str, tuple[str, ...]] | None = None
    ) -> None:
        self.clock = Clock()
        self.a = Node(self.clock, ENDPOINT_A, KEY_A, (A4, A6), a_to_b)
        self.b = Node(self.clock, ENDPOINT_B, KEY_B, (B4, B6), b_to_a)
        self.nodes = [self.a, self.b]
        self.lose: Callable[[Node, bytes], bool] = lambda sender, data: False
        self._flying: list[tuple[float, int, Node, bytes, Endpoint]] = []
        self._sent = 0
        networks = {"a": (f"{A4}/32", f"{A6}/128"), "b": (f"{B4}/32", f"{B6}/128")} | (allowed or {})
        for node, other, name in ((self.a, self.b, "b"), (self.b, self.a, "a")):
            peer = node.device.add_peer(other.device.public_keys)
            node.device.replace_allowed_ips(peer, networks[name])
            node.device.set_endpoint(peer, other.at)
            node.carry = self._carry(node, other)
            node.device.start(self.clock.now)

    def _carry(self, node: Node, other: Node) -> Callable[[bytes, Endpoint], None]:
        def carry(data: bytes, to: Endpoint) -> None:
            if not self.lose(node, data):
                self._sent += 1
                self._flying.append((self.clock.now + DELAY, self._sent, other, data, node.at))

        return carry

    def run(self, seconds: float, each: Callable[[], None] | None = None, every: float = 0.01) -> None:
        """Let time pass; `each` is called every `every` seconds."""
        end, tick = self.clock.now + seconds, self.clock.now if each else float("inf")
        while True:
            arrival = min((flying[0] for flying in self._flying), default=float("inf"))
            now = min(arrival, *(node.due() for node in self.nodes), tick, end)
            self.clock.now = max(self.clock.now, now)
            landed = sorted(flying for flying in self._flying if flying[0] <= self.clock.now)
            self._flying = [flying for flying in self._flying if flying[0] > self.clock.now]
            for _, _, node, data, source in landed:
                node.receive(data, source)
            for node in self.nodes:
                if node.due() <= self.clock.now:
                    node.wake()
            if each and tick <= self.clock.now:
                each()
                tick += every
            if self.clock.now >= end:
                return
