"""Mesh and Site: component resources that wire the provider's resources together, for this program and for others."""

from pulumi_wgnode.components.mesh import Mesh
from pulumi_wgnode.components.site import Site

__all__ = ["Mesh", "Site"]
