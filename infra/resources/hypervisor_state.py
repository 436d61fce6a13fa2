"""What a hypervisor host should be and what it is: wanted from the inputs, read in one round trip, compared.

Pure but for `look`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from infra.hosts import facts, files, network, network_change, packages, system, units
from infra.hosts.host import Host
from infra.hosts.network import MissingInterface, Network
from infra.hosts.query import Query, ask
from infra.provider.kind import Properties, PropertyChange
from infra.resources.compare import drift
from wgnode.topology.transit import Transit

USER = network.USER
HOME = "/var/lib/wgnode"
STATE = f"{HOME}/state"
FOUND = "/etc/wgnode/found.json"  # what deletion puts back
SYSCTL_FILE = "/etc/sysctl.d/60-wgnode.conf"
DIRECTORIES = {
    "/etc/wgnode": "0755 root:root",
    HOME: "0755 root:root",
    f"{HOME}/gateway": "0755 root:root",
    f"{HOME}/hostd": "0755 root:root",
    f"{HOME}/images": "0755 root:root",
    STATE: f"0700 {USER}:{USER}",
}
_IPV6 = "net/ipv6/conf/all/forwarding"  # exists where the kernel has IPv6
_NO_IPV6 = "net/ipv6/conf/default/disable_ipv6"
UNIT_FILE = f"{units.DIRECTORY}/{network_change.UNIT}"
MODES = {network_change.SCRIPT: 0o755}


@dataclass(frozen=True)
class Traits:
    """What we found the host to be, and what is wanted of it depends on.

    `bridge` is where the LAN is attached; `router_advertisements`, whether its uplink listened to them; `ipv6`, whether
    its kernel lets new interfaces have IPv6 addresses.
    """

    bridge: str = network.BRIDGE
    router_advertisements: bool = True
    ipv6: bool = True

    def outputs(self) -> Properties:
        return {"bridge": self.bridge, "routerAdvertisements": self.router_advertisements, "ipv6": self.ipv6}

    @classmethod
    def of(cls, state: Properties) -> Traits:
        kept = state.get("traits", {})
        return cls(kept.get("bridge", network.BRIDGE), kept.get("routerAdvertisements", True), kept.get("ipv6", True))


@dataclass(frozen=True)
class Wanted:
    network: Network
    files: Mapping[str, str]
    outputs: Properties


def desired(inputs: Properties, traits: Traits) -> Wanted:
    """Everything that should be on the host, and as `observed` describes it."""
    given = inputs["networks"]
    transit = Transit.of(given["transit"].get("v4"), given["transit"].get("v6"))
    routes = {route["to"]: route["via"] for route in given["routes"] if traits.ipv6 or ":" not in route["to"]}
    addresses = tuple(address for address in transit.host if traits.ipv6 or ":" not in address)
    net = Network(given["uplink"], given["lanInterface"], addresses, routes)
    values = sysctls(net.uplink, traits)
    contents = {
        network_change.SCRIPT: network.script(net),
        SYSCTL_FILE: "".join(f"{name} = {value}\n" for name, value in values.items()),
        UNIT_FILE: network_change.UNIT_TEXT,
    }
    outputs = {
        "packageStates": dict.fromkeys(inputs["packages"], "installed"),
        "users": {USER: "present"},
        "directories": DIRECTORIES,
        "sysctls": values,
        "files": {path: _described(path, text) for path, text in contents.items()},
        "units": {network_change.UNIT: units.RUNNING},
        **network.described(net, traits.bridge),
    }
    return Wanted(net, contents, outputs)


def sysctls(uplink: str, traits: Traits) -> dict[str, str]:
    """A host that forwards stops listening to router advertisements, unless accept_ra is 2 before it starts to."""
    listen = {f"net/ipv6/conf/{uplink}/accept_ra": "2"} if traits.router_advertisements else {}
    ipv6 = {**listen, "net/ipv6/conf/all/forwarding": "1"} if traits.ipv6 else {}
    return {**ipv6, "net/ipv4/ip_forward": "1", "net/ipv4/conf/all/send_redirects": "0"}


def look(host: Host, inputs: Properties) -> dict[str, Any]:
    """All that is read of the host, in one round trip."""
    names = (*sysctls(inputs["networks"]["uplink"], Traits()), _NO_IPV6)
    return ask(
        host,
        {
            **facts.QUERIES,
            "links": Query(network.READ_LINKS, lambda said: said.stdout, check=True),
            "routes": Query(network.READ_ROUTES, lambda said: said.stdout, check=True),
            "found": files.content(FOUND),
            "script": files.content(network_change.SCRIPT),
            "sysctls": system.sysctls(names),
            "files": files.metadata([network_change.SCRIPT, SYSCTL_FILE, UNIT_FILE]),
            "packages": packages.query(inputs["packages"]),
            "user": system.user(USER),
            "directories": system.directories(DIRECTORIES),
            "units": units.query([network_change.UNIT]),
        },
    )


def observed(seen: Mapping[str, Any], wanted: Wanted) -> Properties:
    """What the host has of what is wanted, in the same shape."""
    return {
        "packageStates": seen["packages"],
        "users": {USER: "present"} if seen["user"] else {},
        "directories": seen["directories"],
        "sysctls": {name: value for name, value in seen["sysctls"].items() if name in wanted.outputs["sysctls"]},
        "files": {path: files.describe(file) for path, file in seen["files"].items()},
        "units": seen["units"],
        **network.observed(seen["links"], seen["routes"], wanted.network.lan),
    }


def plan(wanted: Wanted, found: Properties) -> list[PropertyChange]:
    return drift(wanted.outputs, {**{name: {} for name in wanted.outputs}, **found})


def traits_of(seen: Mapping[str, Any], inputs: Properties) -> Traits:
    """The host's traits, as they were before we changed anything."""
    try:
        bridge = network.lan_bridge(seen["links"], interfaces_of(inputs))
    except MissingInterface:  # it has gone away since: drift, to be shown as such
        bridge = network.BRIDGE
    name, now = f"net/ipv6/conf/{inputs['networks']['uplink']}/accept_ra", seen["sysctls"]
    listens = found_sysctls(seen["found"]).get(name, now.get(name, "0")) != "0"
    return Traits(bridge, listens, _IPV6 in now and now.get(_NO_IPV6, "0") == "0")


def _described(path: str, text: str) -> str:
    return files.described(hashlib.sha256(text.encode()).hexdigest(), MODES.get(path, 0o644))


def interfaces_of(inputs: Properties) -> Network:
    return Network(inputs["networks"]["uplink"], inputs["networks"]["lanInterface"], (), {})


def found_sysctls(kept: str | None) -> dict[str, str]:
    """Their values before we changed them, from what FOUND holds."""
    return dict(json.loads(kept)["sysctls"]) if kept else {}
