"""Mesh: the keys, the addresses and the sealed bundles of a mesh, protected against deletion."""

from __future__ import annotations

from typing import Any

import pulumi
from pulumi import Output, ResourceOptions

from pulumi_wgnode import sdk
from pulumi_wgnode.resources.mesh_inputs import MeshInputs


class Mesh(pulumi.ComponentResource):
    """`topology` and `bundles` are what a mesh stack exports and what a `Site` needs; `resting` is for `wgnode status`.

    The topology is protected: to delete it is to lose the mesh's keys. `name` is the component's, not the mesh's, so
    that a mesh can be renamed and keep them.
    """

    topology: Output[Any]
    bundles: Output[Any]
    resting: Output[Any]

    def __init__(self, name: str, config: MeshInputs, opts: ResourceOptions | None = None) -> None:
        super().__init__("wgnode:index:Mesh", name, None, opts)
        raw = config.to_dict()
        made = sdk.MeshTopology(
            name,
            mesh=raw["name"],
            tunnel=raw["tunnel"],
            sites=raw["sites"],
            keepalive=raw["keepalive"],
            listen_port=raw["listenPort"],
            mtu=raw.get("mtu"),
            forget=raw.get("forget"),
            preshared_keys=raw.get("presharedKeys"),
            opts=ResourceOptions(parent=self, protect=True),
        )
        self.topology, self.bundles, self.resting = made.topology, made.bundles, made.resting
        self.register_outputs({})
