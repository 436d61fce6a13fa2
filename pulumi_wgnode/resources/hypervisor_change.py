"""How a host becomes as a gateway needs it, and as it was found again when its last gateway goes.

What can cut the way in comes last, and only where it differs: the networks, which the host itself takes back unless a
new connection confirms them.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from ipaddress import ip_address
from typing import Any

from pulumi_wgnode.call.kind import Properties
from pulumi_wgnode.call.log import log
from pulumi_wgnode.hosts import files, system, undo, units
from pulumi_wgnode.hosts.host import Host
from pulumi_wgnode.hosts.judging import features, firewalls
from pulumi_wgnode.hosts.networks import network_change
from pulumi_wgnode.hosts.networks.network import Network, observed_egress
from pulumi_wgnode.hosts.packages import packages
from pulumi_wgnode.hosts.query import answer
from pulumi_wgnode.resources import foreign_checks, forwarding, meanwhile
from pulumi_wgnode.resources.compare import join
from pulumi_wgnode.resources.hypervisor_state import (
    FOUND,
    IN_GROUP,
    Wanted,
    directories,
    found_features,
    found_sysctls,
    found_user,
    mode_of,
    observed,
    plan,
    unit_file,
)
from wgnode.firewall.others.packet import Site
from wgnode.image.paths import IMAGES, STATE, USER, Paths
from wgnode.responder import packets


def apply(host: Host, reconnect: undo.Connect, wanted: Wanted, seen: Mapping[str, Any], site: Site) -> None:
    """What differs, and nothing else: first all that cannot cut the way in, then the networks. Raises HostError."""
    found = observed(seen, wanted)
    differing = {change.path for change in plan(wanted, found)}
    if missing := [name for name in wanted.outputs["packageStates"] if name not in found["packageStates"]]:
        packages.install(host, missing)
        # Again: a host that had no `nft` before could not show all of them.
        foreign_checks.require_forwarding(host, firewalls.foreign_firewalls(host, site))
        seen = {**seen, "features": answer(host, features.query(wanted.network.uplink))}  # it may have had no Python
    paths = wanted.network.paths
    _remember(host, found, seen)
    _add_users(host, found["users"], paths)
    if _at("directories", differing):
        system.make_directories(host, directories(paths))
    if found["sysctls"] != wanted.outputs["sysctls"]:
        meanwhile.close_before(host, seen, wanted.outputs["sysctls"], site.bridge)
        # Interfaces that are none of ours lose no route by an advertisement at the moment in which the host forwards.
        host.run(["sh", "-s", "listen"], input=wanted.files[paths.network_script].encode())
        system.set_sysctls(host, wanted.outputs["sysctls"])
    features.change(host, {name: "on" for name, state in seen["features"].items() if state != "on"})
    if join("files", paths.sysctl_file) in differing:
        host.write_file(paths.sysctl_file, wanted.files[paths.sysctl_file].encode())
    changed = {name: value for name, value in found["sysctls"].items() if value != wanted.outputs["sysctls"][name]}
    _apply_networks(host, reconnect, wanted, seen, differing, changed)


def _add_users(host: Host, found: Mapping[str, str], paths: Paths) -> None:
    """hostd's, which all gateways share, and QEMU's, which is this gateway's own."""
    for user in (USER, paths.machine_user):
        if user not in found:
            system.add_system_user(host, user, STATE)
    if found.get(paths.machine_user) != IN_GROUP:
        host.run(["usermod", "--append", "--groups", paths.machine_user, USER])


def _remember(host: Host, found: Properties, seen: Mapping[str, Any]) -> None:
    """Write down, before it is changed, what the host was like before us."""
    kept = seen["found"]
    made = found_user(kept)
    if made is None:  # of an older version, or the first time
        made = USER not in found["users"] or (kept is not None and answer(host, system.is_ours(USER)))
    remembered = {
        "sysctls": {**found["sysctls"], **found_sysctls(kept)},
        "features": {**seen["features"], **found_features(kept)},
        "user": "made" if made else "found",
        "bridges": forwarding.before(kept, {}, seen["links"])["bridges"],
    }
    text = json.dumps(remembered, indent=1, sort_keys=True) + "\n"
    if text != kept:
        host.write_file(FOUND, text.encode())


def _apply_networks(
    host: Host,
    reconnect: undo.Connect,
    wanted: Wanted,
    seen: Mapping[str, Any],
    differing: set[str],
    settings: Mapping[str, str],
) -> None:
    """Where routes alone changed, as by another site in the mesh, links are not touched.

    `settings` are the kernel's that were changed for this, as they were.
    """
    paths = wanted.network.paths
    script, unit, text = paths.network_script, paths.network_unit, wanted.files[paths.network_script]

    def enable(host: Host) -> None:
        if _at("units", differing) or join("files", unit_file(paths)) in differing:
            units.mend(host, unit, network_change.unit_text(paths), seen["units"].get(unit))

    if any(_at(output, differing) for output in ("links", "routes", "egress")):
        log(f"bringing up the networks of {host.name}")
        verb: network_change.Verb = "up" if _at("links", differing) else "routes"
        before = seen["script"]
        network_change.apply(host, reconnect, text, paths, before=before, verb=verb, enable=enable, settings=settings)
        _announce(host, wanted.network, seen)
        return
    if join("files", script) in differing:
        host.write_file(script, text.encode(), mode=mode_of(script, paths))
    enable(host)


_SEND = """import socket, sys, time
frames = sys.stdin.read().split()
with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as card:
    card.bind((sys.argv[1], 0))
    for turn in range(2):
        time.sleep(turn)
        for frame in frames:
            card.send(bytes.fromhex(frame))"""


def _announce(host: Host, network: Network, seen: Mapping[str, Any]) -> None:
    """Addresses that the host begins to answer for: whoever remembers another machine there is told (RFC 5227, section
    2.3; RFC 4861, section 7.2.6)."""
    answered = observed_egress(seen["proxies"], "", network)
    if not network.answers or not (new := [one for one in network.public or () if one not in answered]):
        return
    mac = next(link["address"] for link in json.loads(seen["links"]) if link["ifname"] == network.uplink)
    frames = (packets.announcement(bytes.fromhex(mac.replace(":", "")), ip_address(one)).hex() for one in new)
    host.run(["python3", "-c", _SEND, network.uplink], input="\n".join(frames).encode(), check=False)


def _at(output: str, paths: Iterable[str]) -> bool:
    return any(path.split("[")[0].split(".")[0] == output for path in paths)


def put_back(host: Host) -> None:
    """What all gateways of a host shared, for the last one has gone. A user that we did not make stays."""
    found = answer(host, files.content(FOUND))
    system.set_sysctls(host, found_sysctls(found))
    features.change(host, found_features(found))
    meanwhile.reopen(host)
    made = found_user(found)
    if answer(host, system.user(USER)) and (made or (made is None and answer(host, system.is_ours(USER)))):
        host.run(["userdel", USER])
    host.remove(FOUND)
    host.run(["rm", "-rf", IMAGES])
