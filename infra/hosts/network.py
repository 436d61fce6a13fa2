"""The links and routes of a gateway on its host: the script that makes them, and what is really there.

Pure but for reading the script's fixed part; network.sh beside this file has the functions.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.resources import files
from ipaddress import ip_address, ip_interface, ip_network
from typing import Any

from wgnode.firewall.rules import TRANSIT_INTERFACE

LAN_TAP = "wgnode-lan"
BRIDGE = "wgnode-br0"
OURS = (TRANSIT_INTERFACE, LAN_TAP, BRIDGE)
PROTOCOL = 119  # of our routes; an unassigned number of /etc/iproute2/rt_protos
USER = "wgnode"

READ_LINKS = ["ip", "-j", "-d", "addr", "show"]
READ_ROUTES = ["sh", "-c", f"ip -4 route show proto {PROTOCOL}; ip -6 route show proto {PROTOCOL}"]


@dataclass(frozen=True)
class Network:
    """`transit` are the host's addresses with prefix length, `routes` next hops in the LAN by network."""

    uplink: str
    lan: str
    transit: tuple[str, ...]
    routes: Mapping[str, str]


class MissingInterface(Exception):
    """The text names the interface and those that exist."""


def script(network: Network) -> str:
    """/etc/wgnode/network.sh."""
    fixed = files("infra.hosts").joinpath("network.sh").read_text()
    lines = [
        f"LAN={shlex.quote(network.lan)}",
        f"TRANSIT={shlex.quote(' '.join(network.transit))}",
        f"PROTOCOL={PROTOCOL}",
        "set_all_routes() {",
        *(f"    set_routes {version}{_routes(network, version)}" for version in (4, 6)),
        "}",
        "",
        '"$1"',
        "",
    ]
    return fixed + "\n".join(lines)


def described(network: Network, bridge: str = BRIDGE) -> dict[str, dict[str, str]]:
    """Links and routes as `observed` describes them once they are up; `bridge` is where the LAN is attached."""
    links = {
        TRANSIT_INTERFACE: f"tap of {USER}, up, {' '.join(sorted(network.transit))}",
        LAN_TAP: f"tap of {USER}, up, in {bridge}",
    }
    if bridge == BRIDGE:
        links |= {BRIDGE: "bridge, up", network.lan: f"up, in {BRIDGE}"}
    return {"links": links, "routes": {_short(to): f"via {via}" for to, via in network.routes.items()}}


def observed(links: str, routes: str, lan: str) -> dict[str, dict[str, str]]:
    """From the output of READ_LINKS and READ_ROUTES."""
    found = {link["ifname"]: link for link in json.loads(links)}
    wanted = [name for name in OURS if name in found]
    if lan in found and not _is_bridge(found[lan]):
        wanted.append(lan)
    described = {name: _describe(found[name]) for name in wanted}
    strangers = [name for name, link in found.items() if link.get("master") == BRIDGE and name not in (lan, LAN_TAP)]
    if strangers and BRIDGE in described:
        described[BRIDGE] += f", with {' '.join(sorted(strangers))}"
    return {
        "links": described,
        "routes": {line.split()[0]: " ".join(line.split()[1:3]) for line in routes.splitlines() if line},
    }


def lan_bridge(links: str, network: Network) -> str:
    """The bridge that the gateway joins: the LAN interface itself where it is one, else ours.

    Raises MissingInterface, also for an interface that is a port of somebody else's bridge.
    """
    found = {link["ifname"]: link for link in json.loads(links)}
    there = ", ".join(name for name in found if name not in ("lo", *OURS))
    for role, name in (("uplink", network.uplink), ("LAN", network.lan)):
        if name not in found:
            raise MissingInterface(f"there is no {role} interface {name}; there are {there}")
    master = found[network.lan].get("master", BRIDGE)
    if master != BRIDGE:
        raise MissingInterface(
            f"the LAN interface {network.lan} is a port of {master}; give {master} as the LAN interface instead"
        )
    return network.lan if _is_bridge(found[network.lan]) else BRIDGE


def are_there(links: str, network: Network) -> bool:
    """Whether both interfaces are."""
    return {network.uplink, network.lan} <= {link["ifname"] for link in json.loads(links)}


def to_be_taken_over(links: str, lan: str) -> bool:
    """Whether the LAN interface's addresses have yet to move to our bridge; those of a bridge never do."""
    link = next(link for link in json.loads(links) if link["ifname"] == lan)
    return "master" not in link and not _is_bridge(link)


def leased(links: str, lan: str) -> list[str]:
    """The LAN interface's addresses that a DHCP client keeps; those of router advertisements are no /128."""
    entries = [entry for link in json.loads(links) if link["ifname"] == lan for entry in link["addr_info"]]
    return [
        entry["local"]
        for entry in entries
        if entry.get("dynamic") and (entry["family"] == "inet" or entry["prefixlen"] == 128)
    ]


def strange_next_hops(links: str, network: Network) -> list[str]:
    """Those of the routes' next hops that lie in no network of the LAN interface, so that no route can lead there."""
    entries = [
        entry for link in json.loads(links) if link["ifname"] in (network.lan, BRIDGE) for entry in link["addr_info"]
    ]
    near = [ip_interface(f"{entry['local']}/{entry['prefixlen']}").network for entry in entries]
    hops = sorted({ip_address(via) for via in network.routes.values()}, key=lambda hop: (hop.version, hop.packed))
    return [str(hop) for hop in hops if not any(hop in network for network in near)]


def interfaces(links: str) -> list[str]:
    """The names of the host's own interfaces."""
    return sorted(link["ifname"] for link in json.loads(links) if link["ifname"] not in ("lo", *OURS))


def _routes(network: Network, version: int) -> str:
    wanted = [(to, via) for to, via in network.routes.items() if ip_network(to).version == version]
    return "".join(" " + shlex.quote(f"{_short(to)} {via}") for to, via in sorted(wanted))


def _short(network: str) -> str:
    """As `ip route` prints it: a single address without its prefix length."""
    parsed = ip_network(network)
    return str(parsed.network_address) if parsed.prefixlen == parsed.max_prefixlen else str(parsed)


def _is_bridge(link: Mapping[str, Any]) -> bool:
    return bool(link.get("linkinfo", {}).get("info_kind") == "bridge" and link["ifname"] != BRIDGE)


def _describe(link: Mapping[str, Any]) -> str:
    info = link.get("linkinfo", {})
    parts = []
    if info.get("info_kind") == "tun":
        parts.append(f"{info['info_data']['type']} of {info['info_data'].get('user', 'nobody')}")
    elif link["ifname"] in OURS:
        parts.append(info.get("info_kind", "unknown"))
    parts.append("up" if "UP" in link["flags"] else "down")
    if "master" in link:
        parts.append(f"in {link['master']}")
    if link["ifname"] != BRIDGE:  # what is on the bridge is the host's own
        parts += [addresses] if (addresses := " ".join(sorted(_addresses(link["addr_info"])))) else []
    return ", ".join(parts)


def _addresses(entries: Iterable[Mapping[str, Any]]) -> Iterable[str]:
    for entry in entries:
        if entry["scope"] == "global" and not (entry["family"] == "inet6" and entry.get("dynamic")):
            yield f"{entry['local']}/{entry['prefixlen']}"
