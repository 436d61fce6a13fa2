"""Mesh: the keys, the addresses and the sealed bundles of a mesh, protected against deletion."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pulumi
from pulumi import Output, ResourceOptions

from pulumi_wgnode import sdk
from pulumi_wgnode.components import component
from pulumi_wgnode.components.given import mapping, require
from pulumi_wgnode.contracts.mesh_topology import MeshTopologyInputs
from pulumi_wgnode.model import snake


class Mesh(pulumi.ComponentResource):
    """`topology` and `bundles` are what a mesh stack exports and what a `Site` needs; `resting` is for `wgnode status`.

    The topology is protected: to delete it is to lose the mesh's keys. `name` is the component's, not the mesh's, so
    that a mesh can be renamed and keep them. `config` may be a mapping by the names of the wire, with Outputs in it.
    """

    topology: Output[Any]
    bundles: Output[Any]
    resting: Output[Any]

    def __init__(
        self, name: str, config: MeshTopologyInputs | Mapping[str, Any], opts: ResourceOptions | None = None
    ) -> None:
        given = mapping(config) if isinstance(config, MeshTopologyInputs) else dict(config)
        require(component.MESH.inputs, given, f"mesh {name!r}")
        super().__init__(component.MESH.token, name, None, opts)
        inputs = {snake(wire): value for wire, value in given.items()}
        made = sdk.MeshTopology(name, ResourceOptions(parent=self, protect=True), **inputs)
        self.topology, self.bundles, self.resting = made.topology, made.bundles, made.resting
        self.register_outputs({})  # no copy of all that in the state

    def outputs(self) -> dict[str, Output[Any]]:
        """By their names on the wire."""
        return {"topology": self.topology, "bundles": self.bundles, "resting": self.resting}
