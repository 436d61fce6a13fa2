"""Uplinks over bonds, VLANs, VRFs and tunnels, on a kernel that has them: which is right, and what is said of others.

[guest, a namespace a case] eno1 eno2 lan0 wgnode-wan
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.lab.bare_uplink import GATEWAY, Host, agrees_with_the_kernel, on
from tests.lab.link_guest import LinkGuest

pytestmark = [pytest.mark.lab, pytest.mark.in_turn("hosts")]

BOND = """ip link add bond0 type bond mode active-backup
for name in eno1 eno2; do ip link set $name down; ip link set $name master bond0; done
ip link set bond0 up"""
OFF = "for family in 4 6; do ip -$family route del default; done"


def vlan(below: str, number: int = 5) -> str:
    name = f"{below}.{number}"
    return f"ip link set {below} up\nip link add link {below} name {name} type vlan id {number}\nip link set {name} up"


def bridge(port: str, name: str = "vmbr0") -> str:
    return f"ip link add {name} type bridge\nip link set {name} up\nip link set {port} master {name}"


def tunnel(name: str, kind: str) -> str:
    """The default routes through it, whose packets leave by eno1."""
    made = f"ip link add {name} type {kind}\nip link set {name} up\nip addr add 10.64.0.1/30 dev {name}"
    return f"{on('eno1')}\n{made}\n{OFF}\nip route add default dev {name}\nip -6 route add default dev {name}"


def end_of(kind: str) -> str:
    return f"{kind} local 198.51.100.2 remote 192.0.2.2"


# What is made, the uplink, and what of other links is said.
KINDS: dict[str, tuple[str, str, dict[str, str]]] = {
    "bond": (f"{BOND}\n{on('bond0')}", "bond0", {"eno1": "a slave of the bond bond0; traffic leaves by bond0"}),
    "vlan": (f"{vlan('eno1')}\n{on('eno1.5')}", "eno1.5", {"eno1": "not where traffic leaves, which is eno1.5"}),
    "vlan beside its card": (
        f"{vlan('eno1')}\nip addr add 10.5.0.1/24 dev eno1.5\n{on('eno1')}",
        "eno1",
        {"eno1.5": "not where traffic leaves, which is eno1"},
    ),
    "vlan in a vlan": (
        f"{vlan('eno1')}\n{vlan('eno1.5', 7)}\n{on('eno1.5.7')}",
        "eno1.5.7",
        {"eno1.5": "not where traffic leaves, which is eno1.5.7"},
    ),
    "vlan on a bond": (
        f"{BOND}\n{vlan('bond0')}\n{on('bond0.5')}",
        "bond0.5",
        {
            "bond0": "not where traffic leaves, which is bond0.5",
            "eno2": "a slave of the bond bond0; traffic leaves by bond0.5",
        },
    ),
    "bridge on a bond": (
        f"{BOND}\n{bridge('bond0')}\n{on('vmbr0')}",
        "vmbr0",
        {
            "bond0": "a port of the bridge vmbr0; traffic leaves by vmbr0",
            "eno1": "a slave of the bond bond0; traffic leaves by vmbr0",
        },
    ),
    "bridge on a vlan on a bond": (
        f"{BOND}\n{vlan('bond0')}\n{bridge('bond0.5')}\n{on('vmbr0')}",
        "vmbr0",
        {"bond0.5": "a port of the bridge vmbr0; traffic leaves by vmbr0"},
    ),
    "vlan on a bridge": (
        f"{bridge('eno1')}\n{vlan('vmbr0')}\n{on('vmbr0.5')}",
        "vmbr0.5",
        {
            "vmbr0": "not where traffic leaves, which is vmbr0.5",
            "eno1": "a port of the bridge vmbr0; traffic leaves by vmbr0.5",
        },
    ),
    "macvlan on a vlan": (
        f"{vlan('eno1')}\nip link add link eno1.5 name mv0 type macvlan\n{on('mv0')}",
        "mv0",
        {"eno1.5": "not where traffic leaves, which is mv0"},
    ),
    "ipvlan": (
        f"ip link set eno1 up\nip link add link eno1 name iv0 type ipvlan mode l2\n{on('iv0')}",
        "iv0",
        {"eno1": "not where traffic leaves, which is iv0"},
    ),
    "team": (
        f"ip link add team0 type team\nip link set eno1 down\nip link set eno1 master team0\n{on('team0')}",
        "team0",
        {"eno1": "a port of the team team0; traffic leaves by team0"},
    ),
    "vrf of others": (
        f"{on('eno1')}\nip link add blue type vrf table 10\nip link set blue up\nip link set eno2 master blue up\n"
        "ip addr add 203.0.113.2/24 dev eno2\nip route add default via 203.0.113.1 table 10",
        "eno1",
        {"eno2": "in the VRF blue", "blue": "a VRF"},
    ),
    "two vlans by metric": (
        f"{vlan('eno1')}\n{vlan('eno1', 6)}\n{on('eno1.5')}\nip addr add 203.0.113.2/24 dev eno1.6\n"
        "ip route add default via 203.0.113.1 metric 100",
        "eno1.5",
        {"eno1.6": "not where traffic leaves, which is eno1.5"},
    ),
    "a policy table by a vlan": (
        f"{vlan('eno1')}\n{on('eno1')}\nip addr add 203.0.113.2/24 dev eno1.5\nip -6 route del default\n"
        "ip route add default via 203.0.113.1 table 77\nip rule add iif wgnode-wan lookup 77",
        "eno1.5",
        {"eno1": "not where traffic leaves, which is eno1.5"},
    ),
    "gre": (tunnel("gre1", end_of("gre")), "gre1", {"eno1": "not where traffic leaves, which is gre1"}),
    "ipip": (tunnel("ipip1", end_of("ipip")), "ipip1", {"eno1": "not where traffic leaves, which is ipip1"}),
    "vti": (tunnel("vti1", end_of("vti") + " key 5"), "vti1", {"eno1": "not where traffic leaves, which is vti1"}),
    "xfrm": (tunnel("xf1", "xfrm dev eno1 if_id 3"), "xf1", {"eno1": "not where traffic leaves, which is xf1"}),
    "wireguard": (tunnel("wg7", "wireguard"), "wg7", {"eno1": "not where traffic leaves, which is wg7"}),
    "6in4": (
        f"{on('eno1')}\nip link add sit1 type sit local 198.51.100.2 remote 192.0.2.2\nip link set sit1 up\n"
        "ip -6 addr add 2001:db8:6::2/64 dev sit1\nip -6 route del default\nip -6 route add default dev sit1",
        "eno1",  # by IPv4, and the tunnel by IPv6: one family is enough
        {"eno2": "not where traffic leaves, which is eno1 and sit1"},
    ),
}


@dataclass
class Inside:
    """A namespace of the guest."""

    guest: LinkGuest
    name: str

    def run(self, *command: str | Path, check: bool = True, text: str | None = None) -> str:
        assert text is None
        return self.guest.inside(self.name, shlex.join(map(str, command)) + ("" if check else " || true"))


@pytest.fixture(scope="module")
def guest(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LinkGuest]:
    made = LinkGuest(tmp_path_factory.mktemp("links"))
    yield made
    made.close()


@pytest.mark.sampled(0)
@pytest.mark.parametrize("kind", KINDS)
def test_an_uplink_of_any_kind_is_the_link_that_has_address_and_route(guest: LinkGuest, kind: str) -> None:
    script, right, wrong = KINDS[kind]
    host = Host(Inside(guest, f"case{list(KINDS).index(kind)}"))
    cards = "for name in eno1 eno2 lan0; do ip link add $name type dummy; ip link set $name up; done"
    host.setup(cards, GATEWAY, script)
    assert host.found(right).sound, host.found(right)
    assert {name: host.found(name).what for name in wrong} == wrong
    agrees_with_the_kernel(host)
