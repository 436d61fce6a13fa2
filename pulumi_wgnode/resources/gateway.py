"""Gateway: the node in its virtual machine, its companion on the host, and what the running node says of itself.

What `read` brings back is what `diff` compares: the files on the host, the state of both units, and of the running
node the configuration in force (`applied`), the digest that it computes from its device at each request (`live`), and
its keys and peers one by one. `loaded`, the configuration that it booted, is told beside them: a live change makes it
another one than `applied`. Its shape: gateway_state.py; how a change gets there: gateway_change.py.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Callable, Iterator

from pulumi_wgnode.call.kind import CheckError, Diff, Partial, Properties, PropertyChange, has_unknown
from pulumi_wgnode.call.log import Severity, log
from pulumi_wgnode.contracts.gateway import CONTRACT
from pulumi_wgnode.contracts.node import config_of, described, keys_described, upgraded
from pulumi_wgnode.errors import ExplainedError
from pulumi_wgnode.hosts import owners
from pulumi_wgnode.hosts.host import Connection, Host, HostError
from pulumi_wgnode.hosts.query import answer
from pulumi_wgnode.hosts.ssh import pool
from pulumi_wgnode.resources import gateway_change, host_checks, lan_addresses, lan_kinds, new_guest, ownership, remains
from pulumi_wgnode.resources.accelerator import AcceleratorError, announcement, resolve
from pulumi_wgnode.resources.compare import changed_inputs
from pulumi_wgnode.resources.foresee import Check
from pulumi_wgnode.resources.gateway_state import COMPARED, SILENT, Desired, desired, differences, observed
from pulumi_wgnode.resources.inputs import connection, validated
from pulumi_wgnode.resources.owner_judgement import Known
from wgnode import formats
from wgnode.image import backends
from wgnode.image.architecture import AMD64
from wgnode.image.paths import Paths
from wgnode.nodeconfig import FORMAT, ConfigError, encode_key

_COMPARED = tuple(
    name for name in CONTRACT.inputs.wire_names() if name not in ("lanInterface", "secrets")
)  # the first for questions alone


class Gateway:
    def __init__(self, connect: Callable[[Connection], Host] = pool.connect) -> None:
        self._connect = connect

    def check(self, news: Properties, olds: Properties) -> Properties:
        """Also with what is wanted of the host, so that a preview shows drift against it."""
        checked = _in_one_way(self._chosen(validated(CONTRACT.inputs, news), olds))
        _require_possible(checked)
        if not has_unknown(checked["machine"]) and (told := backends.warning(checked["machine"])):
            log(told, Severity.WARNING)
        return checked if has_unknown(checked) else {**checked, **_planned(checked, desired(checked))}

    def diff(self, state: Properties, old_inputs: Properties, news: Properties) -> Diff:
        state, old_inputs = upgraded(state), upgraded(old_inputs)
        replace = (*ownership.replaced(old_inputs, news), *_another_backend(old_inputs, news))
        changes = changed_inputs(old_inputs, news, _COMPARED, replace=replace)
        if old_inputs.get("secrets") != news.get("secrets"):  # as a whole: its paths have keys in them
            changes.append(PropertyChange("secrets"))
        if not has_unknown(news):
            planned = news.keys() >= set(COMPARED)  # by their check
            wanted = {name: news[name] for name in COMPARED} if planned else desired(news).properties()
            changes += differences(wanted, state)
            changes += ownership.differences(state, news, "gateway")
            if told := _new_backend(old_inputs, news) or announcement(_accelerator(old_inputs), _accelerator(news)):
                log(told, Severity.WARNING)
        return Diff(tuple(changes))

    def create(self, name: str, inputs: Properties, preview: bool) -> tuple[str, Properties]:
        if preview:
            return "", inputs
        id = inputs["site"]["id"]
        return id, self._apply(id, inputs, Known(), {})

    def read(self, id: str, state: Properties, inputs: Properties) -> tuple[Properties, Properties] | None:
        inputs = upgraded(inputs)
        host = self._connect(connection(inputs))
        records = answer(host, owners.QUERY)
        owner = ownership.found(host, records, "gateway", inputs, inputs.get("instance", ""))
        kept = {**ownership.kept(state), "owner": owner} if "claim" in state else {}
        try:
            wanted = desired(inputs)
            found = observed(host, wanted)
        except ConfigError:  # of an older version of wgnode: this one can't judge what is there, so all of it is drift
            _require_known_format(inputs["config"])
            return {**inputs, "files": {}, "units": {}, **SILENT, **kept}, inputs
        there = found["files"] or found["units"] or ownership.claimed(records, "gateway", state)
        if owner is None or not there:
            return None
        return {**inputs, **found, **kept}, {**inputs, **_planned(inputs, wanted)}

    def update(self, id: str, state: Properties, inputs: Properties, preview: bool) -> Properties:
        known = Known.of(state, ownership.moved(state, inputs))
        return {**inputs, **ownership.kept(state)} if preview else self._apply(id, inputs, known, state)

    def foresee(self, host: Host, inputs: Properties, state: Properties | None) -> Iterator[Check]:
        """Whose it is; a new guest, whether it has room, and whether its address is its own."""
        if not has_unknown([inputs["site"], inputs.get("instance")]):
            known = Known.of(state or {}, ownership.moved(state or {}, inputs))
            yield lambda: ownership.foresee(host, "gateway", ownership.wanted(inputs), known)
            yield lambda: host_checks.require_known_state(host, Paths(_instance(inputs)).hostd_state)
        if (new_guest.announce(host, inputs, state) or state is None) and not has_unknown(inputs["machine"]):
            unit = Paths(_instance(inputs)).gateway_unit
            yield lambda: host_checks.require_memory(host, inputs["machine"]["memory"], unit)
        if has_unknown(inputs["config"]):
            return
        if not lan_addresses.held(state or {}, inputs):
            yield lambda: lan_addresses.require_free(host, lan_addresses.wanted(inputs))
        if lan_kinds.needed(inputs, state or {}):
            yield lambda: lan_kinds.require_ethernet(host, inputs)

    def delete(self, id: str, state: Properties) -> None:
        host, paths = self._connect(connection(state)), Paths(state.get("instance", ""))
        seen = ownership.release(host, "gateway", state)
        if seen is None:
            return
        remains.remove_gateway(host, paths)
        ownership.forget(host, "gateway", state, seen)

    def _chosen(self, checked: Properties, olds: Properties) -> Properties:
        """With the accelerator that the machine gets. Raises CheckError where that can't be."""
        machine = checked["machine"]
        if has_unknown(machine):
            return checked
        if not backends.of(machine).accelerated:
            return {**checked, "machine": _recorded({name: machine[name] for name in ("backend", "memory", "cpus")})}
        kvm, asked = machine.get("kvm"), machine["accelerator"]
        if kvm is None and asked == "auto":
            raise CheckError([("machine.kvm", "auto needs the host's facts of KVM: give `kvm`, or kvm or tcg instead")])
        if kvm is not None:
            needs_memory = asked == "auto" and not kvm["usable"]
            before = (_accelerator(olds) or self._accelerator_on_host(checked)) if needs_memory else None
            try:
                asked = resolve(asked, kvm["usable"], kvm["reason"], before)
            except AcceleratorError as error:
                raise CheckError([("machine.accelerator", str(error))]) from None
        return {**checked, "machine": {**_recorded(machine), "accelerator": asked}}

    def _accelerator_on_host(self, checked: Properties) -> str | None:
        """By what a gateway there runs that is to be taken over; None where there is none, or no answer."""
        if has_unknown(checked):
            return None
        kvm = {**checked, "machine": {**_recorded(checked["machine"]), "accelerator": "kvm"}}
        try:
            unit = self._connect(connection(checked)).read_file(desired(kvm).files["gatewayUnit"].path)
        except HostError:
            return None
        return "kvm" if re.search(rb"-accel(erator)? kvm", unit or b"") else None

    def _apply(self, id: str, inputs: Properties, known: Known, state: Properties) -> Properties:
        host = self._connect(connection(inputs))
        wanted = desired(inputs)
        taken = ownership.judge(host, "gateway", ownership.wanted(inputs), known)
        host_checks.require_known_state(host, wanted.paths.hostd_state)
        if not lan_addresses.held(state, inputs):
            lan_addresses.require_free(host, lan_addresses.wanted(inputs))
        if lan_kinds.needed(inputs, state):
            lan_kinds.require_ethernet(host, inputs)
        owned = taken.stamp(host)
        try:
            gateway_change.apply(host, wanted)
            return {**inputs, **observed(host, wanted), **owned}
        except HostError as error:
            state = {**inputs, **_observed_if_possible(host, wanted), **owned}
            raise Partial(id, state, inputs, str(error)) from error


def _in_one_way(checked: Properties) -> Properties:
    """Configuration and keys with all defaults, however they were given; what is unknown stays."""
    made = dict(checked)
    if not has_unknown(made["config"]):
        made["config"] = described(made["config"])
    if not has_unknown(made["secrets"]):
        made["secrets"] = keys_described(made["secrets"])
    return made


def _require_possible(checked: Properties) -> None:
    """Raises CheckError for a configuration that its backend can't do."""
    if has_unknown(checked["machine"]) or has_unknown(checked["config"]):
        return
    machine, config = checked["machine"], config_of(checked["config"])
    asked = {"masquerade": config.lan.masquerade, "proxyArp": config.lan.proxy_arp}
    name = backends.of(machine).name
    refused = [(f"config.lan.{what}", why) for what, why in backends.refusals(name, asked)]
    if refused := refused or [("config", f"backend {name}: {why}") for why in backends.misfits(machine, config)]:
        raise CheckError(refused)


def _require_known_format(config: str) -> None:
    """Raises ExplainedError for a configuration of a newer version, from when it was text."""
    with contextlib.suppress(ValueError, AttributeError, TypeError):
        if why := formats.newer("the gateway's configuration", json.loads(config).get("format"), FORMAT):
            raise ExplainedError(why)


def _instance(inputs: Properties) -> str:
    given = inputs.get("instance", "")
    return "" if has_unknown(given) else str(given)


def _recorded(machine: Properties) -> Properties:
    """What makes the machine, as states of versions that knew less have it too."""
    without = {"kvm"} if machine.get("udpSegmentation") else {"kvm", "udpSegmentation"}
    without |= {"backend"} if machine.get("backend") == backends.DEFAULT else set()
    without |= {"architecture"} if machine.get("architecture") == AMD64.name else set()
    return {name: value for name, value in machine.items() if name not in without}


def _another_backend(old: Properties, news: Properties) -> tuple[str, ...]:
    """A path for `changed_inputs`: what is there of one backend is of no use to another."""
    known = isinstance(old.get("machine"), dict) and not has_unknown(news.get("machine"))
    return ("machine.backend",) if known and _new_backend(old, news) else ()


def _new_backend(old: Properties, news: Properties) -> str | None:
    """What a preview says of another backend; None where nothing changes."""
    before, now = (backends.of(inputs.get("machine") or {}) for inputs in (old, news))
    if before.name == now.name:
        return None
    return (
        f"backend {now.name} in place of {before.name}: the gateway is replaced by {now.about}. Its tunnels are down"
        " from when its host's links change until the new one runs, and nothing goes back to the former one by itself"
    )


def _accelerator(inputs: Properties) -> str | None:
    machine = inputs.get("machine")
    return machine.get("accelerator") if isinstance(machine, dict) else None


def _planned(inputs: Properties, wanted: Desired) -> Properties:
    """What the host and the node will say once they are as the inputs want them."""
    config = config_of(inputs["config"])
    return {
        **wanted.properties(),
        "publicKey": encode_key(config.public_keys[0]),
        "addresses": list(config.addresses),
    }


def _observed_if_possible(host: Host, wanted: Desired) -> Properties:
    """What a failure left; nothing, hence all of it drift, where the host cannot be asked any more."""
    try:
        return observed(host, wanted)
    except HostError:
        return {"files": {}, "units": {}, **SILENT}
