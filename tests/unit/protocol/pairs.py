"""Two devices on a wire with a fake clock: what the protocol tests are written in."""

from __future__ import annotations

import random
import struct
from collections.abc import Callable
from ipaddress import ip_address

from tests.planes import new_device
from wgnode.protocol import Endpoint, Peer

KEY_A, KEY_B, KEY_C, KEY_D = (bytes([n]) * 32 for n in (0x41, 0x42, 0x43, 0x44))
PSK_1, PSK_2 = bytes([0x51]) * 32, bytes([0x52]) * 32
ENDPOINT_A, ENDPOINT_B = Endpoint("192.0.2.1", 51820), Endpoint("198.51.100.2", 51820)
A4, B4, A6, B6 = "10.0.0.1", "10.0.0.2", "fd00::1", "fd00::2"
EPOCH = 1_700_000_000

Datagram = tuple[bytes, Endpoint]


def packet(source: str, destination: str, payload: bytes = b"hello") -> bytes:
    """An inner IPv4 or IPv6 packet with right lengths; checksums are nobody's business here."""
    src, dst = ip_address(source), ip_address(destination)
    if src.version == 4:
        head = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(payload), 0, 0, 64, 17, 0)
    else:
        head = struct.pack(">IHBB", 6 << 28, len(payload), 17, 64)
    return head + src.packed + dst.packed + payload


class Clock:
    """Monotonic `now`, and a wall clock for TAI64N that runs along."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.wall_offset = 0.0

    def tai64n(self) -> bytes:
        seconds = EPOCH + self.now + self.wall_offset
        return struct.pack(">QI", 0x400000000000000A + int(seconds), int(seconds % 1 * 1e9))


class Node:
    """A device with a name on the wire, and all that it delivered."""

    def __init__(self, clock: Clock, endpoint: Endpoint, keys: tuple[bytes, ...], seed: int, **options: object) -> None:
        self.clock = clock
        self.endpoint = endpoint
        self.delivered: list[bytes] = []
        self.device = new_device(keys, random=random.Random(seed).randbytes, tai64n=clock.tai64n, **options)  # type: ignore[arg-type]

    @property
    def peer(self) -> Peer:
        return self.device.peers[0]

    def send(self, data: bytes) -> None:
        self.device.send_packet(data, self.clock.now)

    def receive(self, data: bytes, source: Endpoint) -> None:
        self.device.receive_datagram(data, source, self.clock.now)
        self.delivered += self.device.packets_to_deliver()

    def take(self) -> list[bytes]:
        """The datagrams waiting to be sent, without their destinations."""
        return [data for data, _ in self.device.datagrams_to_send()]


class Pair:
    """Node a (10.0.0.1, fd00::1) and node b (10.0.0.2, fd00::2), each the other's only peer.

    `wire(sender, data)` sees every datagram and returns whether it arrives; `log` has (time, sender, data) of all.
    """

    def __init__(self, *, know_b: bool = True, know_a: bool = True, start: bool = True, **options: object) -> None:
        self.clock = Clock()
        self.a = Node(self.clock, ENDPOINT_A, (KEY_A,), 1, **options)
        self.b = Node(self.clock, ENDPOINT_B, (KEY_B,), 2, **options)
        self.wire: Callable[[Node, bytes], bool] = lambda sender, data: True
        self.log: list[tuple[float, Node, bytes]] = []
        self._introduce(self.a, self.b, know_b, [f"{B4}/32", f"{B6}/128"])
        self._introduce(self.b, self.a, know_a, [f"{A4}/32", f"{A6}/128"])
        if start:
            self.a.device.start(self.clock.now)
            self.b.device.start(self.clock.now)

    @staticmethod
    def _introduce(node: Node, other: Node, known: bool, networks: list[str]) -> None:
        peer = node.device.add_peer(other.device.public_keys)
        node.device.replace_allowed_ips(peer, networks)
        if known:
            node.device.set_endpoint(peer, other.endpoint)

    @property
    def now(self) -> float:
        return self.clock.now

    def other(self, node: Node) -> Node:
        return self.b if node is self.a else self.a

    def deliver(self) -> None:
        """Carry datagrams to and fro until nothing moves."""
        moved = True
        while moved:
            moved = False
            for node in (self.a, self.b):
                for data in node.take():
                    moved = True
                    self.log.append((self.now, node, data))
                    if self.wire(node, data):
                        self.other(node).receive(data, node.endpoint)

    def advance(self, seconds: float) -> None:
        """Let time pass, waking at each deadline of either side, delivering all the while."""
        end = self.now + seconds
        while True:
            deadlines = [d for n in (self.a, self.b) if (d := n.device.next_deadline()) is not None and d <= end]
            self.clock.now = max(self.now, min(deadlines, default=end))
            for node in (self.a, self.b):
                node.device.handle_timer(self.now)
            self.deliver()
            if not deadlines:
                return

    def jump(self, seconds: float) -> None:
        """Let time pass unnoticed: no timer is served."""
        self.clock.now += seconds

    def a_to_b(self, payload: bytes = b"hello") -> None:
        self.a.send(packet(A4, B4, payload))
        self.deliver()

    def b_to_a(self, payload: bytes = b"hello") -> None:
        self.b.send(packet(B4, A4, payload))
        self.deliver()

    def connect(self) -> Pair:
        """A session with a as its initiator, confirmed on both sides; forgets what was delivered and logged."""
        self.a_to_b()
        assert self.b.delivered == [packet(A4, B4)], (self.a.device.counters, self.b.device.counters)
        self.clear()
        return self

    def clear(self) -> None:
        self.a.delivered.clear()
        self.b.delivered.clear()
        self.log.clear()

    def sent(self, node: Node, kind: int | None = None) -> list[bytes]:
        """What the node sent, of this message type if given."""
        return [data for _, sender, data in self.log if sender is node and kind in (None, data[0])]

    def times(self, node: Node, kind: int) -> list[float]:
        """When the node sent messages of this type."""
        return [at for at, sender, data in self.log if sender is node and data[0] == kind]


def pair(**options: object) -> Pair:
    """Two devices that know each other, started; see Pair."""
    return Pair(**options)  # type: ignore[arg-type]
