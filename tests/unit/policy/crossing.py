"""A gateway with two devices and a site, whose policy judges what its plane moves; packets to try it with."""

from __future__ import annotations

import random
import struct
from ipaddress import ip_address

from tests.planes import new_device
from tests.unit.protocol.pairs import Clock
from wgnode.dataplane.plain import PlainPlane
from wgnode.policy.model import Class, Denial, Policy, Rule
from wgnode.protocol import Device, Endpoint, Peer
from wgnode.protocol.errors import Drop

ALICE, BOB, SITE = "10.1.0.130", "10.1.0.131", "10.2.0.5"
ALICE6, BOB6, SITE6 = "fd00:10:1::1001", "fd00:10:1::1002", "fd00:10:2::5"
MACHINE, MACHINE6 = "10.1.0.20", "fd00:10:1::20"
GATEWAY = "10.1.0.2"
PUBLIC, PUBLIC6 = "203.0.113.7", "2001:db8:7::7"
NETWORKS = {
    "alice": (f"{ALICE}/32", f"{ALICE6}/128"),
    "bob": (f"{BOB}/32", f"{BOB6}/128"),
    "site": ("10.2.0.0/24", "fd00:10:2::/64"),
}
KNOWN = ("10.0.0.0/8", "fd00::/8")
LANS = ("10.1.0.0/24", "10.2.0.0/24", "fd00:10:1::/64", "fd00:10:2::/64")
STAFF, GUESTS = 1, 2
ALL = Class(
    outgoing=(Rule("groups.staff.reach", networks=LANS, classes=(STAFF, GUESTS)),),
    incoming=(Rule("groups.staff.reach", networks=LANS),),
)
TCP, UDP, ICMP, ICMP6 = 6, 17, 1, 58


def policy(*guests: Rule, incoming: tuple[Rule, ...] = (), own: tuple[str, ...] = (GATEWAY,)) -> Policy:
    """`staff` reach all, `guests` what is given."""
    return Policy((Class(), ALL, Class(guests, incoming)), KNOWN, own)


class Crossing:
    """alice is staff and bob a guest, unless `classes` says otherwise; each is connected."""

    def __init__(self, said: Policy | None, classes: dict[str, int] | None = None) -> None:
        self.clock = Clock()
        self.gateway = new_device((bytes([9]) * 32,), random=random.Random(9).randbytes, tai64n=self.clock.tai64n)
        self.others = {name: self._other(number) for number, name in enumerate(NETWORKS, 1)}
        self.homes = {name: Endpoint(f"192.0.2.{number}", 51820) for number, name in enumerate(NETWORKS, 1)}
        for name, networks in NETWORKS.items():
            peer = self.gateway.add_peer(self.others[name].public_keys, name)
            self.gateway.replace_allowed_ips(peer, networks)
        self.gateway.start(self.clock.now)
        for name in NETWORKS:
            self.others[name].start(self.clock.now)
            self.carry(name, udp(NETWORKS[name][0].partition("/")[0], MACHINE))
        self.judge(said, classes)
        self.denials()

    def _other(self, number: int) -> Device:
        key, randomness = bytes([number]) * 32, random.Random(number).randbytes
        other = Device((key,), plane=PlainPlane(), random=randomness, tai64n=self.clock.tai64n)
        peer = other.add_peer(self.gateway.public_keys)
        other.replace_allowed_ips(peer, ["0.0.0.0/0", "::/0"])
        other.set_endpoint(peer, Endpoint("198.51.100.1", 51820))
        return other

    def judge(self, said: Policy | None, classes: dict[str, int] | None = None) -> None:
        named = {"alice": STAFF, "bob": GUESTS} if classes is None else classes
        self.gateway.access.set_policy(said, {self.others[name].public_keys[0]: one for name, one in named.items()})

    def peer(self, name: str) -> Peer:
        found = self.gateway.peer(self.others[name].public_keys[0])
        assert found is not None
        return found

    def carry(self, name: str, data: bytes) -> bool:
        """A packet of that peer's comes through its tunnel: whether the gateway lets it on."""
        other, now = self.others[name], self.clock.now
        other.send_packet(data, now)
        found = []
        for _ in range(4):
            for message, _ in other.datagrams_to_send():
                self.gateway.receive_datagram(message, self.homes[name], now)
            found += self.gateway.packets_to_deliver()
            for message, to in self.gateway.datagrams_to_send():
                if to[:2] == self.homes[name][:2]:
                    other.receive_datagram(message, Endpoint("198.51.100.1", 51820), now)
            other.packets_to_deliver()
        return data in found

    def offer(self, data: bytes) -> bool:
        """A packet comes out of the gateway's network to a peer: whether it is sent."""
        self.gateway.send_packet(data, self.clock.now)
        sent = self.gateway.datagrams_to_send()
        for message, to in sent:
            for name, home in self.homes.items():
                if to[:2] == home[:2]:
                    self.others[name].receive_datagram(message, Endpoint("198.51.100.1", 51820), self.clock.now)
                    self.others[name].packets_to_deliver()
        return bool(sent)

    def denials(self) -> list[Denial]:
        return self.gateway.access.collect(self.clock.now)

    def denied(self) -> list[tuple[str, bool, str, int]]:
        """Whose, whether outgoing, why, and how many packets."""
        names = {self.peer(name).number: name for name in NETWORKS}
        return [(names[one.peer], one.outgoing, one.rule, one.packets) for one in self.denials()]

    @property
    def dropped(self) -> int:
        return self.gateway.counters[Drop.DENIED]


def ip(source: str, destination: str, protocol: int, payload: bytes, *, fragment: int = 0, ident: int = 7) -> bytes:
    """`fragment` is IPv4's field of flags and offset."""
    src, dst = ip_address(source).packed, ip_address(destination).packed
    if len(src) == 4:
        length = 20 + len(payload)
        return struct.pack(">BBHHHBBH", 0x45, 0, length, ident, fragment, 64, protocol, 0) + src + dst + payload
    return struct.pack(">IHBB", 6 << 28, len(payload), protocol, 64) + src + dst + payload


def udp(source: str, destination: str, port: int = 53, sport: int = 4000, more: bytes = b"hello") -> bytes:
    return ip(source, destination, UDP, struct.pack(">HHHH", sport, port, 8 + len(more), 0) + more)


def tcp(source: str, destination: str, port: int = 443, sport: int = 4000, flags: int = 0x10) -> bytes:
    return ip(source, destination, TCP, struct.pack(">HHIIBBHHH", sport, port, 0, 0, 0x50, flags, 0, 0, 0))


def icmp(source: str, destination: str, kind: int, code: int = 0, rest: bytes = b"", ident: int = 5) -> bytes:
    protocol = ICMP6 if ":" in source else ICMP
    return ip(source, destination, protocol, struct.pack(">BBHHH", kind, code, 0, ident, 1) + rest)


def ping(source: str, destination: str, ident: int = 5) -> bytes:
    return icmp(source, destination, 128 if ":" in source else 8, ident=ident)


def pong(source: str, destination: str, ident: int = 5) -> bytes:
    return icmp(source, destination, 129 if ":" in source else 0, ident=ident)


def unreachable(source: str, destination: str, cited: bytes) -> bytes:
    """An error about a packet, of which as much is cited as IPv4 has to."""
    return icmp(source, destination, 1 if ":" in source else 3, 1, cited[: 48 if ":" in source else 28], ident=0)


def later(source: str, destination: str, protocol: int = UDP, ident: int = 7, more: bool = False) -> bytes:
    """A second fragment."""
    if ":" not in source:
        return ip(source, destination, protocol, bytes(32), fragment=0x2000 * more | 4, ident=ident)
    return ip(source, destination, 44, struct.pack(">BBHI", protocol, 0, 32 | more, ident) + bytes(32))


def first(whole: bytes, ident: int = 7) -> bytes:
    """A packet as the first fragment of a longer one."""
    if whole[0] >> 4 == 4:
        return whole[:4] + struct.pack(">HH", ident, 0x2000) + whole[8:]
    head = struct.pack(">BBHI", whole[6], 0, 1, ident)
    return whole[:4] + (len(whole) - 32).to_bytes(2, "big") + b"\x2c" + whole[7:40] + head + whole[40:]
