"""The services of a host that listen where its uplink can reach them, from `ss`. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from typing import Literal

from pulumi_wgnode.hosts.query import Query
from wgnode.firewall.closing import Way
from wgnode.firewall.others.packet import FAMILIES, Family, Packet
from wgnode.firewall.rules import Firewall

QUERY: Query[str] = Query(["ss", "-H", "-n", "-l", "-t", "-u", "-p"], lambda said: said.stdout)
_LINE = re.compile(r"(tcp|udp) +\S+ +\d+ +\d+ +(\S+):(\d+) +\S+(?: +users:\(\(\"([^\"]*)\",pid=(\d+))?")
_CLIENTS = (("udp", 68), ("udp", 546))  # of DHCP, whose answers our table lets in


def ways(
    text: str, wanted: Firewall, at_uplink: Collection[str], translated: Collection[tuple[Family, str, int]] = ()
) -> Iterator[Way]:
    """`at_uplink` are the addresses of the uplink. SSH is let in from where it is managed; what is `translated` never
    comes to who listens there, as Docker's proxy does."""
    own = (("tcp", wanted.ssh_port), ("udp", wanted.listen_port), *_CLIENTS)
    for match in _LINE.finditer(text):
        protocol, port, who = match[1], int(match[3]), match[4]
        address, _, device = match[2].strip("[]").partition("%")
        address, _, late = address.partition("%")
        device = device.strip("]") or late
        if (protocol, port) in own or device not in ("", wanted.uplink):
            continue
        heard = _families(address, at_uplink)
        if families := [family for family in heard if (family, protocol, port) not in translated]:
            name = f"{protocol.upper()} {port}" + (f" ({who}, pid {match[5]})" if who else "")
            packets = tuple(_packet(family, protocol, port, wanted.uplink) for family in families)
            yield Way(name, "allow", f"{{protocol: {protocol}, port: {port}}}", packets)


def _families(address: str, at_uplink: Collection[str]) -> tuple[Family, ...]:
    """Of IP that reach it; none where it listens elsewhere only, as on loopback."""
    if address == "*":
        return FAMILIES
    if address in ("0.0.0.0", "::") or address in at_uplink:
        return ("ip6",) if ":" in address else ("ip",)
    return ()


def _packet(family: Family, protocol: str, port: int, uplink: str) -> Packet:
    kind: Literal["tcp", "udp"] = "tcp" if protocol == "tcp" else "udp"
    flags = frozenset({"syn"}) if kind == "tcp" else frozenset[str]()
    return Packet(family, kind, iif=uplink, dport=port, flags=flags, hook="input")
