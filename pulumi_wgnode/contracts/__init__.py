"""The contracts of all resource kinds: the one place that says what goes in and comes out."""

from pulumi_wgnode.contracts import appliance_image, gateway, hypervisor_host, mesh_topology, nat_firewall
from pulumi_wgnode.contracts.contract import Contract

ALL: dict[str, Contract] = {
    module.CONTRACT.token: module.CONTRACT
    for module in (mesh_topology, hypervisor_host, nat_firewall, appliance_image, gateway)
}
"""By token, in the order in which they are made."""
