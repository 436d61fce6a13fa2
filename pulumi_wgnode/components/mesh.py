"""Mesh: the keys, the addresses and the sealed bundles of a mesh, protected against deletion."""

from __future__ import annotations

from typing import Any

import pulumi
from pulumi import Output, ResourceOptions

from pulumi_wgnode import sdk
from pulumi_wgnode.contracts.mesh_topology import MeshTopologyInputs


class Mesh(pulumi.ComponentResource):
    """`topology` and `bundles` are what a mesh stack exports and what a `Site` needs; `resting` is for `wgnode status`.

    The topology is protected: to delete it is to lose the mesh's keys. `name` is the component's, not the mesh's, so
    that a mesh can be renamed and keep them.
    """

    topology: Output[Any]
    bundles: Output[Any]
    resting: Output[Any]

    def __init__(self, name: str, config: MeshTopologyInputs, opts: ResourceOptions | None = None) -> None:
        super().__init__("wgnode:index:Mesh", name, None, opts)
        made = sdk.MeshTopology(name, ResourceOptions(parent=self, protect=True), **config.inputs())
        self.topology, self.bundles, self.resting = made.topology, made.bundles, made.resting
        self.register_outputs({})
