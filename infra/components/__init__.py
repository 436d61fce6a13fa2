"""Mesh and Site: component resources that wire the provider's resources together, for this program and for others."""

from infra.components.mesh import Mesh
from infra.components.site import Site

__all__ = ["Mesh", "Site"]
