"""HypervisorHost: what a gateway needs of its host, and what the host is.

Packages, a user, directories, forwarding, the links and routes of network.sh and the unit that sets them up at boot.
Deleting it leaves the host as it was found; packages stay.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from pydantic import Field

from infra.hosts import facts, files, network, network_change, packages, pool, system, undo, units
from infra.hosts.host import Connection, Host, HostError
from infra.hosts.network import MissingInterface
from infra.hosts.query import answer
from infra.provider.codec import has_unknown
from infra.provider.kind import UNKNOWN, Diff, Partial, Properties
from infra.provider.log import log
from infra.resources import host_checks
from infra.resources.compare import changed_inputs, join
from infra.resources.foresee import Check
from infra.resources.hypervisor_state import (
    DIRECTORIES,
    FOUND,
    HOME,
    MODES,
    STATE,
    SYSCTL_FILE,
    UNIT_FILE,
    USER,
    Traits,
    Wanted,
    desired,
    found_sysctls,
    interfaces_of,
    look,
    observed,
    plan,
    traits_of,
)
from infra.resources.inputs import HostInputs, Inputs, NetworkText, TransitInputs, connection, validated
from wgnode.image.paths import GATEWAY_UNIT

PACKAGES = ("conntrack", "iproute2", "nftables", "procps", "python3", "qemu-system-x86", "wireguard-tools")


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
        seen = look(host, inputs)
        traits = traits_of(seen, inputs)
        found = observed(seen, desired(inputs, traits))
        if not found["files"] and not found["users"]:
            return None
        host_checks.explain(host, inputs["networks"]["lanInterface"], found)
        host_checks.warn_of(host, facts.firewalls_of(seen))
        return _state(host, inputs, seen, found, state.get("facts")), _with_desired(inputs, traits)

    def update(self, id: str, state: Properties, inputs: Properties, preview: bool) -> Properties:
        if not preview:
            return self._apply(id, inputs)
        return {**state, **_with_desired(inputs, Traits.of(state)), "facts": state.get("facts") or UNKNOWN}

    def foresee(self, host: Host, inputs: Properties, state: Properties | None) -> Iterator[Check]:
        """The interfaces also where routes are unknown, as on the first preview of a mesh in the same program."""
        names = (inputs["networks"].get("uplink"), inputs["networks"].get("lanInterface"), inputs.get("packages"))
        if has_unknown(list(names)):
            return
        seen = look(host, inputs)
        yield lambda: require_usable(host, inputs, seen)
        if has_unknown(inputs) or not network.are_there(seen["links"], interfaces_of(inputs)):
            return
        wanted = desired(inputs, traits_of(seen, inputs))
        yield lambda: host_checks.require_neighbours(host, wanted.network, seen["links"])
        yield lambda: host_checks.require_own_transit(host, wanted.network.transit, seen["links"])

    def require_replaceable(self, state: Properties) -> None:
        _require_no_gateway(self._connect(connection(state)))

    def delete(self, id: str, state: Properties) -> None:
        host = self._connect(connection(state))
        _require_no_gateway(host)
        undo.settle(host, network_change.NAME)
        network_change.remove(host, desired(state, Traits.of(state)).files[network_change.SCRIPT])
        host.remove(SYSCTL_FILE)
        system.set_sysctls(host, found_sysctls(answer(host, files.content(FOUND))))
        host.remove(FOUND)
        host.run(["rm", "-rf", STATE])
        for path in sorted(DIRECTORIES, reverse=True):
            host.remove(path)
        if answer(host, system.user(USER)):
            host.run(["userdel", USER])

    def _apply(self, id: str, inputs: Properties) -> Properties:
        to = connection(inputs)
        host = self._connect(to)
        undo.settle(host, network_change.NAME)
        seen = look(host, inputs)
        require_usable(host, inputs, seen)
        wanted = desired(inputs, traits_of(seen, inputs))
        host_checks.require_neighbours(host, wanted.network, seen["links"])
        host_checks.require_own_transit(host, wanted.network.transit, seen["links"])
        try:
            apply(host, lambda: self._reconnect(to), wanted, seen)
            return self._found(to, inputs)
        except HostError as error:
            raise Partial(id, self._found_if_possible(to, inputs, wanted), inputs, str(error)) from error

    def _found(self, to: Connection, inputs: Properties) -> Properties:
        host = self._connect(to)
        seen = look(host, inputs)
        return _state(host, inputs, seen, observed(seen, desired(inputs, traits_of(seen, inputs))))

    def _found_if_possible(self, to: Connection, inputs: Properties, wanted: Wanted) -> Properties:
        """What a failure left; nothing, hence all of it drift, where the host cannot be asked any more."""
        try:
            return self._found(to, inputs)
        except HostError:
            nothing: Properties = {name: {} for name in wanted.outputs}
            return {**inputs, **nothing, "facts": {}}


def require_usable(host: Host, inputs: Properties, seen: Mapping[str, Any]) -> None:
    """Raises HostError, before anything is changed, for what cannot work."""
    try:
        network.lan_bridge(seen["links"], interfaces_of(inputs))
    except MissingInterface as error:
        raise HostError(f"host {host.name}: {error}; correct it in the site's stack file") from None
    host_checks.require_static(host, inputs["networks"]["lanInterface"], seen["links"])
    host_checks.require_forwarding(host, facts.firewalls_of(seen))


def apply(host: Host, reconnect: undo.Connect, wanted: Wanted, seen: Mapping[str, Any]) -> None:
    """What differs, and nothing else: first all that cannot cut the way in, then the networks. Raises HostError."""
    found = observed(seen, wanted)
    differing = {change.path for change in plan(wanted, found)}
    if missing := [name for name in wanted.outputs["packageStates"] if name not in found["packageStates"]]:
        packages.install(host, missing)
        # Again: a host that had no `nft` before could not show all of them.
        host_checks.require_forwarding(host, facts.foreign_firewalls(host))
    if not found["users"]:
        system.add_system_user(host, USER, HOME)
    if _at("directories", differing):
        system.make_directories(host, DIRECTORIES)
    _set_sysctls(host, wanted, found, seen["found"])
    if join("files", SYSCTL_FILE) in differing:
        host.write_file(SYSCTL_FILE, wanted.files[SYSCTL_FILE].encode())
    _apply_networks(host, reconnect, wanted, seen, differing)


def _set_sysctls(host: Host, wanted: Wanted, found: Properties, kept: str | None) -> None:
    """Having written down what they were before us."""
    values, now = wanted.outputs["sysctls"], found["sysctls"]
    remembered = {**now, **found_sysctls(kept)}
    if remembered != found_sysctls(kept):
        host.write_file(FOUND, (json.dumps({"sysctls": remembered}, indent=1, sort_keys=True) + "\n").encode())
    if now != values:
        system.set_sysctls(host, values)


def _apply_networks(
    host: Host, reconnect: undo.Connect, wanted: Wanted, seen: Mapping[str, Any], differing: set[str]
) -> None:
    """Where routes alone changed, as by another site in the mesh, links are not touched."""
    script, text = network_change.SCRIPT, wanted.files[network_change.SCRIPT]

    def enable(host: Host) -> None:
        if _at("units", differing) or join("files", UNIT_FILE) in differing:
            units.mend(host, network_change.UNIT, network_change.UNIT_TEXT, seen["units"].get(network_change.UNIT))

    if _at("links", differing) or _at("routes", differing):
        log(f"bringing up the networks of {host.name}")
        verb: network_change.Verb = "up" if _at("links", differing) else "routes"
        network_change.apply(host, reconnect, text, before=seen["script"], verb=verb, enable=enable)
        return
    if join("files", script) in differing:
        host.write_file(script, text.encode(), mode=MODES[script])
    enable(host)


def _at(output: str, paths: Iterable[str]) -> bool:
    return any(path.split("[")[0].split(".")[0] == output for path in paths)


def _state(
    host: Host,
    inputs: Properties,
    seen: Mapping[str, Any],
    found: Properties,
    known: Mapping[str, Any] | None = None,
) -> Properties:
    traits, now = traits_of(seen, inputs).outputs(), facts.of(host, seen, known).outputs()
    return {**inputs, **found, "traits": traits, "facts": now}


def _with_desired(inputs: Properties, traits: Traits) -> Properties:
    return {**inputs, **desired(inputs, traits).outputs, "traits": traits.outputs()}


def _require_no_gateway(host: Host) -> None:
    """A new address replaces the host, and the engine would take its network away under the gateway that runs there."""
    if units.states(host, [GATEWAY_UNIT]).get(GATEWAY_UNIT, "").startswith("active"):
        raise HostError(
            f"host {host.name}: the site's gateway still runs on it, so nothing was removed. If the site shall move "
            "to another address: put the old one back into `wgmesh:site.host.address`, `pulumi destroy` this stack, "
            "then set the new one and `pulumi up`"
        )
