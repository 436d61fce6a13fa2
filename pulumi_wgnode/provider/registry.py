"""Which resource kinds there are, and the package's schema.

Kinds load at first use, so that a stack with one kind does not pay for the imports of the others. A kind's module
has the class named as in its token; what goes in and comes out is its contract (pulumi_wgnode/contracts).
"""

from __future__ import annotations

import importlib
import json
from functools import cache
from importlib.metadata import version
from typing import cast

from pulumi_wgnode import contracts
from pulumi_wgnode.call.kind import Kind
from pulumi_wgnode.contracts import texts
from pulumi_wgnode.resources.importing import Importable
from pulumi_wgnode.resources.texted import Texted
from pulumi_wgnode.resources.unrecorded import Unrecorded
from pulumi_wgnode.resources.versioned import FORMAT, Needed, Versioned, of_connection, of_firewall, of_gateway, of_host

MODULES = {
    "wgnode:index:MeshTopology": "pulumi_wgnode.resources.mesh_topology",
    "wgnode:index:HypervisorHost": "pulumi_wgnode.resources.hypervisor_host",
    "wgnode:index:NatFirewall": "pulumi_wgnode.resources.nat_firewall",
    "wgnode:index:ApplianceImage": "pulumi_wgnode.resources.appliance_image",
    "wgnode:index:Gateway": "pulumi_wgnode.resources.gateway",
}

MESH = "wgnode:index:MeshTopology"
_ON_NO_HOST = {MESH}
_FORMATS: dict[str, tuple[int, Needed | None]] = {
    MESH: (FORMAT, None),
    "wgnode:index:Gateway": (4, of_gateway),
    "wgnode:index:HypervisorHost": (5, of_host),
    "wgnode:index:NatFirewall": (3, of_firewall),
}
"""The greatest that states have, and which one does (versioned.py)."""
_UNRECORDED = {"wgnode:index:ApplianceImage": ("sha256", ("source",))}
"""Inputs that only say where something is, and the one that says what."""


@cache
def kind(token: str) -> Kind:
    """The one instance of a kind. Raises KeyError for a token that is not ours."""
    module, name = importlib.import_module(MODULES[token]), token.rsplit(":", 1)[1]
    of_its_own = getattr(module, name)()
    if name in texts.KINDS:
        of_its_own = Texted(of_its_own, name)
    made: Kind = Versioned(cast(Kind, of_its_own), *_FORMATS.get(token, (2, of_connection)))
    if token in _UNRECORDED:
        made = Unrecorded(made, *_UNRECORDED[token])
    return made if token in _ON_NO_HOST else Importable(made, contracts.ALL[token])


def warm() -> None:
    """Load all kinds that are on hosts, as a site's stack has them."""
    for token in MODULES.keys() - _ON_NO_HOST:
        kind(token)


def schema() -> str:
    """The package's schema as JSON."""
    from pulumi_wgnode.provider import schema as schemas  # only who asks for it needs all contracts

    return json.dumps(schemas.package(version("wgnode")))
