"""A host whose forwarding we switched on is never open to others' packets: neither before its first firewall is loaded,
nor after its last one is gone (wgnode/firewall/meanwhile.py, docs/decisions/forwards-of-others.md).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pulumi_wgnode.hosts import files
from pulumi_wgnode.hosts.host import Host
from pulumi_wgnode.hosts.query import answer
from pulumi_wgnode.resources import forwarding
from pulumi_wgnode.resources.hypervisor_state import FOUND
from wgnode.firewall import meanwhile
from wgnode.firewall.forwards import Before
from wgnode.firewall.rules import CLOSED_TABLE
from wgnode.image.paths import PLAIN, Paths


def close(host: Host, before: Before) -> None:
    if script := meanwhile.script(before):
        host.run(["nft", "-f", "-"], input=script.encode())


def close_before(host: Host, seen: Mapping[str, Any], wanted: Mapping[str, str], bridge: str) -> None:
    """Where the settings `wanted` of the kernel switch forwarding on, and no firewall of ours is there yet.

    `bridge` is the LAN's.
    """
    now: Mapping[str, str] = seen["sysctls"]
    switched_on = any(now.get(name) == "0" and wanted.get(name, "0") != "0" for name in forwarding.SYSCTLS.values())
    if switched_on and meanwhile.is_needed(seen["ruleset"]):
        found = forwarding.before(seen["found"], now, seen["links"])
        close(host, Before(tuple(found["versions"]), (*found["bridges"], bridge)))


def close_behind(host: Host, paths: Paths) -> None:
    """For a firewall that is removed and in no state: by what is written down on the host."""
    if kept := answer(host, files.content(FOUND)):
        found = forwarding.before(kept, {}, "")
        close(host, Before(tuple(found["versions"]), (*found["bridges"], *dict.fromkeys((PLAIN.bridge, paths.bridge)))))


def reopen(host: Host) -> None:
    """Once forwarding is as it was found."""
    host.run(["nft", "delete", "table", "inet", CLOSED_TABLE], check=False)
