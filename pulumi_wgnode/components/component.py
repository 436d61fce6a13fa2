"""What the components promise: their arguments and outputs, as documented models, beside the kinds' contracts."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import Any

from pydantic import Field

from pulumi_wgnode.components.arguments import SiteArgs
from pulumi_wgnode.contracts.contract import PACKAGE
from pulumi_wgnode.contracts.hypervisor_host import Facts
from pulumi_wgnode.contracts.mesh_topology import MeshTopologyInputs
from pulumi_wgnode.model import Model


class MeshOutputs(Model):
    topology: dict[str, Any] = Field(description="public: who is where, with which key; what every site needs")
    bundles: dict[str, str] = Field(description="by site, its private keys and the mesh's secret, sealed to it alone")
    resting: dict[str, Any] = Field(description="public facts of sites that left and would come back as they were")


class SiteInputs(SiteArgs):
    """A hypervisor host, its NAT firewall, the appliance image on it and the gateway.

    `topology` and `bundle` are the mesh's: outputs of its stack, or of a `Mesh`.
    """

    mesh: str = Field(default="", description="the mesh's stack, such as dev-mesh, where it is another one than this")
    topology: dict[str, Any] = Field(description="the mesh's output `topology`")
    bundle: str | None = Field(default=None, description="the site's own among the mesh's output `bundles`")


class SiteOutputs(Model):
    facts: Facts = Field(description="what kind of machine its host is")
    endpoint: str | None = Field(default=None, description="where the others call it, if they can")
    public_key: str = Field(description="its gateway's WireGuard key")
    addresses: list[str] = Field(description="its gateway's addresses in the tunnel")


@dataclass(frozen=True)
class Component:
    """`plain` are arguments, by wire name, that must be known when the program runs."""

    name: str
    about: str
    inputs: type[Model]
    outputs: type[Model]
    plain: tuple[str, ...] = ()

    @property
    def token(self) -> str:
        return f"{PACKAGE}:index:{self.name}"


MESH = Component(
    "Mesh",
    "The keys, the addresses and the sealed bundles of a mesh, protected against deletion.",
    MeshTopologyInputs,
    MeshOutputs,
)
SITE = Component("Site", inspect.getdoc(SiteInputs) or "", SiteInputs, SiteOutputs, plain=("bootstrap",))
ALL = {one.token: one for one in (MESH, SITE)}
