"""A mesh and its sites in one stack: how it is configured is this program's own matter (README.md)."""

from __future__ import annotations

from pathlib import Path

import pulumi

from pulumi_wgnode.components import Mesh, Site
from pulumi_wgnode.components.arguments import FirewallArgs, GatewayArgs, HostArgs, LanArgs, SiteArgs
from pulumi_wgnode.contracts.mesh_topology import MeshSite, MeshTopologyInputs, Tunnel
from wgnode import recipient

config = pulumi.Config()
image, management, places = config.require("image"), config.require("management"), config.require_object("places")

members = {
    name: MeshSite(
        lans=[place["lan"]],
        endpoint=place.get("endpoint"),
        recipient=recipient.public_of(place["recipientKey"]),
    )
    for name, place in places.items()
}
mesh = Mesh("mesh", MeshTopologyInputs(name="two-sites", tunnel=Tunnel(v4="10.99.0.0/24"), sites=members))

for name, place in places.items():
    site = SiteArgs(
        name=name,
        mesh=pulumi.get_stack(),
        host=HostArgs(
            address=place["address"],
            user=place.get("user", "root"),
            host_keys=place["hostKeys"],
            private_key=config.require("sshKey"),
        ),
        management_networks=[management],
        uplink=place["uplink"],
        lan=LanArgs(interface=place["lanInterface"], gateway_addresses=[place["gateway"]]),
        recipient_key=place["recipientKey"],
        gateway=GatewayArgs(image=image),
        firewall=FirewallArgs(),
    )
    Site(name, site, topology=mesh.topology, bundle=mesh.bundles[name], root=Path(__file__).parent)
