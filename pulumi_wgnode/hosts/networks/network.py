"""The links and routes of a gateway on its host: the script that makes them, and what is really there.

Pure but for reading the script's fixed part; network.sh beside this file has the functions.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from ipaddress import ip_interface
from typing import Any

from pulumi_wgnode.hosts.judging import features
from wgnode.image.paths import PLAIN, TRANSIT_MAC, Paths
from wgnode.topology import networks

PROTOCOLS = range(119, 151)  # of the routes of a host's gateways, one each; unassigned in /etc/iproute2/rt_protos
METRIC = 30000  # of all of them: behind what managers of networks give theirs, so that a host's own always count
_LAN_TAP, _BRIDGE = re.compile(r"wgnode-lan|wgnlan-[0-9a-f]{8}"), re.compile(r"wgnode-br0|wgnbr-[0-9a-f]{8}")
_OURS = re.compile(rf"wgnode-wan|wgnwan-[0-9a-f]{{8}}|{_LAN_TAP.pattern}|{_BRIDGE.pattern}")

_SPARE_BRIDGE = "wgnbr-00000000"  # of a first gateway whose own is still another's, as after the former first has gone

_LOOSE = "takes packets of devices"  # of the LAN, by their addresses, which strict reverse path filtering drops

READ_LINKS = ["ip", "-j", "-d", "addr", "show"]
READ_ROUTES = ["sh", "-c", "ip -4 route show; ip -6 route show"]
READ_PROXIES = ["sh", "-c", "ip neigh show proxy; grep -sH . /proc/sys/net/ipv4/conf/wgn*wan*/rp_filter || true"]
TO_LINK = 118  # the protocol of routes by which public addresses of devices lead to our link


@dataclass(frozen=True)
class Network:
    """`transit` are the host's addresses with prefix length, `routes` next hops in the LAN by network.

    `bridge` is ours, for a LAN interface that is none itself; `protocol` tells our routes from those of others.
    `lan_mac` is the gateway's in the LAN, where its cards are ends of veths in a namespace; else they are taps.
    `public` are devices' addresses outside, which the host answers for on its uplink if `answers`;
    None where no device leaves.
    """

    uplink: str
    lan: str
    transit: tuple[str, ...]
    routes: Mapping[str, str]
    paths: Paths = PLAIN
    bridge: str = PLAIN.bridge
    protocol: int = PROTOCOLS[0]
    lan_mac: str = ""
    public: tuple[str, ...] | None = None
    answers: bool = True


class MissingInterface(Exception):
    """The text names the interface and those that exist."""


def script(network: Network) -> str:
    """/etc/wgnode/network.sh."""
    fixed = "".join(map(_shell, ("network.sh", "moving.sh", "managers.sh"))) + features.shell()
    lines = [
        *_settings(network),
        f"TRANSIT={shlex.quote(' '.join(network.transit))}",
        f"PROTOCOL={network.protocol} METRIC={METRIC}",
        *_public(network),
        "set_all_routes() {",
        *(f"    set_routes {version}{_routes(network, version)}" for version in (4, 6)),
        "}",
        "",
        '"$1"',
        "",
    ]
    return fixed + "\n".join(lines)


def _shell(name: str) -> str:
    return files("pulumi_wgnode.hosts.networks").joinpath(name).read_text()


def _settings(network: Network) -> list[str]:
    """Whose links these are, for all of the functions."""
    paths = network.paths
    inside = f"CARDS=veth WAN_MAC={TRANSIT_MAC} LAN_MAC={network.lan_mac}" if network.lan_mac else "CARDS=tap"
    return [
        f"{inside} NAMESPACE={paths.run_name}",
        f"UPLINK={shlex.quote(network.uplink)}",
        f"LAN={shlex.quote(network.lan)}",
        f"WAN_TAP={paths.transit_tap} LAN_TAP={paths.lan_tap} GROUP={paths.machine_user} BRIDGE={network.bridge}",
        f"OWN={paths.network_unit.removesuffix('.service')} SCRIPT={paths.network_script}",
    ]


def _public(network: Network) -> list[str]:
    public = shlex.quote(" ".join(network.public or ()))
    answered = public if network.answers else "''"
    leaves = "" if network.public is None else "yes"
    return [f"PUBLIC={public}", f"ANSWERED={answered} LEAVES={leaves} TO_LINK={TO_LINK}"]


def described_egress(network: Network) -> dict[str, str]:
    """How devices' packets get out, as `observed_egress` describes it."""
    if network.public is None:
        return {}
    tap = network.paths.transit_tap
    answered = f", answered for on {network.uplink}" if network.answers else ""
    return {tap: _LOOSE, **dict.fromkeys(network.public, f"to {tap}{answered}")}


def observed_egress(proxies: str, routes: str, network: Network) -> dict[str, str]:
    """From the output of READ_PROXIES and READ_ROUTES."""
    tap, found = network.paths.transit_tap, dict[str, list[str]]()
    for line in routes.splitlines():
        if f" dev {tap} proto {TO_LINK} " in f"{line} ":
            found.setdefault(line.split()[0], []).append(f"to {tap}")
    for line in proxies.splitlines():
        words = line.split()
        if words[-2:] == ["proto", str(network.protocol)]:
            found.setdefault(words[0], []).append(f"answered for on {words[2]}")
    loose = f"/{tap}/rp_filter:2" in proxies and network.public is not None
    return {**({tap: _LOOSE} if loose else {}), **{address: ", ".join(parts) for address, parts in found.items()}}


def described(network: Network, bridge: str = PLAIN.bridge) -> dict[str, dict[str, str]]:
    """Links and routes as `observed` describes them once they are up; `bridge` is where the LAN is attached."""
    card = "veth" if network.lan_mac else f"tap of {network.paths.machine_user}"
    links = {
        network.paths.transit_tap: f"{card}, up, {' '.join(sorted(network.transit))}",
        network.paths.lan_tap: f"{card}, up, in {bridge}",
    }
    if bridge == network.bridge:
        links |= {bridge: "bridge, up", network.lan: f"up, in {bridge}"}
    return {"links": links, "routes": {_short(to): f"via {via}" for to, via in network.routes.items()}}


def observed(links: str, routes: str, network: Network) -> dict[str, dict[str, str]]:
    """From the output of READ_LINKS and READ_ROUTES; of what other gateways of the host have, nothing."""
    found = {link["ifname"]: link for link in json.loads(links)}
    bridge, lan = network.bridge, network.lan
    wanted = [name for name in (network.paths.transit_tap, network.paths.lan_tap, bridge) if name in found]
    if lan in found and not _is_bridge(found[lan]):
        wanted.append(lan)
    described = {name: _describe(found[name]) for name in wanted}
    ports = [name for name, link in found.items() if link.get("master") == bridge and name != lan]
    strangers = [name for name in ports if not _LAN_TAP.fullmatch(name)]
    if strangers and bridge in described:
        described[bridge] += f", with {' '.join(sorted(strangers))}"
    tap = network.paths.transit_tap
    if off := _unreached(network.transit, tap, routes) if "UP" in found.get(tap, {}).get("flags", ()) else []:
        described[tap] = f"without a route to {' '.join(off)}, {described[tap]}"
    ours = [line.split() for line in routes.splitlines() if f" proto {network.protocol} " in f"{line} "]
    # Of several to one network the first counts: `ip` lists them by metric.
    return {"links": described, "routes": {words[0]: " ".join(words[1:3]) for words in reversed(ours)}}


def _unreached(addresses: Iterable[str], device: str, routes: str) -> list[str]:
    """The networks of a link's addresses to which the host has no route by it: its kernel made one with each address.

    Of a family of which it tells no such routes at all, nothing is judged.
    """
    lines = [line.split() for line in routes.splitlines() if line.strip()]
    there = {words[0] for words in lines if ["dev", device] in (words[1:3], words[3:5])}
    told = {6 if ":" in words[0] else 4 for words in lines if "kernel" in words}
    networks = [ip_interface(address).network for address in addresses]
    return [str(net) for net in networks if net.version in told and str(net) not in there]


def routes_of_others(routes: str, protocol: int) -> dict[str, int]:
    """The networks that other gateways of the host have routes to, by the protocol numbers of these."""
    found = {}
    for line in routes.splitlines():
        match = re.search(r" proto (\d+)\b", line)
        if match and int(match[1]) in PROTOCOLS and int(match[1]) != protocol:
            found[line.split()[0]] = int(match[1])
    return found


def lan_bridge(links: str, network: Network) -> str:
    """The bridge that the gateway joins: the LAN interface itself where it is one, else one of ours.

    Raises MissingInterface, also for an interface that is a port of somebody else's bridge.
    """
    found = {link["ifname"]: link for link in json.loads(links)}
    there = ", ".join(name for name in found if name != "lo" and not _OURS.fullmatch(name))
    for role, name in (("uplink", network.uplink), ("LAN", network.lan)):
        if name not in found:
            raise MissingInterface(f"there is no {role} interface {name}; there are {there}")
    master = found[network.lan].get("master")
    if master and not _BRIDGE.fullmatch(master):
        raise MissingInterface(
            f"the LAN interface {network.lan} is a port of {master}; give {master} as the LAN interface instead"
        )
    return network.lan if _is_bridge(found[network.lan]) else master or _own_bridge(found, network.paths)


def of_gateway(name: str) -> bool:
    """Whether a link is one of a gateway of ours, this one or another."""
    return bool(_OURS.fullmatch(name))


def lan_names(network: Network) -> tuple[str, str]:
    """The links on which the host is in its LAN: the interface, or our bridge that took over what it had."""
    return network.lan, network.bridge


def is_ours(bridge: str) -> bool:
    return bool(_BRIDGE.fullmatch(bridge))


def _own_bridge(found: Mapping[str, Mapping[str, Any]], paths: Paths) -> str:
    """For a LAN interface that is a port of none: where our tap is, or one that no other gateway of the host is in."""
    if (master := found.get(paths.lan_tap, {}).get("master")) and _BRIDGE.fullmatch(master):
        return str(master)
    others = {link.get("master") for name, link in found.items() if _LAN_TAP.fullmatch(name) and name != paths.lan_tap}
    return paths.bridge if paths.bridge not in others else _SPARE_BRIDGE


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


def interfaces(links: str) -> list[str]:
    """The names of the host's own interfaces."""
    return sorted(
        link["ifname"] for link in json.loads(links) if link["ifname"] != "lo" and not _OURS.fullmatch(link["ifname"])
    )


def _routes(network: Network, version: int) -> str:
    wanted = [(to, via) for to, via in network.routes.items() if networks.of(to).version == version]
    return "".join(" " + shlex.quote(f"{_short(to)} {via}") for to, via in sorted(wanted))


@lru_cache(maxsize=1 << 14)
def _short(network: str) -> str:
    """As `ip route` prints it: a single address without its prefix length."""
    parsed = networks.of(network)
    return str(parsed.network_address) if parsed.prefixlen == parsed.max_prefixlen else str(parsed)


def _is_bridge(link: Mapping[str, Any]) -> bool:
    return bool(link.get("linkinfo", {}).get("info_kind") == "bridge" and not is_ours(link["ifname"]))


def _describe(link: Mapping[str, Any]) -> str:
    info = link.get("linkinfo", {})
    parts = []
    if info.get("info_kind") == "tun":
        data = info["info_data"]
        parts.append(f"{data['type']} of {data.get('user') or data.get('group', 'nobody')}")
    elif _OURS.fullmatch(link["ifname"]):
        parts.append(info.get("info_kind", "unknown"))
    parts.append("up" if "UP" in link["flags"] else "down")
    if "master" in link:
        parts.append(f"in {link['master']}")
    if not is_ours(link["ifname"]):  # what is on the bridge is the host's own
        parts += [addresses] if (addresses := " ".join(sorted(_addresses(link["addr_info"])))) else []
    return ", ".join(parts)


def _addresses(entries: Iterable[Mapping[str, Any]]) -> Iterable[str]:
    for entry in entries:
        if entry["scope"] == "global" and not (entry["family"] == "inet6" and entry.get("dynamic")):
            yield f"{entry['local']}/{entry['prefixlen']}"
