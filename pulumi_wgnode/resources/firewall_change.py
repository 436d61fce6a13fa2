"""How the table gets onto the host: taken back by the host itself unless a new connection confirms it."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping, Sequence
from typing import Any

from pulumi_wgnode.call.kind import Properties
from pulumi_wgnode.call.log import log
from pulumi_wgnode.hosts import egress_record, undo, units
from pulumi_wgnode.hosts.host import Host, HostError
from pulumi_wgnode.resources.compare import join
from pulumi_wgnode.resources.firewall_state import Wanted, observed, plan, table_of, unit_text
from wgnode.firewall import egress, meanwhile
from wgnode.firewall.rules import CLOSED_TABLE
from wgnode.topology.transit import Transit

_FORGET = """while read -r address; do
    case $address in *:*) family=ipv6 ;; *) family=ipv4 ;; esac
    for end in --orig-src --orig-dst; do conntrack -D -f "$family" "$end" "$address" </dev/null; done
done >/dev/null 2>&1; true"""
FORGET_ONE = 0.1
"""Seconds that one address may take, beside a minute for all."""
_TABLE = ("rules", "chains", "order", "others", "leaving")  # outputs that the table itself has


def apply(host: Host, reconnect: undo.Connect, wanted: Wanted, inputs: Properties, seen: Mapping[str, Any]) -> None:
    """Load the table, prove that we still get in, and only then make it permanent; of all that, what is to be done."""
    found, paths = observed(seen, inputs), wanted.paths
    differing = plan(wanted, found)

    stood_in = meanwhile.is_there(seen["ruleset"])

    def load(host: Host) -> None:
        host.run(["nft", "-f", "-"], input=(wanted.script + (meanwhile.REMOVAL if stood_in else "")).encode())

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
    before = table_of(seen, paths).sets
    moved = egress.behind(before, wanted.sets)
    began = egress_record.announce(host, paths, moved) if moved else ""
    try:
        undo.confirmed(
            host,
            reconnect,
            wanted.change,
            undo=_undo(host, wanted, seen["file"], stood_in),
            apply=load,
            persist=persist,
        )
    except HostError:
        with contextlib.suppress(HostError):  # it was undone, or will be
            if moved:
                egress_record.write(host, paths, began, egress.behind(wanted.sets, before))
        raise
    if _translation(found["rules"]) != _translation(wanted.outputs["rules"]):
        forget_connections(host, inputs)
    forget_flows(host, egress.changed(before, wanted.sets))
    if moved:
        egress_record.write(host, paths, began, moved)


def forget_flows(host: Host, addresses: Sequence[str]) -> None:
    """Of devices that are translated otherwise now, or no more: theirs would go on as they began. By addresses inside
    and outside, from whichever side they began."""
    if addresses:
        lines = "".join(f"{address}\n" for address in addresses)
        host.run(["sh", "-c", _FORGET, "forget"], input=lines.encode(), timeout=60 + FORGET_ONE * len(addresses))


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


def _undo(host: Host, wanted: Wanted, file: str | None, stood_in: bool) -> str:
    """A script that brings back the table, or what stood in for it, the file and the unit as they are now."""
    path, unit = wanted.paths.firewall_file, wanted.paths.firewall_unit
    lines = _loading(host, CLOSED_TABLE) if stood_in else []
    lines += [f"nft delete table inet {wanted.paths.table}", *_loading(host, wanted.paths.table)]
    if file is None:
        lines = [f"systemctl disable --now {unit}", *lines]
        lines += [f"rm -f {wanted.unit_file} {path}", "systemctl daemon-reload"]
    else:
        lines += [f"cat >{path} <<'WGNODE_END'\n{file.rstrip()}\nWGNODE_END"]
    return "\n".join(lines)


def _loading(host: Host, name: str) -> list[str]:
    table = host.run(["nft", "list", "table", "inet", name], check=False)
    return [f"nft -f - <<'WGNODE_END'\n{table.stdout.rstrip()}\nWGNODE_END"] if table.code == 0 else []


def _translation(rules: Properties) -> Properties:
    return {name: text for name, text in rules.items() if name.startswith(("dnat", "masquerade"))}
