"""A path with two routers in the middle, each of which decides what passes one way.

    [a] 192.0.2.2 2001:db8:a::2 ---- [near] ==== [far] ---- 198.51.100.2 2001:db8:b::2 [b]

Up is from a to b: `near` decides, and its ICMP goes to a. Down is from b to a: `far` decides. A floor is the largest IP
packet that a router forwards, whatever the cables carry: longer ones are answered by ICMP, or fragmented without DF.
Between the routers is one cable, or several that flows are spread over by their ports (ECMP).
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from tests.lab.interop import Namespace
from tests.lab.scenarios.world import World, add_addresses
from tools import ROOT

A, B = {4: "192.0.2.2", 6: "2001:db8:a::2"}, {4: "198.51.100.2", 6: "2001:db8:b::2"}
NETS = {"up": {4: "198.51.100.0/24", 6: "2001:db8:b::/64"}, "down": {4: "192.0.2.0/24", 6: "2001:db8:a::/64"}}
ICMP = (
    "icmp type destination-unreachable icmp code frag-needed drop",
    "icmpv6 type packet-too-big drop",
)


class Way(StrEnum):
    UP = "up"
    DOWN = "down"


BOTH = (Way.UP, Way.DOWN)
OPPOSITE = {Way.UP: Way.DOWN, Way.DOWN: Way.UP}


@dataclass
class _State:
    """What one router does to what it forwards."""

    floors: dict[int, int] = field(default_factory=dict)
    """Bytes by family (4 or 6)."""
    silent: bool = False
    loss: float = 0.0
    whole: bool = False


class Path:
    """`mtu` bytes of all cables; `core`: those of several cables between the routers; `delay` ms and `rate` bytes a
    second each way; `nat`: a's IPv4 address is hidden behind its router's, 10.255.0.1.
    """

    def __init__(
        self,
        world: World,
        *,
        mtu: int = 1500,
        core: Sequence[int] = (),
        delay: float = 0.0,
        rate: float = float("inf"),
        nat: bool = False,
    ) -> None:
        self.world, self.nat = world, nat
        self.a, self.b = world.space("a"), world.space("b")
        self.near, self.far = world.space("near", forwarding=True), world.space("far", forwarding=True)
        self._process: subprocess.Popen[bytes] | None = None
        self._states = {way: _State() for way in BOTH}
        for space in (self.a, self.b, self.near, self.far):
            keys = ("net.ipv4.conf.all.rp_filter=0", "net.ipv4.conf.default.rp_filter=0", "net.ipv4.icmp_ratelimit=0")
            space.run("sysctl", "-qw", *keys, "net.ipv4.fib_multipath_hash_policy=1",
                      "net.ipv6.fib_multipath_hash_policy=1", "net.ipv6.icmp.ratelimit=0",
                      "net.ipv6.conf.default.accept_dad=0")  # fmt: skip
        self._access(self.a, self.near, A, mtu)
        self._access(self.b, self.far, B, mtu)
        self._hops: list[tuple[str, int]] = []
        if delay or rate != float("inf"):
            self._hops.append((self._slow(delay, rate, mtu), 0))
        else:
            for number, each in enumerate(core or (mtu,)):
                self._hops.append((self._core(number, each), number))
        for way in BOTH:
            self._apply(way)

    # What can be told it, at any time

    def floor(self, way: Way, size: int, families: Sequence[int] = (4, 6)) -> None:
        """The largest IP packet that passes that way, in bytes."""
        self._states[way].floors |= dict.fromkeys(families, size)
        self._route(way)

    def silent(self, *ways: Way) -> None:
        """No router says that way that a packet was too long: a black hole."""
        for way in ways:
            self._states[way].silent = True
            self._rules(way)

    def loss(self, percent: float, *ways: Way) -> None:
        """Of all packets that way."""
        for way in ways:
            self._states[way].loss = percent
            self._rules(way)

    def no_fragments(self, *ways: Way) -> None:
        """What a router made pieces of that way is lost, as behind many a carrier's NAT."""
        for way in ways:
            self._states[way].whole = True
            self._rules(OPPOSITE[way])

    def cut(self, *ways: Way) -> None:
        """Nothing passes any more, until `loss` says otherwise."""
        self.loss(100.0, *ways)

    def address(self, end: str, family: int = 4) -> str:
        """Where "a" or "b" is reached from the other side."""
        if end == "b":
            return B[family]
        return "10.255.0.1" if self.nat and family == 4 else A[family]

    def router(self, way: Way) -> Namespace:
        return self.near if way is Way.UP else self.far

    def close(self) -> None:
        """End the cable's process; the namespaces are the world's."""
        if self._process and self._process.stdin:
            self._process.stdin.close()
            self._process.wait(10)

    # How it is built

    def _access(self, host: Namespace, router: Namespace, addresses: dict[int, str], mtu: int) -> None:
        near = [f"{addresses[4]}/24", f"{addresses[6]}/64"]
        gates = [addresses[4][:-1] + "1", addresses[6][:-1] + "1"]
        name = self.world.cable(host, router, near, [f"{gates[0]}/24", f"{gates[1]}/64"], mtu)
        _one_by_one(name, host, router)
        host.run("ip", "route", "add", "default", "via", gates[0])
        host.run("ip", "-6", "route", "add", "default", "via", gates[1])

    def _core(self, number: int, mtu: int) -> str:
        near, far = ([f"10.255.{number}.{end}/24", f"2001:db8:c{number}::{end}/64"] for end in (1, 2))
        name = self.world.cable(self.near, self.far, near, far, mtu)
        _one_by_one(name, self.near, self.far)
        return name

    def _slow(self, delay: float, rate: float, mtu: int) -> str:
        places = [f"{space.name}:slow" for space in (self.near, self.far)]
        words = [sys.executable, "-m", "tests.lab.path.cable", *places, str(delay), str(rate)]
        self._process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT)
        assert self._process.stdout
        assert self._process.stdout.readline() == b"ready\n"
        for end, space in enumerate((self.near, self.far), 1):
            space.run("ip", "link", "set", "slow", "mtu", str(mtu), "txqueuelen", "10000")
            add_addresses(space, "slow", [f"10.255.0.{end}/24", f"2001:db8:c0::{end}/64"])
        return "slow"

    # What a router is told

    def _apply(self, way: Way) -> None:
        self._route(way)
        self._rules(way)

    def _route(self, way: Way) -> None:
        router, other = self.router(way), 2 if way is Way.UP else 1
        for family, floor in {4: 0, 6: 0, **self._states[way].floors}.items():
            hops = [f"nexthop via {_gate(family, number, other)} dev {name}" for name, number in self._hops]
            said = f"mtu {floor} " if floor else ""
            router.run("ip", f"-{family}", "route", "replace", *f"{NETS[way][family]} {said}{' '.join(hops)}".split())
            if self.nat and way is Way.DOWN and family == 4:
                router.run("ip", "route", "replace", *f"10.255.0.1 dev {self._hops[0][0]} {said}".split())

    def _rules(self, way: Way) -> None:
        state, names = self._states[way], ", ".join(f'"{name}"' for name, _ in self._hops)
        lines = ["table inet path", "delete table inet path", "table inet path {"]
        if state.silent:
            lines += ["chain output { type filter hook output priority 0;", *ICMP, "}"]
        if state.loss:
            share = round(state.loss * 10)
            lost = "drop" if share == 1000 else f"numgen random mod 1000 < {share} drop"
            lines += ["chain forward { type filter hook forward priority 0;", f"oifname {{ {names} }} {lost}", "}"]
        if self._states[OPPOSITE[way]].whole:
            lines += ["chain pieces { type filter hook prerouting priority -450;"]  # before conntrack joins them
            lines += [f"iifname {{ {names} }} ip frag-off & 0x3fff != 0 drop", "}"]
        if self.nat and way is Way.UP:
            lines += ["chain nat { type nat hook postrouting priority srcnat;"]
            lines += [f"oifname {{ {names} }} ip saddr {A[4]} masquerade", "}"]
        self.router(way).run("nft", "-f", "-", text="\n".join([*lines, "}", ""]))


def _gate(family: int, number: int, end: int) -> str:
    return f"10.255.{number}.{end}" if family == 4 else f"2001:db8:c{number}::{end}"


def _one_by_one(interface: str, *spaces: Namespace) -> None:
    """What is sent as one crosses the cable packet by packet, as on a real one, so that sizes are seen."""
    for space in spaces:
        space.run("ethtool", "-K", interface, "tx-udp-segmentation", "off", "tso", "off", "gso", "off", "gro", "off")
