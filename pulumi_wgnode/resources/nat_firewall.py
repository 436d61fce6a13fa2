"""NatFirewall: our nftables table on a host, and the unit that loads it at boot.

Reading lists the table rule by rule, so a rule that was removed by hand is named; mending it replaces the table in one
transaction, which cuts nothing. Every change is taken back by the host unless a new SSH connection confirms it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from pulumi_wgnode.call.kind import Diff, Partial, Properties, has_unknown
from pulumi_wgnode.call.log import Severity, log
from pulumi_wgnode.contracts.nat_firewall import CONTRACT
from pulumi_wgnode.hosts import undo
from pulumi_wgnode.hosts.host import Connection, Host, OutOfTime
from pulumi_wgnode.hosts.networks.outside import Surroundings
from pulumi_wgnode.hosts.ssh import pool
from pulumi_wgnode.resources import closing, firewall_change, forwarding, host_checks, meanwhile, ownership, remains
from pulumi_wgnode.resources.compare import changed_inputs
from pulumi_wgnode.resources.firewall_checks import (
    firewalls_of,
    require_open,
    require_ssh_port,
    require_uplink,
    require_way_in,
    shut_by_others,
    tell_former,
    tell_of_others,
)
from pulumi_wgnode.resources.firewall_state import (
    change_of,
    desired,
    differences,
    egress_of,
    firewall,
    look,
    observed,
    paths_of,
    surroundings_of,
    with_desired,
)
from pulumi_wgnode.resources.foresee import Check
from pulumi_wgnode.resources.inputs import connection, validated
from pulumi_wgnode.resources.owner_judgement import Known
from wgnode.firewall import egress
from wgnode.firewall.forwards import Before


class NatFirewall:
    def __init__(
        self,
        connect: Callable[[Connection], Host] = pool.connect,
        reconnect: Callable[[Connection], Any] = pool.new_connection,
    ) -> None:
        self._connect, self._reconnect = connect, reconnect

    def check(self, news: Properties, olds: Properties) -> Properties:
        """Also with the rules that are wanted, so that a preview shows drift against them."""
        checked = validated(CONTRACT.inputs, news)
        return checked if has_unknown(checked) else with_desired(checked, Surroundings.of(olds))

    def diff(self, state: Properties, old_inputs: Properties, news: Properties) -> Diff:
        changes = changed_inputs(
            old_inputs, news, CONTRACT.inputs.wire_names(), replace=ownership.replaced(old_inputs, news)
        )
        if not has_unknown(news):
            changes += differences(desired(news, Surroundings.of(state)).outputs, state)
            changes += ownership.differences(state, news, "firewall")
        return Diff(tuple(changes))

    def create(self, name: str, inputs: Properties, preview: bool) -> tuple[str, Properties]:
        if preview:
            return "", inputs
        id = inputs["site"]["id"]
        return id, self._apply(id, inputs, Known())

    def read(self, id: str, state: Properties, inputs: Properties) -> tuple[Properties, Properties] | None:
        host, paths = self._connect(connection(inputs)), paths_of(inputs)
        seen = look(host, paths)
        found, around = observed(seen, inputs), surroundings_of(seen, inputs, Surroundings.of(state))
        owner = ownership.found(host, seen["owners"], "firewall", inputs, paths.instance)
        there = found["rules"] or found["files"] or ownership.claimed(seen["owners"], "firewall", state)
        if owner is None or not there:
            return None
        if shut := shut_by_others(host, inputs, firewalls_of(seen, inputs)):
            log(shut, Severity.WARNING)
        kept = {**ownership.kept(state), "owner": owner} if "claim" in state else {}
        now = {**inputs, **found, **kept, "surroundings": around.outputs()}
        return now, with_desired(inputs, around)

    def update(self, id: str, state: Properties, inputs: Properties, preview: bool) -> Properties:
        known = Known.of(state, ownership.moved(state, inputs))
        if not preview:
            return self._apply(id, inputs, known)
        return {**with_desired(inputs, Surroundings.of(state)), **ownership.kept(state)}

    def foresee(self, host: Host, inputs: Properties, state: Properties | None) -> Iterator[Check]:
        """What it will close also on a first preview, which does not know yet which of its host's gateways it is."""
        if has_unknown(inputs):
            if told := closing.known(inputs):
                yield lambda: closing.tell(host, look(host), firewall(told), paths_of(told).table)
            return
        known, paths = Known.of(state or {}, ownership.moved(state or {}, inputs)), paths_of(inputs)
        yield lambda: ownership.foresee(host, "firewall", ownership.wanted(inputs), known)
        seen = look(host, paths)
        tell_former(host, inputs, seen)
        around = surroundings_of(seen, inputs, Surroundings.of(state or {}))
        yield lambda: require_uplink(host, inputs, seen)
        yield lambda: require_ssh_port(host, inputs, seen["ssh"])
        yield lambda: require_open(host, inputs, firewalls_of(seen, inputs))
        yield lambda: host_checks.require_port(host, inputs["listenPort"], seen["listeners"], seen["wireguard"])
        yield lambda: closing.tell(host, seen, firewall(inputs, around), paths.table)
        yield lambda: require_way_in(host, firewall(inputs, around), seen)
        yield lambda: tell_of_others(host, inputs, seen)

    def delete(self, id: str, state: Properties) -> None:
        host, paths = self._connect(connection(state)), paths_of(state)
        seen = ownership.release(host, "firewall", state)
        if seen is None:
            return
        before = Before() if ownership.others(seen, ownership.owner_of(state)) else forwarding.of(state)
        remains.remove_firewall(host, paths, lambda: meanwhile.close(host, before))
        firewall_change.forget_connections(host, state)
        firewall_change.forget_flows(host, egress.changed(egress.sets(egress_of(state)), ()))
        ownership.forget(host, "firewall", state, seen)

    def _apply(self, id: str, inputs: Properties, known: Known) -> Properties:
        to, paths = connection(inputs), paths_of(inputs)
        host = self._connect(to)
        taken = ownership.judge(host, "firewall", ownership.wanted(inputs), known)
        undo.settle(host, change_of(paths))
        seen = look(host, paths)
        require_uplink(host, inputs, seen)
        around = surroundings_of(seen, inputs, Surroundings())
        wanted = desired(inputs, around)
        require_ssh_port(host, inputs, seen["ssh"])
        require_open(host, inputs, firewalls_of(seen, inputs))
        host_checks.require_port(host, inputs["listenPort"], seen["listeners"], seen["wireguard"])
        closing.tell(host, seen, firewall(inputs, around), paths.table)
        owned = taken.stamp(host)
        try:
            firewall_change.apply(host, lambda: self._reconnect(to), wanted, inputs, seen)
            found = observed(look(self._connect(to), paths), inputs)
            return {**inputs, **found, **owned, "surroundings": around.outputs()}
        except OutOfTime as error:  # with it there, or taken back by the host's own undo: the next read tells
            raise Partial(id, {**inputs, **owned, "surroundings": around.outputs()}, inputs, str(error)) from error
