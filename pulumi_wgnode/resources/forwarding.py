"""How a host forwarded before its first gateway came: what FOUND remembers, or what it does now."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from pulumi_wgnode.call.kind import Properties
from pulumi_wgnode.hosts.networks import network
from wgnode.firewall.forwards import Before

SYSCTLS = {4: "net/ipv4/ip_forward", 6: "net/ipv6/conf/all/forwarding"}


def bridges(links: str) -> list[str]:
    """The host's own, by name."""
    found = json.loads(links) if links else []
    kinds = {link["ifname"]: link.get("linkinfo", {}).get("info_kind") for link in found}
    return sorted(name for name, kind in kinds.items() if kind == "bridge" and not network.of_gateway(name))


def before(found: str | None, sysctls: Mapping[str, str], links: str) -> Properties:
    """As HypervisorHost says it, and NatFirewall takes it: the versions of IP, and the bridges of then.

    Where an older version has not written down the bridges, there are none: what has come since is not to be cut.
    """
    kept: dict[str, Any] = json.loads(found) if found else {}
    values = {**sysctls, **kept.get("sysctls", {})}
    return {
        "versions": [version for version, name in SYSCTLS.items() if values.get(name, "0") != "0"],
        "bridges": bridges(links) if found is None else kept.get("bridges", []),
    }


def of(inputs: Properties) -> Before:
    """From NatFirewall's input; those who give none forwarded all the time, as far as we know."""
    given = inputs.get("forwarding")
    if given is None:
        return Before()
    alone = tuple(inputs.get("leaveAlone") or ())
    return Before(tuple(int(one) for one in given["versions"]), tuple(given["bridges"]), alone)
