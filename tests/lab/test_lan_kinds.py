"""In which LANs devices can have addresses: found by looking at links and by asking, of real kernels.

[host] lan0 ---- lan0-far [machine 10.1.0.7]
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pulumi_wgnode.hosts.host import HostError
from pulumi_wgnode.resources import lan_kinds
from tests.lab.bare_host import BareHost, bare_host
from tests.lab.interop import Namespace, wait_for
from tests.lab.test_who_has import MACHINE, SETTLED, Shell
from tests.unit.pulumi_wgnode.resources import gateway_case
from wgnode.nodeconfig import PeerConfig

pytestmark = pytest.mark.lab
OWN = "ip addr add 10.1.0.1/24 dev lan0; ip addr add fd00:10:1::1/64 dev lan0 nodad"
BRIDGED = f"ip link add br9 type bridge; ip link set br9 up; ip link set lan0 master br9; {OWN.replace('lan0', 'br9')}"
LAN = replace(gateway_case.CONFIG.lan, addresses=("10.1.0.2/24", "fd00:10:1::2/64"))
PHONE = PeerConfig("alice/phone", (bytes(range(32)),), ("10.1.0.130/32",))
FABRIC = f"""
import socket
from wgnode.responder.packets import Kind, Said, answer, heard
wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
wire.bind(("lan0-far", 3))
print("ready", flush=True)
while True:
    for said in heard(wire.recv(2048)):
        if said.kind is not Kind.CLAIMED:
            wire.send(answer(bytes.fromhex("{MACHINE.replace(":", "")}"), said))
"""
"""A cloud's router: whatever is asked for, it has it."""


def inputs(lan: str = "lan0") -> dict[str, Any]:
    config = replace(gateway_case.CONFIG, lan=LAN, devices=(PHONE,))
    return {"config": config.to_json().decode(), "lanInterface": lan, "instance": ""}


@contextmanager
def lan(setting: str = OWN) -> Iterator[tuple[BareHost, Namespace]]:
    with bare_host(setting) as host:
        machine = Namespace(f"{host.space.name}-m")
        try:
            host.shell(f"ip link set lan0-far netns {machine.name}")
            addresses = "; ".join(f"ip addr add {one} dev lan0-far nodad" for one in ("10.1.0.7/24", "fd00:10:1::7/64"))
            machine.run("sh", "-ec", f"ip link set lan0-far address {MACHINE} up; {addresses}")
            host.shell(SETTLED)
            yield host, machine
        finally:
            machine.close()


@pytest.mark.parametrize("setting", ["true", OWN, BRIDGED])
def test_an_ethernet_is_taken_whoever_is_there(setting: str) -> None:
    with lan(setting) as (host, _):
        host.shell("ping -c 1 -W 1 10.1.0.7", check=False)
        lan_kinds.require_ethernet(Shell(host), inputs())


@pytest.mark.parametrize(
    ("setting", "interface", "says"),
    [
        ("ip addr add 10.1.0.1/32 dev lan0", "lan0", "lan0 has 10.1.0.1/32 alone of 10.1.0.0/24, which its machines"),
        ("ip addr add 10.1.0.1/32 dev lan0; ip addr add 10.1.0.3/24 dev lan0", "lan0", ""),
        ("ip link set lan0 arp off", "lan0", "lan0 asks nobody for addresses (NOARP)"),
        ("ip tuntap add tun7 mode tun; ip link set tun7 up", "tun7", "tun7 is no Ethernet (none)"),
    ],
)
def test_what_the_links_say_is_refused_with_the_way_out(setting: str, interface: str, says: str) -> None:
    with lan(setting) as (host, _):
        refused = pytest.raises(HostError, match=f"{re.escape(says)}.*make a site whose LAN is an Ethernet of its own")
        with refused if says else nullcontext():
            lan_kinds.require_ethernet(Shell(host), inputs(interface))


def test_a_router_that_answers_for_everybody_is_found(tmp_path: Path) -> None:
    with lan() as (host, machine):
        root = str(Path(__file__).parents[2])
        machine.spawn(sys.executable, "-c", FABRIC, log=tmp_path / "log", PYTHONPATH=root)
        wait_for(lambda: "ready" in (tmp_path / "log").read_text(), "the router does not start")
        with pytest.raises(HostError, match=f"{MACHINE} answers in the LAN lan0 for addresses that nobody has"):
            lan_kinds.require_ethernet(Shell(host), inputs())


@pytest.mark.parametrize("passed", [False, True])
def test_a_switch_that_passes_the_hosts_mac_alone_is_found_and_one_that_passes_ours_too_is_not(passed: bool) -> None:
    with lan() as (host, machine):
        own = host.shell("cat /sys/class/net/lan0/address").strip()
        macs = f"{own}, {LAN.mac}" if passed else own
        machine.run("nft", f"add table netdev f; add chain netdev f c {{ type filter hook ingress device lan0-far"
                           f" priority 0; }}; add rule netdev f c ether saddr != {{ {macs} }} drop")  # fmt: skip
        host.shell("ping -c 1 -W 2 10.1.0.7")
        with (
            nullcontext()
            if passed
            else pytest.raises(HostError, match=rf"10\.1\.0\.7.* not the gateway's MAC {LAN.mac}")
        ):
            lan_kinds.require_ethernet(Shell(host), inputs())
