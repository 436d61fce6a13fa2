"""HypervisorHost: what a gateway needs of its host, and what the host is.

Packages, a user, directories, forwarding, the links and routes of network.sh and the unit that sets them up at boot.
Deleting it leaves the host as it was found; packages stay.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from pulumi_wgnode.call.kind import UNKNOWN, Diff, Partial, Properties, has_unknown
from pulumi_wgnode.call.log import Severity, log
from pulumi_wgnode.contracts.hypervisor_host import CONTRACT
from pulumi_wgnode.hosts import owners, system, undo
from pulumi_wgnode.hosts.host import Connection, Host, HostError
from pulumi_wgnode.hosts.judging import facts, firewalls
from pulumi_wgnode.hosts.networks import network, network_change
from pulumi_wgnode.hosts.packages import supported
from pulumi_wgnode.hosts.query import answer
from pulumi_wgnode.hosts.ssh import pool
from pulumi_wgnode.resources import (
    foreign_checks,
    forwarding,
    host_checks,
    hypervisor_change,
    lan_addresses,
    obstacles,
    overlap_checks,
    owner_judgement,
    ownership,
    remains,
)
from pulumi_wgnode.resources.compare import changed_inputs
from pulumi_wgnode.resources.foreign_checks import site_of
from pulumi_wgnode.resources.foresee import Check
from pulumi_wgnode.resources.hypervisor_checks import require_no_gateway, require_usable, tell_of_other_ways
from pulumi_wgnode.resources.hypervisor_state import (
    SHARED_DIRECTORIES,
    Traits,
    Wanted,
    desired,
    directories,
    interfaces_of,
    look,
    observed,
    plan,
    traits_of,
    uplink_site,
    way_of,
)
from pulumi_wgnode.resources.inputs import connection, validated
from pulumi_wgnode.resources.owner_judgement import Known
from wgnode.image import backends
from wgnode.image.paths import IMAGES, STATE
from wgnode.topology.transit import Transit

_FOR_JUDGING = ("whose", "peers", "gateway")  # of networks


class HypervisorHost:
    def __init__(
        self,
        connect: Callable[[Connection], Host] = pool.connect,
        reconnect: Callable[[Connection], Any] = pool.new_connection,
    ) -> None:
        self._connect, self._reconnect = connect, reconnect

    def check(self, news: Properties, olds: Properties) -> Properties:
        """Also with what is wanted of the host, so that a preview shows drift against it."""
        checked = _recorded(validated(CONTRACT.inputs, news))
        traits = Traits.of(olds)
        return checked if has_unknown(checked) else _with_desired(checked, traits, desired(checked, traits))

    def diff(self, state: Properties, old_inputs: Properties, news: Properties) -> Diff:
        changes = changed_inputs(
            _unnamed(old_inputs),
            _unnamed(news),
            CONTRACT.inputs.wire_names(),
            replace=ownership.replaced(old_inputs, news),
        )
        if not has_unknown(news):
            changes += plan(desired(news, Traits.of(state)), state)
            changes += ownership.differences(state, news, "host")
        return Diff(tuple(changes))

    def create(self, name: str, inputs: Properties, preview: bool) -> tuple[str, Properties]:
        if preview:
            return "", {**inputs, "facts": UNKNOWN, "instance": UNKNOWN, "forwarding": UNKNOWN}
        id = inputs["site"]["id"]
        return id, self._apply(id, inputs, Known(), {})

    def read(self, id: str, state: Properties, inputs: Properties) -> tuple[Properties, Properties] | None:
        host, known = self._connect(connection(inputs)), Traits.of(state)
        seen = look(host, inputs, known.paths)
        traits = traits_of(seen, inputs, known)
        wanted = desired(inputs, traits)
        found = observed(seen, wanted)
        owner = ownership.found(host, seen["owners"], "host", inputs, known.instance)
        there = found["files"] or found["users"] or ownership.claimed(seen["owners"], "host", state)
        if owner is None or not there:
            return None
        supported.warn_of(host.name, seen["release"])
        host_checks.explain(host, inputs["networks"]["lanInterface"], found, traits.bridge)
        if wrong := way_of(seen, uplink_site(inputs, traits.paths)).way_out:
            log(f"host {host.name}: {wrong}", Severity.WARNING)
        obstacles.warn_of(host, seen, interfaces_of(inputs, traits.paths), traits.bridge)
        overlap_checks.warn_of(host, inputs, wanted.network, seen)
        foreign_checks.warn_of(host, firewalls.of(seen, site_of(inputs, traits)))
        kept = {**ownership.kept(state), "owner": owner} if "claim" in state else {}
        now = {**_state(host, inputs, seen, found, traits, state.get("facts")), **kept}
        return now, _with_desired(inputs, traits, wanted)

    def update(self, id: str, state: Properties, inputs: Properties, preview: bool) -> Properties:
        known, traits = Known.of(state, ownership.moved(state, inputs)), Traits.of(state)
        if not preview:
            return self._apply(id, inputs, known, state)
        ownership.announce(inputs, known)
        return {
            "instance": "",
            **state,
            **_with_desired(inputs, traits, desired(inputs, traits)),
            "facts": state.get("facts") or UNKNOWN,
            "forwarding": state.get("forwarding") or UNKNOWN,
        }

    def foresee(self, host: Host, inputs: Properties, state: Properties | None) -> Iterator[Check]:
        """The interfaces also where routes are unknown, as on the first preview of a mesh in the same program."""
        names = (inputs["networks"].get("uplink"), inputs["networks"].get("lanInterface"), inputs.get("packages"))
        if has_unknown(list(names)):
            return
        kept = Traits.of(state or {})
        if has_unknown(inputs):
            supported.require(host.name, answer(host, supported.QUERY))
        else:
            known = Known.of(state or {}, ownership.moved(state or {}, inputs))
            record = ownership.foresee(host, "host", _whose(inputs), known).record  # else nothing more is to be said
            kept = Traits(instance=record.instance, protocol=record.protocol)
        seen = look(host, inputs, kept.paths)
        yield lambda: require_usable(host, inputs, seen, kept)
        if has_unknown(inputs) or not network.are_there(seen["links"], interfaces_of(inputs)):
            return
        wanted = desired(inputs, traits_of(seen, inputs, kept))
        yield lambda: tell_of_other_ways(host, seen, wanted)
        yield from overlap_checks.checks(host, inputs, wanted.network, seen)

    def require_replaceable(self, state: Properties) -> None:
        require_no_gateway(self._connect(connection(state)), Traits.of(state).paths.gateway_unit)

    def delete(self, id: str, state: Properties) -> None:
        host, traits = self._connect(connection(state)), Traits.of(state)
        paths = traits.paths
        seen = ownership.release(host, "host", state)
        if seen is None:
            return
        require_no_gateway(host, paths.gateway_unit)
        owner = ownership.owner_of(state)
        remains.remove_unfinished(host, seen, owner)
        undo.settle(host, network_change.change_of(paths))
        network_change.remove(host, desired(state, traits).files[paths.network_script], paths)
        host.remove(paths.sysctl_file)
        host.run(["rm", "-rf", paths.hostd_state])
        system.remove_user(host, paths.machine_user)
        for path in sorted(set(directories(paths)) - set(SHARED_DIRECTORIES), reverse=True):
            host.remove(path)
        if not ownership.others(seen, owner):
            hypervisor_change.put_back(host)
        for path in (IMAGES, STATE):  # those that are empty
            host.remove(path)
        owners.remove(host, owner.id if owner else None)

    def _apply(self, id: str, inputs: Properties, known: Known, state: Properties) -> Properties:
        to = connection(inputs)
        host = self._connect(to)
        taken = ownership.judge(host, "host", _whose(inputs), known)
        kept = Traits(instance=taken.record.instance, protocol=taken.record.protocol)
        undo.settle(host, network_change.change_of(kept.paths))
        seen = look(host, inputs, kept.paths)
        require_usable(host, inputs, seen, kept)
        traits = traits_of(seen, inputs, kept)
        wanted = desired(inputs, traits)
        for check in overlap_checks.checks(host, inputs, wanted.network, seen):
            check()
        gateway = lan_addresses.foretold(inputs, kept.paths)
        if gateway and gateway != lan_addresses.foretold(state, kept.paths):
            lan_addresses.require_free(host, gateway)
        owned = taken.stamp(host)
        try:
            hypervisor_change.apply(host, lambda: self._reconnect(to), wanted, seen, site_of(inputs, traits))
            return {**self._found(to, inputs, kept), **owned}
        except HostError as error:
            state = {**self._found_if_possible(to, inputs, wanted, kept), **owned}
            raise Partial(id, state, inputs, str(error)) from error

    def _found(self, to: Connection, inputs: Properties, kept: Traits) -> Properties:
        host = self._connect(to)
        seen = look(host, inputs, kept.paths)
        traits = traits_of(seen, inputs, kept)
        return _state(host, inputs, seen, observed(seen, desired(inputs, traits)), traits)

    def _found_if_possible(self, to: Connection, inputs: Properties, wanted: Wanted, kept: Traits) -> Properties:
        """What a failure left; nothing, hence all of it drift, where the host cannot be asked any more."""
        try:
            return self._found(to, inputs, kept)
        except HostError:
            nothing: Properties = {name: {} for name in wanted.outputs}
            return {**inputs, **nothing, "facts": {}, "traits": kept.outputs(), "instance": kept.instance}


def _recorded(inputs: Properties) -> Properties:
    """As states of versions that knew one backend have them too."""
    return {name: value for name, value in inputs.items() if (name, value) != ("backend", backends.DEFAULT)}


def _unnamed(inputs: Properties) -> Properties:
    """Without what is for judging and messages only: another site's name or address changes nothing on this host."""
    networks = inputs.get("networks")
    if not isinstance(networks, dict):
        return inputs
    return {**inputs, "networks": {name: one for name, one in networks.items() if name not in _FOR_JUDGING}}


def _whose(inputs: Properties) -> owner_judgement.Wanted:
    given = inputs["networks"]
    transit = Transit.of(given["transit"].get("v4"), given["transit"].get("v6"))
    owner = ownership.owner_of(inputs)
    assert owner is not None  # check has seen to it
    return owner_judgement.Wanted(owner, given["uplink"], tuple(map(str, transit.networks)), inputs["listenPort"])


def _state(
    host: Host,
    inputs: Properties,
    seen: Mapping[str, Any],
    found: Properties,
    traits: Traits,
    known: Mapping[str, Any] | None = None,
) -> Properties:
    now = facts.of(host, seen, known, site_of(inputs, traits)).outputs()
    return {
        **inputs,
        **found,
        "traits": traits.outputs(),
        "instance": traits.instance,
        "facts": now,
        "forwarding": _forwarding(seen, traits),
    }


def _forwarding(seen: Mapping[str, Any], traits: Traits) -> Properties:
    """How it forwarded before us; its bridges with the LAN's."""
    before = forwarding.before(seen["found"], seen["sysctls"], seen["links"])
    return {**before, "bridges": sorted({*before["bridges"], traits.bridge})}


def _with_desired(inputs: Properties, traits: Traits, wanted: Wanted) -> Properties:
    return {**inputs, **wanted.outputs, "traits": traits.outputs()}
