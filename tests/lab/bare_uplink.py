"""Hosts that are bare network namespaces, read by the scripts that read a real one, with our real table."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from infra.hosts import network, routing, uplink
from infra.hosts.host import Result
from infra.hosts.outside import surroundings
from infra.resources.firewall_state import desired
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


@dataclass
class Host:
    space: Namespace

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
