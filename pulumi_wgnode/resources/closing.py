"""What a firewall will close on its host, said before it does: services, port forwards, networks that are routed."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from ipaddress import IPv4Interface, IPv6Interface, ip_address, ip_interface, ip_network
from typing import Any

from pulumi_wgnode.call.kind import Properties, has_unknown
from pulumi_wgnode.call.log import Severity, log
from pulumi_wgnode.hosts import files, system
from pulumi_wgnode.hosts.host import Host
from pulumi_wgnode.hosts.judging import firewalls
from pulumi_wgnode.hosts.networks import network
from pulumi_wgnode.hosts.query import Query
from pulumi_wgnode.resources import forwarding, services
from pulumi_wgnode.resources.hypervisor_state import FOUND
from wgnode.firewall import egress, nft
from wgnode.firewall.closing import Way, closed, told
from wgnode.firewall.others import nft_reader
from wgnode.firewall.others.packet import Family, Packet
from wgnode.firewall.others.translations import Translation, translations
from wgnode.firewall.others.walk import Table
from wgnode.firewall.rules import PLAIN_TABLE, Firewall, ruleset
from wgnode.topology.model import DEFAULT_LISTEN_PORT

QUERIES: dict[str, Query[Any]] = {
    "services": services.QUERY,
    "links": Query(network.READ_LINKS, lambda said: said.stdout if said.code == 0 else "[]"),
    "found": files.content(FOUND),
    "sysctls": system.sysctls(tuple(forwarding.SYSCTLS.values())),
}
_PRIVATE = ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "169.254.0.0/16")
_PLACES = ("instance", "listenPort", "forwarding")  # that a first preview may not know, and that close nothing
Own = tuple[str, IPv4Interface | IPv6Interface]
"""An interface with an address of its."""


def known(inputs: Properties) -> Properties | None:
    """With what stands for a first preview's unknowns; None where more is unknown."""
    rest = {name: value for name, value in inputs.items() if name not in (*_PLACES, "site")}
    if has_unknown(rest):
        return None
    places = {name: inputs[name] for name in _PLACES if name in inputs and not has_unknown(inputs[name])}
    return {"instance": "", "listenPort": DEFAULT_LISTEN_PORT, **rest, **places}


def tell(host: Host, seen: Mapping[str, Any], wanted: Firewall, table: str = PLAIN_TABLE) -> None:
    """Warns, where there is anything to be said of what loading `table` does. `seen` has the answers to QUERIES and to
    firewalls.FIREWALLS."""
    present = {(table.family, table.name): table for table in nft_reader.tables(seen["ruleset"])}
    by_iptables, legacy = firewalls.by_iptables(seen, "nft "), firewalls.by_iptables(seen, "")
    present |= {(table.family, table.name): table for table in by_iptables}  # nft shows them in part
    then = {**present, ("inet", table): _table(wanted, table)}
    if ways := list(closed(_ways(seen, wanted), [*present.values(), *legacy], [*then.values(), *legacy])):
        log(f"host {host.name}: {told(ways, wanted.uplink)}", Severity.WARNING)


def _table(wanted: Firewall, name: str) -> Table:
    items = nft.items(ruleset(wanted), name, egress.sets(wanted.egress))
    (table,) = nft_reader.tables(json.dumps({"nftables": items}))
    return table


def _ways(seen: Mapping[str, Any], wanted: Firewall) -> Iterator[Way]:
    uplink, own = wanted.uplink, list(_addresses(seen["links"]))
    versions = forwarding.before(seen["found"], seen["sysctls"], seen["links"])["versions"]
    at_uplink = {str(address.ip) for name, address in own if name == uplink}
    forwards = translations(seen["ruleset"], firewalls.texts(seen), uplink)
    translated = {(_family(_version(one.to)), one.protocol, one.port) for one in forwards if _version(one.to)}
    yield from services.ways(seen["services"], wanted, at_uplink, translated)
    for one in forwards:
        if _version(one.to) in versions and (one.protocol, one.port) != ("udp", wanted.listen_port):
            yield _translated(one, uplink, own)
    for name, address in own:
        inside = name not in ("lo", uplink) and (network.is_ours(name) or not network.of_gateway(name))
        if inside and address.version in versions and _routed(address):
            yield _network(name, address, uplink)


def _translated(one: Translation, uplink: str, own: list[Own]) -> Way:
    to = ip_network(one.to)
    behind = next((name for name, address in own if ip_address(one.to) in address.network), None)
    packet = Packet(
        "ip" if to.version == 4 else "ip6",
        "tcp" if one.protocol == "tcp" else "udp",
        iif=uplink,
        oif=behind,
        destination=to,
        dport=one.to_port or one.port,
        original=one.port,
        flags=frozenset({"syn"}) if one.protocol == "tcp" else frozenset(),
        dnat=True,
    )
    return Way(str(one), "forward", f"{{protocol: {one.protocol}, port: {one.port}}}", (packet,))


def _network(name: str, address: IPv4Interface | IPv6Interface, uplink: str) -> Way:
    family: Any = "ip" if address.version == 4 else "ip6"
    to = address.network
    packet = Packet(family, "tcp", iif=uplink, oif=name, destination=to, flags=frozenset({"syn"}))
    return Way(f"IPv{to.version} into {to} on {name}", "forward", f'{{to: "{to}"}}', (packet,))


def _routed(address: IPv4Interface | IPv6Interface) -> bool:
    """Whether others may route to it: networks that every house has are behind a translation."""
    if address.version == 6:
        return address.network.prefixlen < 128
    private = any(address.ip in ip_network(one) for one in _PRIVATE)
    return address.network.prefixlen < 32 and not private


def _addresses(links: str) -> Iterator[Own]:
    for link in json.loads(links or "[]"):
        for entry in link["addr_info"]:
            if entry["scope"] == "global":
                yield link["ifname"], ip_interface(f"{entry['local']}/{entry['prefixlen']}")


def _family(version: int) -> Family:
    return "ip" if version == 4 else "ip6"


def _version(text: str) -> int:
    try:
        return ip_address(text).version
    except ValueError:  # an expression, or a range: which address it is, is not told
        return 0
