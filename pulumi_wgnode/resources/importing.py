"""`pulumi import` of resources on a host: an id that says where to look, and what the host has kept of their inputs.

The id is `[USER@]HOST[:PORT]/SITE`, the site by its name or id; `/SITE` may be left out where the host has one gateway.
How to log in comes from the environment, which key the host must show from files of known hosts (hosts/ssh/way.py); its
keys are then pinned in what is imported.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from pulumi_wgnode.call.kind import Imported, Kind, Properties
from pulumi_wgnode.call.log import Severity, log
from pulumi_wgnode.contracts.contract import Contract
from pulumi_wgnode.errors import ExplainedError
from pulumi_wgnode.hosts import kept_inputs, owners
from pulumi_wgnode.hosts.host import Connection, Host, HostError
from pulumi_wgnode.hosts.query import answer
from pulumi_wgnode.hosts.ssh import pool, way
from pulumi_wgnode.hosts.ssh.environment import SSH_PORT
from pulumi_wgnode.resources.appliance_image import observed
from pulumi_wgnode.resources.hypervisor_state import Traits
from pulumi_wgnode.resources.inputs import connection, described
from pulumi_wgnode.resources.unread import PASSED_OVER, OnHost
from wgnode.image import layers
from wgnode.image.paths import image_directory

KINDS = {"HypervisorHost": "host", "NatFirewall": "firewall", "ApplianceImage": "image", "Gateway": "gateway"}
_ELSEWHERE = frozenset({"connection", "site", "neededBy", "config", "secrets", "bundle", "source"})
_ID = re.compile(
    r"((?P<user>[^@/\s]+)@)?(\[(?P<six>[^\]\s]+)\]|(?P<host>[^:@/\s]+))(:(?P<port>\d{1,5}))?(/(?P<site>[^/\s]+))?"
)


class Importable(OnHost):
    """Any kind of resource on a host, with that."""

    def __init__(self, kind: Kind, contract: Contract, connect: Callable[[Connection], Host] = pool.connect) -> None:
        super().__init__(kind, connect)
        self._contract, self._called = contract, KINDS[contract.name]

    def create(self, name: str, inputs: Properties, preview: bool) -> tuple[str, Properties]:
        made = super().create(name, inputs, preview)
        if not preview:
            self._keep(inputs)
        return made

    def read(self, id: str, state: Properties, inputs: Properties) -> tuple[Properties, Properties] | Imported | None:
        return super().read(id, state, inputs) if "connection" in inputs else self._imported(id)

    def update(self, id: str, state: Properties, inputs: Properties, preview: bool) -> Properties:
        made = super().update(id, state, inputs, preview)
        if not preview and PASSED_OVER not in made:
            self._keep(inputs)
        return made

    def _keep(self, inputs: Properties) -> None:
        if not (whose := inputs.get("site") or inputs.get("neededBy")):
            return
        names = set(self._contract.inputs.wire_names()) - _ELSEWHERE
        try:
            host = self._connect(connection(inputs))
            path = owners.inputs_of(whose["id"], self._called)
            kept_inputs.write(host, path, {name: inputs[name] for name in sorted(names & inputs.keys())})
        except HostError as error:  # the resource itself is there
            log(f"{error}; `pulumi import` will not find what it was given", Severity.INFO)

    def _imported(self, id: str) -> Imported | None:
        raw, site = _where(id)
        host = self._connect(described(raw))
        seen = answer(host, owners.QUERY)
        record = _record(host, seen, site)
        kept = kept_inputs.read(host, owners.inputs_of(record.owner.id, self._called))
        owner = {"id": record.owner.id, "mesh": record.owner.mesh, "name": record.owner.name}
        inputs = {**kept, "connection": raw, "neededBy" if self._called == "image" else "site": owner}
        if self._called == "gateway":
            inputs |= _layers(host, record)
        state = self._recorded(host, seen, record, inputs)
        own = inputs["sha256"] if self._called == "image" else record.owner.id
        found = super().read(own, state, self._kind.check(inputs, state))
        if found is None or isinstance(found, Imported):
            return found
        names = self._contract.inputs.wire_names()
        return Imported(own, found[0], {name: value for name, value in found[1].items() if name in names})

    def _recorded(self, host: Host, seen: owners.Seen, record: owners.Record, inputs: Properties) -> Properties:
        """As much of a state as only its last `up` would know otherwise."""
        if self._called == "image":
            digest = inputs["sha256"]
            return {**inputs, "directory": image_directory(digest), "wanted": observed(host, digest)["files"]}
        claim = {"claim": record.claims[self._called]} if self._called in record.claims else {}
        traits = Traits(instance=record.instance, protocol=record.protocol).outputs()
        return {**claim, "machineId": seen.machine, "instance": record.instance, "traits": traits}


def _where(id: str) -> tuple[Properties, str | None]:
    """(the connection, the site). Raises ExplainedError for what is no such id."""
    found = _ID.fullmatch(id)
    if not found or not 0 < int(found["port"] or SSH_PORT) < 65536:
        raise ExplainedError(
            f"cannot import {id}: its id says where the resource is: [USER@]HOST[:PORT]/SITE, such as"
            " root@203.0.113.2/berlin"
        )
    raw: Properties = {"address": found["six"] or found["host"]}
    raw |= {"user": found["user"]} if found["user"] else {}
    raw |= {"port": int(found["port"])} if found["port"] else {}
    return {**raw, "hostKeys": way.pins(described(raw))}, found["site"]


def _record(host: Host, seen: owners.Seen, site: str | None) -> owners.Record:
    named = [one for one in seen.records if site in (None, one.owner.id, one.owner.name)]
    if len(named) != 1:
        there = ", ".join(str(one.owner) for one in seen.records) or "none"
        what = f"has {len(named)} gateways of site {site!r}" if site else f"has {len(named)} gateways"
        raise HostError(f"host {host.name}: {what}; give its id as ADDRESS/SITE: there are {there}")
    return named[0]


def _layers(host: Host, record: owners.Record) -> Properties:
    """What the gateway boots has its configuration and keys."""
    paths = record.paths
    config, secrets, sealed = map(host.read_file, (paths.config_layer, paths.secrets_layer, paths.sealed_bundle))
    if config is None or secrets is None:
        raise HostError(f"host {host.name}: there is no gateway of {record.owner} (no {paths.config_layer})")
    try:
        texts: Properties = {
            "config": layers.config_of(config).to_json().decode(),
            "secrets": layers.secrets_of(secrets).to_json().decode(),
        }
    except ValueError as error:
        raise HostError(f"host {host.name}: {error}") from None
    return {**texts, **({"bundle": sealed.decode()} if sealed else {})}
