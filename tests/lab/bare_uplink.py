"""Hosts that are bare network namespaces, read by the scripts that read a real one, with our real table."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Protocol

from pulumi_wgnode.hosts.host import Result
from pulumi_wgnode.hosts.networks import network, routing, uplink
from pulumi_wgnode.hosts.networks.outside import surroundings
from pulumi_wgnode.hosts.networks.ways import Packet, leaves_by
from pulumi_wgnode.resources.firewall_state import desired
from tests.lab.interop import Namespace

HOST, HOST6, BOX = "198.51.100.2", "2001:db8:2::2", "172.17.0.2"
OPEN, SHUT = 443, 8006
INPUTS: dict[str, Any] = {
    "connection": {"port": 22},
    "transit": {"v4": "172.31.255.252/30", "v6": "fd77:676e:6f64:6500::/126"},
    "listenPort": 51820,
    "managementNetworks": ["192.0.2.77/32"],
    "allow": [{"protocol": "tcp", "port": OPEN, "from": []}],
    "leaveAlone": ["lan0"],
}
ADDRESSED = [f"{HOST}/24", f"{HOST6}/64"]
BRIDGED = """ip link add vmbr0 type bridge
ip addr flush dev wan0
ip -6 route flush dev wan0
ip link set wan0 master vmbr0"""


GUESTS = {4: "172.31.255.254", 6: "fd77:676e:6f64:6500::2"}
GATEWAY = """ip tuntap add dev wgnode-wan mode tap
ip link set wgnode-wan up
ip addr add 172.31.255.253/30 dev wgnode-wan
ip addr add fd77:676e:6f64:6500::1/126 dev wgnode-wan nodad
cd /proc/sys/net
for name in ipv4/ip_forward ipv6/conf/all/forwarding; do echo 1 >$name; done
for name in all wgnode-wan; do echo 0 >ipv4/conf/$name/rp_filter; done"""
"""A gateway's link, so that the kernel tells where it would forward its packets."""


class Space(Protocol):
    """Where a host's commands run."""

    def run(self, *command: str | Path, check: bool = True, text: str | None = None) -> str: ...


@dataclass
class Host:
    space: Space

    def setup(self, *scripts: str) -> None:
        self.space.run("sh", "-ec", "\n".join(scripts))

    def found(self, name: str, **more: Any) -> uplink.Finding:
        guests = ["172.31.255.254/30", "fd77:676e:6f64:6500::2/126"]
        site = uplink.site_of(name, "lan0", "wgnode-wan", guests, 51820, **more)
        return uplink.judged(self.space.run(*network.READ_LINKS), self.routing(), site)

    def routing(self) -> routing.Routing:
        return routing.parse(Result(0, self.space.run(*routing.QUERY.argv), ""))

    def load(self, name: str) -> None:
        around = surroundings(self.routing(), name)
        self.space.run("nft", "-f", "-", text=desired({**INPUTS, "uplink": name}, around).script)


@dataclass
class Net:
    host: Host
    internet: Namespace
    office: Namespace
    box: Namespace


def on(name: str) -> str:
    """The host's addresses and default routes on an interface."""
    add = "\n".join(f"ip addr add {address} dev {name} nodad" for address in ADDRESSED)
    ways = f"ip route add default via 198.51.100.1\nip -6 route add default via 2001:db8:2::1 dev {name}"
    return f"ip link set {name} up\n{add}\n{ways}"


def wire(host: Host, name: str, other: Namespace, peer: str, *addresses: str) -> None:
    host.space.run("ip", "link", "add", name, "type", "veth", "peer", "name", peer, "netns", other.name)
    host.space.run("ip", "link", "set", name, "up")
    add = "".join(f"ip addr add {address} dev {peer} {'nodad' if ':' in address else ''}\n" for address in addresses)
    other.run("sh", "-ec", f"ip link set {peer} up\n{add}")


def listen(space: Namespace) -> Callable[[], None]:
    """The kernel answers for who listens, also if nobody ever takes what has come; how to stop it."""
    addresses = [("::", port) for port in (OPEN, SHUT)]
    made = space.call(
        lambda: [socket.create_server(one, family=socket.AF_INET6, dualstack_ipv6=True) for one in addresses]
    )
    return lambda: [one.close() for one in made] and None


def connects(space: Namespace, address: str, port: int, patience: float = 0.3) -> bool:
    def attempt() -> bool:
        with contextlib.suppress(OSError), socket.create_connection((address, port), patience):
            return True
        return False

    return space.call(attempt)


def reached(space: Namespace, address: str, port: int) -> bool:
    """By a host whose neighbours may have to be found anew, as after its address moved."""
    deadline = time.monotonic() + 5
    while not connects(space, address, port, 1):
        if time.monotonic() > deadline:
            return False
    return True


def agrees_with_the_kernel(host: Host) -> None:
    """For the gateway's packets, which the host forwards."""
    to = ("8.8.8.8", "203.0.113.77", "10.9.0.7", "172.17.0.9", "198.51.100.77", "2600::1", "2001:db8:9::77")
    packets = [(Packet("wgnode-wan", ip_address(GUESTS[to.version]), 51820), to) for to in map(ip_address, to)]
    ask = "ip -o route get {} from {} iif wgnode-wan ipproto 17 sport 51820 dport 51822 2>/dev/null || echo nowhere"
    said = host.space.run("sh", "-c", "\n".join(ask.format(to, packet.source) for packet, to in packets)).splitlines()
    routes = host.routing()
    for (packet, address), line in zip(packets, said, strict=True):
        words = line.split()
        way = words[words.index("dev") + 1] if "dev" in words else None
        ours = leaves_by(routes, packet, address)
        assert way in ours if way else ours == (), (address, line, ours)
