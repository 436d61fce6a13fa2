"""The resources of the `wgnode` provider as Python programs use them.

Written by `make docs` out of pulumi_wgnode/contracts/; do not edit.
"""

from pulumi_wgnode.classes import Provider
from pulumi_wgnode.sdk.appliance_image import ApplianceImage
from pulumi_wgnode.sdk.gateway import Gateway
from pulumi_wgnode.sdk.hypervisor_host import HypervisorHost
from pulumi_wgnode.sdk.mesh_topology import MeshTopology
from pulumi_wgnode.sdk.nat_firewall import NatFirewall

__all__ = ["ApplianceImage", "Gateway", "HypervisorHost", "MeshTopology", "NatFirewall", "Provider"]
