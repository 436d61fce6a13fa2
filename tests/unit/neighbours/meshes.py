"""A mesh of two sites as the parts take it: who has which keys, and what each site asks of the mesh."""

from __future__ import annotations

from functools import cache
from typing import Any

from tests.unit.neighbours.versions import Version
from wgnode import recipient

NAMES = ("berlin", "cabin")
RECIPIENTS = {name: recipient.generate() for name in NAMES}


def inputs(**changes: Any) -> dict[str, Any]:
    """Of the mesh; `changes` are berlin's."""
    sites: dict[str, Any] = {
        name: {"lans": [f"10.{number}.0.0/24"], "recipient": RECIPIENTS[name][1]}
        for number, name in enumerate(NAMES, 1)
    }
    sites["berlin"] |= {"endpoint": "198.51.100.2:51820", **changes}
    # An MTU that nobody sets, or that was the default, is each version's own choice.
    return {"name": "dev", "tunnel": {"v4": "10.99.0.0/24"}, "sites": sites, "mtu": 1400}


@cache
def made(by: Version) -> dict[str, Any]:
    """A new mesh's state."""
    return dict(by.ask("mesh", {"inputs": inputs(), "state": None}))


def updated(by: Version, state: dict[str, Any], before: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """That of another version, which had made it of the inputs `before`, after an `up` of this one."""
    return dict(by.ask("mesh", {"inputs": inputs(**changes), "state": state, "recorded": before}))


def read(by: Version, mesh: dict[str, Any], name: str) -> dict[str, Any]:
    """What a site makes of it."""
    asked = {
        "name": name,
        "topology": mesh["topology"],
        "bundle": mesh["bundles"][name],
        "recipientKey": RECIPIENTS[name][0],
        "gatewayAddresses": [f"10.{NAMES.index(name) + 1}.0.2"],
    }
    return dict(by.ask("mesh", {"site": asked}))
