"""HypervisorHost: what a gateway needs of its host, and what the host is.

Packages, a user, directories, forwarding, the links and routes of network.sh and the unit that sets them up at boot.
Deleting it leaves the host as it was found; packages stay.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import Field

from infra.hosts import facts, network, network_change, packages, pool, system, undo, units
from infra.hosts.host import Connection, Host, HostError
from infra.hosts.network import MissingInterface, Network
from infra.provider.codec import has_unknown
from infra.provider.kind import UNKNOWN, Diff, Partial, Properties, PropertyChange
from infra.provider.log import log
from infra.resources import host_checks
from infra.resources.compare import changed_inputs, drift
from infra.resources.inputs import HostInputs, Inputs, NetworkText, TransitInputs, connection, validated
from wgnode.image.paths import GATEWAY_UNIT
from wgnode.topology.transit import Transit

PACKAGES = ("conntrack", "iproute2", "nftables", "procps", "python3", "qemu-system-x86", "wireguard-tools")
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
# Outputs that network.sh and its unit are responsible for.
_NETWORK = ("links", "routes", "units", "files")


class RouteInputs(Inputs):
    to: NetworkText
    via: str


class NetworksInputs(Inputs):
    uplink: str = Field(min_length=1, max_length=15)
    lan_interface: str = Field(min_length=1, max_length=15)
    transit: TransitInputs = TransitInputs()
    routes: list[RouteInputs] = Field([])


class HypervisorHostInputs(HostInputs):
    packages: list[str] = Field(list(PACKAGES))
    networks: NetworksInputs


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
    packages: tuple[str, ...]
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
    files = {
        network_change.SCRIPT: network.script(net),
        SYSCTL_FILE: "".join(f"{name} = {value}\n" for name, value in values.items()),
        f"{units.DIRECTORY}/{network_change.UNIT}": network_change.UNIT_TEXT,
    }
    outputs = {
        "packageStates": dict.fromkeys(inputs["packages"], "installed"),
        "users": {USER: "present"},
        "directories": DIRECTORIES,
        "sysctls": values,
        "files": {path: hashlib.sha256(text.encode()).hexdigest() for path, text in files.items()},
        "units": {network_change.UNIT: units.RUNNING},
        **network.described(net, traits.bridge),
    }
    return Wanted(net, tuple(inputs["packages"]), files, outputs)


def sysctls(uplink: str, traits: Traits) -> dict[str, str]:
    """A host that forwards stops listening to router advertisements, unless accept_ra is 2 before it starts to."""
    listen = {f"net/ipv6/conf/{uplink}/accept_ra": "2"} if traits.router_advertisements else {}
    ipv6 = {**listen, "net/ipv6/conf/all/forwarding": "1"} if traits.ipv6 else {}
    return {**ipv6, "net/ipv4/ip_forward": "1", "net/ipv4/conf/all/send_redirects": "0"}


def observed(host: Host, wanted: Wanted) -> Properties:
    """What the host has of all that, in the same shape."""
    links, routes = host.run(network.READ_LINKS).stdout, host.run(network.READ_ROUTES).stdout
    found = host.stat(list(wanted.files))
    return {
        "packageStates": packages.states(host, wanted.packages),
        "users": {USER: "present"} if system.has_user(host, USER) else {},
        "directories": system.directories(host, DIRECTORIES),
        "sysctls": system.sysctls(host, wanted.outputs["sysctls"]),
        "files": {path: file.sha256 for path, file in found.items()},
        "units": units.states(host, [network_change.UNIT]),
        **network.observed(links, routes, wanted.network.lan),
    }


def plan(wanted: Wanted, found: Properties) -> list[PropertyChange]:
    return drift(wanted.outputs, {**{name: {} for name in wanted.outputs}, **found})


class HypervisorHost:
    def __init__(
        self,
        connect: Callable[[Connection], Host] = pool.connect,
        reconnect: Callable[[Connection], Any] = pool.new_connection,
    ) -> None:
        self._connect, self._reconnect = connect, reconnect

    def check(self, news: Properties, olds: Properties) -> Properties:
        """Also with what is wanted of the host, so that a preview shows drift against it."""
        checked = validated(HypervisorHostInputs, news)
        return checked if has_unknown(checked) else _with_desired(checked, Traits.of(olds))

    def diff(self, state: Properties, old_inputs: Properties, news: Properties) -> Diff:
        changes = changed_inputs(old_inputs, news, HypervisorHostInputs.wire_names(), replace=("connection.address",))
        if not has_unknown(news):
            changes += plan(desired(news, Traits.of(state)), state)
        return Diff(tuple(changes))

    def create(self, name: str, inputs: Properties, preview: bool) -> tuple[str, Properties]:
        if preview:
            return "", {**inputs, "facts": UNKNOWN}
        id = inputs["connection"]["address"]
        return id, self._apply(id, inputs)

    def read(self, id: str, state: Properties, inputs: Properties) -> tuple[Properties, Properties] | None:
        host = self._connect(connection(inputs))
        traits = look(host, inputs)
        found = observed(host, desired(inputs, traits))
        host_checks.explain(host, inputs["networks"]["lanInterface"], found)
        if not found["files"] and not found["users"]:
            return None
        return _state(host, inputs, traits, found, state.get("facts")), _with_desired(inputs, traits)

    def update(self, id: str, state: Properties, inputs: Properties, preview: bool) -> Properties:
        if not preview:
            return self._apply(id, inputs)
        return {**state, **_with_desired(inputs, Traits.of(state)), "facts": state.get("facts") or UNKNOWN}

    def delete(self, id: str, state: Properties) -> None:
        host = self._connect(connection(state))
        _require_no_gateway(host)
        undo.settle(host, network_change.NAME)
        network_change.remove(host)
        host.remove(SYSCTL_FILE)
        system.set_sysctls(host, _found_sysctls(host))
        host.remove(FOUND)
        host.run(["rm", "-rf", STATE])
        for path in sorted(DIRECTORIES, reverse=True):
            host.remove(path)
        if system.has_user(host, USER):
            host.run(["userdel", USER])

    def _apply(self, id: str, inputs: Properties) -> Properties:
        to = connection(inputs)
        host = self._connect(to)
        undo.settle(host, network_change.NAME)
        require_usable(host, inputs)
        traits = look(host, inputs)
        wanted = desired(inputs, traits)
        host_checks.require_neighbours(host, wanted.network)
        try:
            apply(host, lambda: self._reconnect(to), wanted)
            return self._found(to, inputs, traits, wanted)
        except HostError as error:
            raise Partial(id, self._found_if_possible(to, inputs, traits, wanted), inputs, str(error)) from error

    def _found(self, to: Connection, inputs: Properties, traits: Traits, wanted: Wanted) -> Properties:
        host = self._connect(to)
        return _state(host, inputs, traits, observed(host, wanted))

    def _found_if_possible(self, to: Connection, inputs: Properties, traits: Traits, wanted: Wanted) -> Properties:
        """What a failure left; nothing, hence all of it drift, where the host cannot be asked any more."""
        try:
            return self._found(to, inputs, traits, wanted)
        except HostError:
            nothing: Properties = {name: {} for name in wanted.outputs}
            return {**inputs, **nothing, "traits": traits.outputs(), "facts": {}}


def require_usable(host: Host, inputs: Properties) -> None:
    """Raises HostError, before anything is changed, for what cannot work."""
    try:
        network.lan_bridge(host.run(network.READ_LINKS).stdout, _interfaces(inputs))
    except MissingInterface as error:
        raise HostError(f"host {host.name}: {error}; correct it in the site's stack file") from None
    host_checks.require_static(host, inputs["networks"]["lanInterface"])
    host_checks.require_forwarding(host)


def look(host: Host, inputs: Properties) -> Traits:
    """The host's traits, as they were before we changed anything."""
    try:
        bridge = network.lan_bridge(host.run(network.READ_LINKS).stdout, _interfaces(inputs))
    except MissingInterface:  # it has gone away since: drift, to be shown as such
        bridge = network.BRIDGE
    name = f"net/ipv6/conf/{inputs['networks']['uplink']}/accept_ra"
    kept, now = _found_sysctls(host), system.sysctls(host, [name, _IPV6, _NO_IPV6])
    listens = kept.get(name, now.get(name, "0")) != "0"
    return Traits(bridge, listens, _IPV6 in now and now.get(_NO_IPV6, "0") == "0")


def apply(host: Host, reconnect: undo.Connect, wanted: Wanted) -> None:
    """First all that cannot cut the way in, then the networks. Raises HostError."""
    packages.install(host, wanted.packages)
    host_checks.require_forwarding(host)  # again: a host that had no `nft` before could not show all of them
    if not system.has_user(host, USER):
        system.add_system_user(host, USER, HOME)
    system.make_directories(host, DIRECTORIES)
    values = wanted.outputs["sysctls"]
    kept, now = _found_sysctls(host), system.sysctls(host, values)
    host.write_file(FOUND, (json.dumps({"sysctls": {**now, **kept}}, indent=1, sort_keys=True) + "\n").encode())
    host.write_file(SYSCTL_FILE, wanted.files[SYSCTL_FILE].encode())
    if now != values:
        system.set_sysctls(host, values)
    if any(change.path.split("[")[0].split(".")[0] in _NETWORK for change in plan(wanted, observed(host, wanted))):
        log(f"bringing up the networks of {host.name}")
        network_change.apply(host, reconnect, wanted.files[network_change.SCRIPT])


def _state(
    host: Host, inputs: Properties, traits: Traits, found: Properties, known: Mapping[str, Any] | None = None
) -> Properties:
    return {**inputs, **found, "traits": traits.outputs(), "facts": facts.read(host, known).outputs()}


def _with_desired(inputs: Properties, traits: Traits) -> Properties:
    return {**inputs, **desired(inputs, traits).outputs, "traits": traits.outputs()}


def _interfaces(inputs: Properties) -> Network:
    return Network(inputs["networks"]["uplink"], inputs["networks"]["lanInterface"], (), {})


def _found_sysctls(host: Host) -> dict[str, str]:
    """Their values before we changed them."""
    kept = host.read_file(FOUND)
    return dict(json.loads(kept)["sysctls"]) if kept else {}


def _require_no_gateway(host: Host) -> None:
    """A new address replaces the host, and the engine would take its network away under the gateway that runs there."""
    if units.states(host, [GATEWAY_UNIT]).get(GATEWAY_UNIT, "").startswith("active"):
        raise HostError(
            f"host {host.name}: the site's gateway still runs on it, so nothing was removed. If the site shall move "
            "to another address: put the old one back into `wgmesh:site.host.address`, `pulumi destroy` this stack, "
            "then set the new one and `pulumi up`"
        )
