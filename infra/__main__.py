"""The Pulumi program: reads the stack's configuration and builds a Mesh or a Site; nothing else."""

from __future__ import annotations

import pulumi

from infra.config import MeshConfig
from infra.stack import load, root
from pulumi_wgnode.components import Mesh, Site
from pulumi_wgnode.components.mesh_stack import read_mesh
from pulumi_wgnode.components.site import former_names


def main() -> None:
    config = load()
    if isinstance(config, MeshConfig):
        mesh = Mesh("mesh", config)
        pulumi.export("topology", mesh.topology)
        pulumi.export("bundles", mesh.bundles)
        pulumi.export("resting", mesh.resting)
        return
    outputs = read_mesh(config.mesh)
    bundle = outputs.bundles.get(config.name)
    aliases = [pulumi.Alias(name=name) for name in former_names(config, outputs.topology)]
    opts = pulumi.ResourceOptions(aliases=aliases)
    site = Site("site", config, topology=outputs.topology, bundle=bundle, root=root(), opts=opts)
    pulumi.export("name", config.name)
    pulumi.export("mesh", config.mesh)
    pulumi.export("addresses", site.gateway.addresses)
    pulumi.export("publicKey", site.gateway.public_key)
    pulumi.export("endpoint", site.endpoint)
    pulumi.export("facts", site.facts)


main()
