"""NatFirewall: our nftables table on a host, and the unit that loads it at boot.

Reading lists the table rule by rule, so a rule that was removed by hand is named; mending it replaces the table in one
transaction, which cuts nothing. Every change is taken back by the host unless a new SSH connection confirms it.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from typing import Any, Literal

from pydantic import Field

from infra.hosts import facts, files, owners, pool, undo, units
from infra.hosts.host import Connection, Host, HostError, OutOfTime
from infra.hosts.query import Query, ask
from infra.provider.codec import has_unknown
from infra.provider.kind import Diff, Partial, Properties, PropertyChange
from infra.provider.log import Severity, log
from infra.resources import host_checks, ownership
from infra.resources.compare import changed_inputs, drift, join
from infra.resources.foresee import Check
from infra.resources.inputs import HostInputs, Inputs, NetworkText, TransitInputs, connection, validated
from infra.resources.ownership import Known, SiteInputs
from wgnode.firewall import nft
from wgnode.firewall.foreign import Foreign
from wgnode.firewall.rules import Allow, Firewall, ruleset
from wgnode.image.paths import INSTANCE, PLAIN, Paths
from wgnode.topology.transit import Transit

_TABLE = ("rules", "chains", "order", "others")  # outputs that the table itself has
# From the SSH server's child above us; sudo takes it out of our own environment.
_SSH_CONNECTION = r"""p=$$; while [ "$p" -gt 1 ]; do
    said=$(tr '\0' '\n' <"/proc/$p/environ" 2>/dev/null | sed -n 's/^SSH_CONNECTION=//p')
    [ -z "$said" ] || { echo "$said"; exit; }
    p=$(sed -n 's/^PPid:[[:space:]]*//p' "/proc/$p/status")
done; true"""


def unit_text(paths: Paths) -> str:
    """Debian's nftables.service flushes everything when it starts, stops or reloads: we load after it, and with it."""
    return f"""[Unit]
Description=NAT firewall of the wgnode gateway
After=nftables.service
PartOf=nftables.service
ReloadPropagatedFrom=nftables.service
Before=network-pre.target shutdown.target
Wants=network-pre.target
Conflicts=shutdown.target
DefaultDependencies=no

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/usr/sbin/nft -f {paths.firewall_file}
ExecReload=/usr/sbin/nft -f {paths.firewall_file}
ExecStop=-/usr/sbin/nft delete table inet {paths.table}

[Install]
WantedBy=sysinit.target nftables.service
"""


class AllowInputs(Inputs):
    protocol: Literal["tcp", "udp"]
    port: int = Field(ge=1, le=65535)
    from_: list[NetworkText] = Field([], alias="from")


class NatFirewallInputs(HostInputs):
    site: SiteInputs
    instance: str = Field(
        "", pattern=rf"^({INSTANCE.pattern})$", description="which of its host's gateways, as HypervisorHost says"
    )
    uplink: str = Field(min_length=1, max_length=15)
    transit: TransitInputs = TransitInputs()
    listen_port: int = Field(51820, ge=1, le=65535)
    management_networks: list[NetworkText] = Field(min_length=1, description="who may reach the host's SSH port")
    ssh_port: int | None = Field(None, ge=1, le=65535)  # where the host itself listens; the connection's, if not given
    allow: list[AllowInputs] = Field([])


@dataclass(frozen=True)
class Wanted:
    paths: Paths
    script: str
    outputs: Properties

    @property
    def unit_file(self) -> str:
        return f"{units.DIRECTORY}/{self.paths.firewall_unit}"

    @property
    def change(self) -> str:
        """What its undo is called."""
        return change_of(self.paths)


def change_of(paths: Paths) -> str:
    return f"firewall-{paths.instance}" if paths.instance else "firewall"


def desired(inputs: Properties) -> Wanted:
    """The table as a script, and as `observed` will describe it."""
    transit = Transit.of(inputs["transit"].get("v4"), inputs["transit"].get("v6"))
    paths = paths_of(inputs)
    chains = ruleset(
        Firewall(
            uplink=inputs["uplink"],
            transit=transit.networks,
            guest=tuple(address.split("/")[0] for address in transit.guest),
            listen_port=inputs["listenPort"],
            management=tuple(map(ip_network, inputs["managementNetworks"])),
            ssh_port=_ssh_port(inputs),
            allow=tuple(
                Allow(one["protocol"], one["port"], tuple(map(ip_network, one["from"]))) for one in inputs["allow"]
            ),
            transit_interface=paths.transit_tap,
        )
    )
    script = nft.script(chains, paths.table)
    contents = {
        paths.firewall_file: files.described(_sha256(script), 0o600),
        f"{units.DIRECTORY}/{paths.firewall_unit}": files.described(_sha256(unit_text(paths))),
    }
    running = {paths.firewall_unit: units.RUNNING}
    return Wanted(paths, script, {**_outputs(nft.described(chains)), "files": contents, "units": running})


def look(host: Host, paths: Paths = PLAIN) -> dict[str, Any]:
    """All that is read of the host, in one round trip."""
    return ask(
        host,
        {
            **facts.FIREWALLS,
            **host_checks.LISTENERS,
            "owners": owners.QUERY,
            "file": files.content(paths.firewall_file),
            "files": files.metadata([paths.firewall_file, f"{units.DIRECTORY}/{paths.firewall_unit}"]),
            "units": units.query([paths.firewall_unit]),
            "ssh": Query(["sh", "-c", _SSH_CONNECTION], lambda said: said.stdout.split(), check=True),
        },
    )


def observed(seen: Mapping[str, Any], paths: Paths = PLAIN) -> Properties:
    """The table's rules by name, in order, and whether they would survive a reboot."""
    table = nft.observed(seen["ruleset"], paths.table) if seen["ruleset"] else nft.Table({}, {}, {})
    found = {path: files.describe(file) for path, file in seen["files"].items()}
    return {**_outputs(table), "files": found, "units": seen["units"]}


def plan(wanted: Wanted, found: Properties) -> list[str]:
    """The paths that differ; empty when there is nothing to do."""
    return [change.path for change in _differences(wanted.outputs, found)]


class NatFirewall:
    def __init__(
        self,
        connect: Callable[[Connection], Host] = pool.connect,
        reconnect: Callable[[Connection], Any] = pool.new_connection,
    ) -> None:
        self._connect, self._reconnect = connect, reconnect

    def check(self, news: Properties, olds: Properties) -> Properties:
        """Also with the rules that are wanted, so that a preview shows drift against them."""
        checked = validated(NatFirewallInputs, news)
        return checked if has_unknown(checked) else {**checked, **desired(checked).outputs}

    def diff(self, state: Properties, old_inputs: Properties, news: Properties) -> Diff:
        changes = changed_inputs(
            old_inputs, news, NatFirewallInputs.wire_names(), replace=ownership.replaced(old_inputs, news)
        )
        if not has_unknown(news):
            changes += _differences(desired(news).outputs, state)
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
        found = observed(seen, paths)
        owner = ownership.found(seen["owners"], "firewall", inputs, paths.instance)
        there = found["rules"] or found["files"] or ownership.claimed(seen["owners"], "firewall", state)
        if owner is None or not there:
            return None
        if shut := _shut(host, inputs, facts.firewalls_of(seen, paths.transit_tap)):
            log(shut, Severity.WARNING)
        kept = {**ownership.kept(state), "owner": owner} if "claim" in state else {}
        now = {**inputs, **found, **kept}
        return now, {**inputs, **desired(inputs).outputs}

    def update(self, id: str, state: Properties, inputs: Properties, preview: bool) -> Properties:
        known = Known.of(state, ownership.moved(state, inputs))
        return {**inputs, **ownership.kept(state)} if preview else self._apply(id, inputs, known)

    def foresee(self, host: Host, inputs: Properties, state: Properties | None) -> Iterator[Check]:
        if has_unknown(inputs):
            return
        known, paths = Known.of(state or {}, ownership.moved(state or {}, inputs)), paths_of(inputs)
        yield lambda: ownership.judge(host, "firewall", ownership.wanted(inputs), known)
        seen = look(host, paths)
        yield lambda: require_ssh_port(host, inputs, seen["ssh"])
        yield lambda: require_open(host, inputs, facts.firewalls_of(seen, paths.transit_tap))
        yield lambda: host_checks.require_port(host, inputs["listenPort"], seen["listeners"], seen["wireguard"])
        yield lambda: host_checks.require_way_in(host, inputs["managementNetworks"], inputs["uplink"], seen["ssh"])

    def delete(self, id: str, state: Properties) -> None:
        host, paths = self._connect(connection(state)), paths_of(state)
        seen = ownership.release(host, "firewall", state)
        if seen is None:
            return
        undo.settle(host, change_of(paths))
        units.uninstall(host, paths.firewall_unit)
        host.run(["nft", "delete", "table", "inet", paths.table], check=False)
        host.remove(paths.firewall_file)
        forget_connections(host, state)
        ownership.forget(host, "firewall", state, seen)

    def _apply(self, id: str, inputs: Properties, known: Known) -> Properties:
        to, wanted = connection(inputs), desired(inputs)
        host = self._connect(to)
        taken = ownership.judge(host, "firewall", ownership.wanted(inputs), known)
        undo.settle(host, wanted.change)
        seen = look(host, wanted.paths)
        require_ssh_port(host, inputs, seen["ssh"])
        require_open(host, inputs, facts.firewalls_of(seen, wanted.paths.transit_tap))
        host_checks.require_port(host, inputs["listenPort"], seen["listeners"], seen["wireguard"])
        owned = taken.stamp(host)
        try:
            apply(host, lambda: self._reconnect(to), wanted, inputs, seen)
            return {**inputs, **observed(look(self._connect(to), wanted.paths), wanted.paths), **owned}
        except OutOfTime as error:  # with it there, or taken back by the host's own undo: the next read tells
            raise Partial(id, {**inputs, **owned}, inputs, str(error)) from error


def require_ssh_port(host: Host, inputs: Properties, said: Sequence[str]) -> None:
    """Raises HostError, before anything is changed, where a forward in front of the host hides its real SSH port.

    One that is given explicitly is taken as it is: the way in of now may be another than the uplink. `said` is what
    the host says of the connection: the client, its port, the server, its port.
    """
    if "sshPort" in inputs or len(said) != 4 or ip_address(said[0].split("%")[0]).is_loopback:
        return
    if said[3] != str(_ssh_port(inputs)):
        raise HostError(
            f"host {host.name}: its SSH listens on port {said[3]} behind a forward of port {_ssh_port(inputs)}; the"
            f" firewall must let in the former: set `sshPort: {said[3]}` beside `port` under `host` in the site's stack"
            " file"
        )


def require_open(host: Host, inputs: Properties, firewalls: Iterable[Foreign]) -> None:
    """Raises HostError, before anything is changed, when another firewall drops what `allow` lets in."""
    if shut := _shut(host, inputs, firewalls):
        raise HostError(shut)


def _shut(host: Host, inputs: Properties, firewalls: Iterable[Foreign]) -> str:
    for one in firewalls:
        if ports := [allowed["port"] for allowed in inputs["allow"] if one.blocks_port(allowed["port"])]:
            return (
                f"host {host.name}: another firewall, {one}, drops port {', '.join(map(str, ports))}, which"
                " firewall.allow lets in; open it there too, or take it out of the site's stack file"
            )
    return ""


def apply(host: Host, reconnect: undo.Connect, wanted: Wanted, inputs: Properties, seen: Mapping[str, Any]) -> None:
    """Load the table, prove that we still get in, and only then make it permanent; of all that, what is to be done."""
    found, paths = observed(seen, wanted.paths), wanted.paths
    differing = plan(wanted, found)

    def load(host: Host) -> None:
        host.run(["nft", "-f", "-"], input=wanted.script.encode())

    def persist(host: Host) -> None:
        if join("files", paths.firewall_file) in differing:
            host.run(["mkdir", "-p", "-m", "0755", os.path.dirname(paths.firewall_file)])
            host.write_file(paths.firewall_file, wanted.script.encode(), mode=0o600)
        unit = paths.firewall_unit
        if join("files", wanted.unit_file) in differing or join("units", unit) in differing:
            units.mend(host, unit, unit_text(paths), seen["units"].get(unit))

    if not any(path.startswith(_TABLE) for path in differing):
        persist(host)
        return
    log(f"loading the firewall of {host.name}")
    host.run(["nft", "--check", "-f", "-"], input=wanted.script.encode())
    undo.confirmed(host, reconnect, wanted.change, undo=_undo(host, wanted, seen["file"]), apply=load, persist=persist)
    if _translation(found["rules"]) != _translation(wanted.outputs["rules"]):
        forget_connections(host, inputs)


def forget_connections(host: Host, inputs: Properties) -> None:
    """Connections tracked from before the translation would keep bypassing it for as long as they are in use."""
    port = str(inputs["listenPort"])
    transit = Transit.of(inputs["transit"].get("v4"), inputs["transit"].get("v6"))
    host.run(["conntrack", "-D", "-p", "udp", "--orig-port-dst", port], check=False)
    host.run(["conntrack", "-D", "-f", "ipv6", "-p", "udp", "--orig-port-dst", port], check=False)
    for address in transit.guest:
        guest = address.split("/")[0]
        family = "ipv6" if ":" in guest else "ipv4"
        host.run(["conntrack", "-D", "-f", family, "--orig-src", guest], check=False)


def _undo(host: Host, wanted: Wanted, file: str | None) -> str:
    """A script that brings back the table, the file and the unit as they are now."""
    path, unit = wanted.paths.firewall_file, wanted.paths.firewall_unit
    table = host.run(["nft", "list", "table", "inet", wanted.paths.table], check=False)
    lines = [f"nft delete table inet {wanted.paths.table}"]
    if table.code == 0:
        lines += [f"nft -f - <<'WGNODE_END'\n{table.stdout.rstrip()}\nWGNODE_END"]
    if file is None:
        lines = [f"systemctl disable --now {unit}", *lines]
        lines += [f"rm -f {wanted.unit_file} {path}", "systemctl daemon-reload"]
    else:
        lines += [f"cat >{path} <<'WGNODE_END'\n{file.rstrip()}\nWGNODE_END"]
    return "\n".join(lines)


def paths_of(properties: Properties) -> Paths:
    """Of the gateway whose inputs or state these are; those of versions with one gateway a host have no instance."""
    return Paths(properties.get("instance", ""))


def _ssh_port(inputs: Properties) -> int:
    return int(inputs.get("sshPort") or inputs["connection"]["port"])


def _outputs(table: nft.Table) -> Properties:
    order = {name: ", ".join(rules) for name, rules in table.order.items()}
    return {"rules": dict(table.rules), "chains": dict(table.chains), "order": order, "others": dict(table.others)}


def _differences(wanted: Properties, found: Properties) -> list[PropertyChange]:
    """By rule. That a rule is missing, or more, also changes its chain's order, which is no second difference."""
    found = {**dict.fromkeys(wanted, {}), **found}  # noqa: RUF024 (never changed)
    order = {
        name: rules if _same_order(rules, found["order"].get(name, "")) else found["order"][name]
        for name, rules in wanted["order"].items()
    }
    return drift(wanted, {**found, "order": order})


def _same_order(wanted: str, found: str) -> bool:
    one, other = wanted.split(", "), found.split(", ")
    return [rule for rule in one if rule in other] == [rule for rule in other if rule in one]


def _translation(rules: Properties) -> Properties:
    return {name: text for name, text in rules.items() if name.startswith(("dnat", "masquerade"))}


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
