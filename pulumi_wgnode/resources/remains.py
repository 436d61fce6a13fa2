"""What a gateway and a firewall have on a host, removed: by their own deletion, or by that of the host's resource.

The latter where a creation was cut short by the end of the engine: no state knows what it had made, so nobody else is
asked to delete it. The owner record does, since a claim is written first.
"""

from __future__ import annotations

from collections.abc import Callable

from pulumi_wgnode.call.log import log
from pulumi_wgnode.hosts import undo, units
from pulumi_wgnode.hosts.host import Host
from pulumi_wgnode.hosts.owners import Owner, Seen
from pulumi_wgnode.resources import meanwhile
from pulumi_wgnode.resources.firewall_state import change_of
from wgnode.image.paths import UAPI_DIRECTORY, Paths


def remove_gateway(host: Host, paths: Paths) -> None:
    for unit in (paths.gateway_unit, paths.hostd_unit):
        units.uninstall(host, unit)
    run = (paths.run, paths.start, paths.root, paths.nanos_folder)  # the second and third have secrets
    host.run(["rm", "-rf", paths.gateway, paths.hostd_directory, *run])
    host.remove(UAPI_DIRECTORY)  # where no other program has a socket in it


def remove_firewall(host: Host, paths: Paths, close: Callable[[], None] = lambda: None) -> None:
    """`close` comes before the table goes."""
    undo.settle(host, change_of(paths))
    close()
    units.uninstall(host, paths.firewall_unit)
    host.run(["nft", "delete", "table", "inet", paths.table], check=False)
    host.remove(paths.firewall_file)


def _remove_last_firewall(host: Host, paths: Paths) -> None:
    remove_firewall(host, paths, lambda: meanwhile.close_behind(host, paths))


def remove_unfinished(host: Host, seen: Seen, owner: Owner | None) -> None:
    """For the deletion of the host's resource, which is the last: what is claimed still, nobody else deletes."""
    record = seen.of(owner.id) if owner else None
    left = {"gateway": remove_gateway, "firewall": _remove_last_firewall if len(seen.records) == 1 else remove_firewall}
    for kind, remove in left.items():
        if record is not None and kind in record.claims:
            log(f"removing the {kind} that was begun on {host.name} and is in no state")
            remove(host, record.paths)
