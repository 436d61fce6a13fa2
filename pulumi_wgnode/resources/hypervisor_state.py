"""What a hypervisor host should be and what it is: wanted from the inputs, read in one round trip, compared.

Pure but for `look`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pulumi_wgnode.call.kind import Properties, PropertyChange, has_unknown
from pulumi_wgnode.hosts import files, owners, system, units
from pulumi_wgnode.hosts.host import Host
from pulumi_wgnode.hosts.judging import facts, features
from pulumi_wgnode.hosts.networks import lan_manager, lost_bridge, network, network_change, routing, uplink
from pulumi_wgnode.hosts.networks.network import MissingInterface, Network
from pulumi_wgnode.hosts.packages import packages
from pulumi_wgnode.hosts.query import Query, ask
from pulumi_wgnode.resources import obstacles
from pulumi_wgnode.resources.compare import drift
from wgnode.image import backends, machine
from wgnode.image.architecture import AMD64
from wgnode.image.paths import IMAGES, PLAIN, STATE, USER, Paths
from wgnode.topology.transit import DEFAULT_V4, DEFAULT_V6, Transit

FOUND = "/etc/wgnode/found.json"  # what deletion of the host's last gateway puts back
SHARED_DIRECTORIES = {
    "/etc/wgnode": "0755 root:root",
    owners.DIRECTORY: "0755 root:root",
    STATE: "0755 root:root",
    IMAGES: "0755 root:root",
}
IN_GROUP = f"present, {USER} in its group"  # of QEMU's user: so hostd gets at its socket
_IPV6 = "net/ipv6/conf/all/forwarding"  # exists where the kernel has IPv6
_PROXY_NDP = "net/ipv6/conf/{}/proxy_ndp"
_PROXY_DELAY = "net/ipv{}/neigh/{}/proxy_delay"
_NO_IPV6 = "net/ipv6/conf/default/disable_ipv6"


@dataclass(frozen=True)
class Traits:
    """What we found the host to be, and what is wanted of it depends on.

    `bridge` is where the LAN is attached; `router_advertisements`, whether its uplink listened to them;
    `gro_forwarding`, whether it can join datagrams that are only forwarded (features.FEATURE); `ipv6`, whether
    its kernel lets new interfaces have IPv6 addresses. `instance` is which of its gateways this one is, `protocol` the
    number of its routes: both as its owner record has them. `manager` is who configures the LAN interface.
    `architecture` is its processor, as dpkg calls it.
    """

    bridge: str = PLAIN.bridge
    router_advertisements: bool = True
    ipv6: bool = True
    instance: str = ""
    protocol: int = network.PROTOCOLS[0]
    manager: str = ""
    gro_forwarding: bool = True
    architecture: str = AMD64.name

    @property
    def paths(self) -> Paths:
        return Paths(self.instance)

    def outputs(self) -> Properties:
        return {
            "bridge": self.bridge,
            "routerAdvertisements": self.router_advertisements,
            "ipv6": self.ipv6,
            "instance": self.instance,
            "protocol": self.protocol,
            "manager": self.manager,
            "groForwarding": self.gro_forwarding,
            **({"architecture": self.architecture} if self.architecture != AMD64.name else {}),
        }

    @classmethod
    def of(cls, state: Properties) -> Traits:
        """Also of states that lack some, as those of versions with one gateway a host."""
        kept, usual = state.get("traits", {}), cls()
        return cls(
            kept.get("bridge", usual.bridge),
            kept.get("routerAdvertisements", usual.router_advertisements),
            kept.get("ipv6", usual.ipv6),
            kept.get("instance", usual.instance),
            int(kept.get("protocol", usual.protocol)),
            kept.get("manager", usual.manager),
            kept.get("groForwarding", usual.gro_forwarding),
            kept.get("architecture", usual.architecture),
        )


@dataclass(frozen=True)
class Wanted:
    network: Network
    files: Mapping[str, str]
    outputs: Properties
    site: uplink.Site


def desired(inputs: Properties, traits: Traits) -> Wanted:
    """Everything that should be on the host, and as `observed` describes it."""
    given = inputs["networks"]
    transit = Transit.of(given["transit"].get("v4"), given["transit"].get("v6"))
    routes = {route["to"]: route["via"] for route in given["routes"] if traits.ipv6 or ":" not in route["to"]}
    addresses = tuple(address for address in transit.host if traits.ipv6 or ":" not in address)
    paths = traits.paths
    bridge = traits.bridge if network.is_ours(traits.bridge) else paths.bridge
    public, answers = _public(given, traits)
    net = Network(
        given["uplink"],
        given["lanInterface"],
        addresses,
        routes,
        paths,
        bridge,
        traits.protocol,
        _lan_mac(inputs),
        public,
        answers,
    )
    values = {**sysctls(net.uplink, traits), **_of_neighbours(net)}
    contents = {
        paths.network_script: network.script(net),
        paths.sysctl_file: "".join(f"{name} = {value}\n" for name, value in values.items()),
        unit_file(paths): network_change.unit_text(paths),
    }
    outputs: Properties = {
        "packageStates": dict.fromkeys(machine.packages_of(inputs["packages"], traits.architecture), "installed"),
        "users": {USER: "present", paths.machine_user: IN_GROUP},
        "directories": directories(paths),
        "sysctls": values,
        "features": {net.uplink: features.ON} if traits.gro_forwarding else {},
        "files": {path: _described(path, text, paths) for path, text in contents.items()},
        "units": {paths.network_unit: units.RUNNING},
        "way": {net.uplink: uplink.SOUND},
        **network.described(net, traits.bridge),
        "egress": network.described_egress(net),
    }
    outputs["links"] |= lan_manager.wanted(traits.manager, net.lan)
    return Wanted(net, contents, outputs, uplink_site(inputs, paths))


def _lan_mac(inputs: Properties) -> str:
    """For a gateway whose cards the host makes whole; "" for one that opens taps."""
    return str(inputs["networks"]["gateway"]["mac"]) if backends.of(inputs).cards == "veth" else ""


def _public(given: Properties, traits: Traits) -> tuple[tuple[str, ...] | None, bool]:
    """Devices' public addresses, None where no device leaves; whether their prefix is on the uplink's own network."""
    if (egress := given.get("egress")) is None:
        return None, True
    return tuple(one for one in egress["public"] if traits.ipv6 or ":" not in one), not egress.get("routed")


def _of_neighbours(net: Network) -> dict[str, str]:
    """The kernel answers for others at once, else within 0.8 s, and solicitations only where it is told to."""
    versions = {6 if ":" in address else 4 for address in net.public or ()} if net.answers else set()
    found = {_PROXY_DELAY.format(version, net.uplink): "0" for version in sorted(versions)}
    return {**found, _PROXY_NDP.format(net.uplink): "1"} if 6 in versions else found


def directories(paths: Paths) -> dict[str, str]:
    own = dict.fromkeys((paths.gateway, paths.hostd_directory), "0755 root:root")
    return {**SHARED_DIRECTORIES, **own, paths.hostd_state: f"0700 {USER}:{USER}"}


def unit_file(paths: Paths) -> str:
    return f"{units.DIRECTORY}/{paths.network_unit}"


def mode_of(path: str, paths: Paths) -> int:
    return 0o755 if path == paths.network_script else 0o644


def sysctls(uplink: str, traits: Traits) -> dict[str, str]:
    """A host that forwards stops listening to router advertisements, unless accept_ra is 2 before it starts to."""
    listen = {f"net/ipv6/conf/{uplink}/accept_ra": "2"} if traits.router_advertisements else {}
    ipv6 = {**listen, "net/ipv6/conf/all/forwarding": "1"} if traits.ipv6 else {}
    return {**ipv6, "net/ipv4/ip_forward": "1", "net/ipv4/conf/all/send_redirects": "0"}


def look(host: Host, inputs: Properties, paths: Paths = PLAIN) -> dict[str, Any]:
    """All that is read of the host, in two round trips."""
    interface = inputs["networks"]["uplink"]
    delays = (_PROXY_DELAY.format(version, interface) for version in (4, 6))
    names = (*sysctls(interface, Traits()), _NO_IPV6, _PROXY_NDP.format(interface), *delays)
    lan = lan_manager.look(host, interfaces_of(inputs, paths))
    seen = ask(
        host,
        {
            **facts.QUERIES,
            "links": Query(network.READ_LINKS, lambda said: said.stdout, check=True),
            "routes": Query(network.READ_ROUTES, lambda said: said.stdout, check=True),
            "proxies": Query(network.READ_PROXIES, lambda said: said.stdout),
            "routing": routing.QUERY,
            "owners": owners.QUERY,
            "found": files.content(FOUND),
            "script": files.content(paths.network_script),
            "sysctls": system.sysctls(names),
            "features": features.query(inputs["networks"]["uplink"]),
            "files": files.metadata([paths.network_script, paths.sysctl_file, unit_file(paths)]),
            "packages": packages.query(machine.every_package(inputs["packages"])),
            "user": system.user(USER),
            "machine_user": system.user(paths.machine_user),
            "machine_group": system.members(paths.machine_user),
            "directories": system.directories(directories(paths)),
            "units": units.query([paths.network_unit]),
            "recorded": lost_bridge.query(paths.network_script),
            "room": obstacles.ROOM,
            "forwards": obstacles.forwarding(_ways_in(inputs, paths)),
        },
    )
    return {**seen, "lan": lan}


def _ways_in(inputs: Properties, paths: Paths) -> tuple[str, ...]:
    """By which a site's packets come in to be forwarded; the LAN is at its interface, or at a bridge of ours."""
    given = inputs["networks"]
    return (given["uplink"], given["lanInterface"], paths.bridge, paths.transit_tap)


def way_of(seen: Mapping[str, Any], site: uplink.Site) -> uplink.Finding:
    """Whether the uplink is where traffic leaves."""
    return uplink.judged(seen["links"], seen["routing"], site)


def uplink_site(inputs: Properties, paths: Paths) -> uplink.Site:
    """Beside routes that are not known yet, the transit's defaults are not filled in."""
    given = inputs["networks"]
    transit = given.get("transit", {"v4": DEFAULT_V4, "v6": DEFAULT_V6})
    guests = () if has_unknown(transit) else Transit.of(transit.get("v4"), transit.get("v6")).guest
    port, peers = inputs.get("listenPort", 0), given.get("peers", ())
    port, peers = (0 if has_unknown(port) else port), (() if has_unknown(peers) else peers)
    return uplink.site_of(given["uplink"], given["lanInterface"], paths.transit_tap, guests, port, peers)


def observed(seen: Mapping[str, Any], wanted: Wanted) -> Properties:
    """What the host has of what is wanted, in the same shape."""
    found = {
        "packageStates": {name: at for name, at in seen["packages"].items() if name in wanted.outputs["packageStates"]},
        "users": _users(seen, wanted.network.paths),
        "directories": seen["directories"],
        "sysctls": {name: value for name, value in seen["sysctls"].items() if name in wanted.outputs["sysctls"]},
        "features": {interface: {features.FEATURE: state} for interface, state in seen["features"].items()},
        "files": {path: files.describe(file) for path, file in seen["files"].items()},
        "units": seen["units"],
        "way": {wanted.network.uplink: way_of(seen, wanted.site).what},
        **network.observed(seen["links"], seen["routes"], wanted.network),
        "egress": network.observed_egress(seen["proxies"], seen["routes"], wanted.network),
    }
    found["links"] |= seen["lan"].described(wanted.network.lan)
    return found


def _users(seen: Mapping[str, Any], paths: Paths) -> dict[str, str]:
    machine = {paths.machine_user: IN_GROUP if USER in seen["machine_group"] else "present"}
    return {**({USER: "present"} if seen["user"] else {}), **(machine if seen["machine_user"] else {})}


def plan(wanted: Wanted, found: Properties) -> list[PropertyChange]:
    return drift(wanted.outputs, {**{name: {} for name in wanted.outputs}, **found})


def traits_of(seen: Mapping[str, Any], inputs: Properties, known: Traits) -> Traits:
    """The host's traits, as they were before we changed anything; `known` tells the gateway's own."""
    try:
        bridge = network.lan_bridge(seen["links"], interfaces_of(inputs, known.paths))
    except MissingInterface:  # it has gone away since: drift, to be shown as such
        bridge = known.paths.bridge
    name, now = f"net/ipv6/conf/{inputs['networks']['uplink']}/accept_ra", seen["sysctls"]
    listens = found_sysctls(seen["found"]).get(name, now.get(name, "0")) != "0"
    ipv6 = _IPV6 in now and now.get(_NO_IPV6, "0") == "0"
    found = bool(seen["features"]), seen["release"].architecture
    return Traits(bridge, listens, ipv6, known.instance, known.protocol, seen["lan"].name, *found)


def _described(path: str, text: str, paths: Paths) -> str:
    return files.described(hashlib.sha256(text.encode()).hexdigest(), mode_of(path, paths))


def interfaces_of(inputs: Properties, paths: Paths = PLAIN) -> Network:
    return Network(inputs["networks"]["uplink"], inputs["networks"]["lanInterface"], (), {}, paths)


def found_sysctls(kept: str | None) -> dict[str, str]:
    """Their values before we changed them, from what FOUND holds."""
    return dict(json.loads(kept)["sysctls"]) if kept else {}


def found_features(kept: str | None) -> dict[str, str]:
    """Of interfaces, as they were before us; none where an older version wrote FOUND."""
    return dict(json.loads(kept).get("features", {})) if kept else {}


def found_user(kept: str | None) -> bool | None:
    """Whether the user is our making; None where an older version did not write that down."""
    said = json.loads(kept).get("user") if kept else None
    return None if said is None else said == "made"
