"""What the table should be and what it is found to be: its rules by name, its file, the unit that loads it at boot.

Pure but for `look`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from ipaddress import ip_address, ip_network
from typing import Any

from pulumi_wgnode.call.kind import Properties, PropertyChange
from pulumi_wgnode.hosts import files, owners, units
from pulumi_wgnode.hosts.host import Host
from pulumi_wgnode.hosts.judging import firewalls
from pulumi_wgnode.hosts.networks import outside, routing, uplink
from pulumi_wgnode.hosts.networks.outside import Surroundings
from pulumi_wgnode.hosts.query import Query, ask
from pulumi_wgnode.hosts.ssh.environment import SSH_PORT
from pulumi_wgnode.resources import closing, forwarding, host_checks
from pulumi_wgnode.resources.compare import drift
from wgnode.firewall import egress, meanwhile, nft
from wgnode.firewall.egress import Egress, Leaving
from wgnode.firewall.expressions import NamedSet
from wgnode.firewall.forwards import Forward
from wgnode.firewall.rules import CLOSED_TABLE, Allow, Firewall, ruleset
from wgnode.image.paths import PLAIN, Paths
from wgnode.topology.transit import Transit

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


@dataclass(frozen=True)
class Wanted:
    paths: Paths
    script: str
    outputs: Properties
    sets: tuple[NamedSet, ...] = ()

    @property
    def unit_file(self) -> str:
        return f"{units.DIRECTORY}/{self.paths.firewall_unit}"

    @property
    def change(self) -> str:
        """What its undo is called."""
        return change_of(self.paths)


def change_of(paths: Paths) -> str:
    return f"firewall-{paths.instance}" if paths.instance else "firewall"


def desired(inputs: Properties, around: Surroundings = Surroundings()) -> Wanted:  # noqa: B008 (frozen)
    """The table as a script, and as `observed` will describe it."""
    wanted = firewall(inputs, around)
    paths, chains, sets = paths_of(inputs), ruleset(wanted), tuple(egress.sets(wanted.egress))
    script = nft.script(chains, paths.table, sets)
    contents = {
        paths.firewall_file: files.described(_sha256(script), 0o600),
        f"{units.DIRECTORY}/{paths.firewall_unit}": files.described(_sha256(unit_text(paths))),
    }
    running = {paths.firewall_unit: units.RUNNING}
    outputs = {**_outputs(nft.described(chains, sets), wanted.egress), "files": contents, "units": running}
    return Wanted(paths, script, {**outputs, "way": {inputs["uplink"]: uplink.SOUND}}, sets)


def with_desired(inputs: Properties, around: Surroundings) -> Properties:
    return {**inputs, **desired(inputs, around).outputs, "surroundings": around.outputs()}


def firewall(inputs: Properties, around: Surroundings = Surroundings()) -> Firewall:  # noqa: B008 (frozen)
    transit = Transit.of(inputs["transit"].get("v4"), inputs["transit"].get("v6"))
    return Firewall(
        uplink=inputs["uplink"],
        transit=transit.networks,
        guest=tuple(address.split("/")[0] for address in transit.guest),
        listen_port=inputs["listenPort"],
        management=tuple(map(ip_network, inputs["managementNetworks"])),
        ssh_port=ssh_port(inputs),
        allow=tuple(
            Allow(one["protocol"], one["port"], tuple(map(ip_network, one["from"]))) for one in inputs["allow"]
        ),
        transit_interface=paths_of(inputs).transit_tap,
        forward=tuple(map(_forward, inputs.get("forward") or ())),
        keep=bool(inputs.get("keep")),
        before=forwarding.of(inputs),
        left_alone=(*inputs.get("leaveAlone", ()), *around.interfaces),
        inside=around.inside,
        outside=around.outside,
        egress=egress_of(inputs),
    )


def egress_of(inputs: Properties) -> Egress | None:
    if not (given := inputs.get("egress")):
        return None
    return Egress(
        given["lan"], tuple(one for name, device in given["devices"].items() for one in _leaving(name, device))
    )


def _leaving(name: str, device: Properties) -> Iterator[Leaving]:
    """With addresses of its own outside, it leaves by these alone."""
    public = {one.version: one for one in map(ip_address, device.get("public") or ())}
    for address in map(ip_address, device["addresses"]):
        if not public or address.version in public:
            yield Leaving(name, address, public.get(address.version), bool(device.get("open")))


def _forward(given: Properties) -> Forward:
    to = ip_network(given["to"]) if given.get("to") else None
    port = int(given["port"]) if given.get("port") else None
    return Forward(given.get("protocol"), port, to, tuple(map(ip_network, given.get("from") or ())))


def look(host: Host, paths: Paths = PLAIN) -> dict[str, Any]:
    """All that is read of the host, in one round trip."""
    return ask(
        host,
        {
            **firewalls.FIREWALLS,
            **host_checks.LISTENERS,
            **closing.QUERIES,
            "routing": routing.QUERY,
            "owners": owners.QUERY,
            "file": files.content(paths.firewall_file),
            "files": files.metadata([paths.firewall_file, f"{units.DIRECTORY}/{paths.firewall_unit}"]),
            "units": units.query([paths.firewall_unit]),
            "ssh": Query(["sh", "-c", _SSH_CONNECTION], lambda said: said.stdout.split(), check=True),
        },
    )


def observed(seen: Mapping[str, Any], inputs: Properties) -> Properties:
    """The table's rules by name, in order, whether they would survive a reboot, and what has become of the uplink."""
    paths, name = paths_of(inputs), inputs["uplink"]
    table = table_of(seen, paths)
    if table.chains and meanwhile.is_there(seen["ruleset"]):  # beside it, that would close what it opens
        table = replace(table, others={**table.others, f"table {CLOSED_TABLE}": "still there"})
    found = {path: files.describe(file) for path, file in seen["files"].items()}
    outputs = {**_outputs(table, egress_of(inputs)), "files": found, "units": seen["units"]}
    return {**outputs, "way": {name: way_of(seen, inputs).what}}


def table_of(seen: Mapping[str, Any], paths: Paths) -> nft.Table:
    return nft.observed(seen["ruleset"], paths.table) if seen["ruleset"] else nft.Table({}, {}, {})


def way_of(seen: Mapping[str, Any], inputs: Properties) -> uplink.Finding:
    """Whether the uplink's packets come in under its name. Which way other sites are, HypervisorHost judges."""
    transit = Transit.of(inputs["transit"].get("v4"), inputs["transit"].get("v6"))
    tap, port = paths_of(inputs).transit_tap, inputs["listenPort"]
    site = uplink.site_of(inputs["uplink"], "", tap, transit.guest, port)
    return uplink.present(seen["links"], seen["routing"], site)


def surroundings_of(seen: Mapping[str, Any], inputs: Properties, known: Surroundings) -> Surroundings:
    """As they are now. An uplink that is none tells nothing of what is outside: then the `known` ones stay."""
    if not way_of(seen, inputs).sound:
        return known
    return outside.surroundings(seen["routing"], inputs["uplink"])


def plan(wanted: Wanted, found: Properties) -> list[str]:
    """The paths that differ; empty when there is nothing to do."""
    return [change.path for change in differences(wanted.outputs, found)]


def paths_of(properties: Properties) -> Paths:
    """Of the gateway whose inputs or state these are; those of versions with one gateway a host have no instance."""
    return Paths(properties.get("instance", ""))


def ssh_port(inputs: Properties) -> int:
    """As the program says it: what the runner's files and environment say is not the same everywhere."""
    return int(inputs.get("sshPort") or inputs["connection"].get("port") or SSH_PORT)


def _outputs(table: nft.Table, devices: Egress | None) -> Properties:
    order = {name: ", ".join(rules) for name, rules in table.order.items()}
    whole = {"rules": dict(table.rules), "chains": dict(table.chains), "order": order, "others": dict(table.others)}
    return {**whole, "leaving": egress.described(table.sets, devices)}


def differences(wanted: Properties, found: Properties) -> list[PropertyChange]:
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


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
