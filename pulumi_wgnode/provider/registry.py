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
from pulumi_wgnode.resources.importing import Importable
from pulumi_wgnode.resources.unrecorded import Unrecorded
from pulumi_wgnode.resources.versioned import FORMAT, Versioned, of_connection

MODULES = {
    "wgnode:index:MeshTopology": "pulumi_wgnode.resources.mesh_topology",
    "wgnode:index:HypervisorHost": "pulumi_wgnode.resources.hypervisor_host",
    "wgnode:index:NatFirewall": "pulumi_wgnode.resources.nat_firewall",
    "wgnode:index:ApplianceImage": "pulumi_wgnode.resources.appliance_image",
    "wgnode:index:Gateway": "pulumi_wgnode.resources.gateway",
}

_ON_NO_HOST = {"wgnode:index:MeshTopology"}
_OF_A_FORMAT = {"wgnode:index:Gateway": 2}
"""Formats of states (versioned.py): in 1, `config` and `secrets` of a Gateway were JSON as text. Of all others on a
host the connection says which of two it is."""
_UNRECORDED = {"wgnode:index:ApplianceImage": ("sha256", ("source",))}
"""Inputs that only say where something is, and the one that says what."""


@cache
def kind(token: str) -> Kind:
    """The one instance of a kind. Raises KeyError for a token that is not ours."""
    module = importlib.import_module(MODULES[token])
    of_its_own = getattr(module, token.rsplit(":", 1)[1])()
    made = _versioned(token, cast(Kind, of_its_own))
    if token in _UNRECORDED:
        made = Unrecorded(made, *_UNRECORDED[token])
    return made if token in _ON_NO_HOST else Importable(made, contracts.ALL[token])


def _versioned(token: str, kind: Kind) -> Kind:
    if token in _ON_NO_HOST:
        return Versioned(kind, FORMAT)
    own = _OF_A_FORMAT.get(token)
    return Versioned(kind, own or 2, None if own else of_connection)


def warm() -> None:
    """Load all kinds that are on hosts, as a site's stack has them."""
    for token in MODULES.keys() - _ON_NO_HOST:
        kind(token)


def schema() -> str:
    """The package's schema as JSON."""
    from pulumi_wgnode.provider import schema as schemas  # only who asks for it needs all contracts

    return json.dumps(schemas.package(version("wgnode")))
