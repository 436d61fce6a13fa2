"""What a mesh is described by: the inputs of `MeshTopology`, hence the arguments of `Mesh`."""

from __future__ import annotations

from pydantic import Field

from pulumi_wgnode.model import Model
from pulumi_wgnode.values import Count, Port
from wgnode.topology.labels import Step
from wgnode.topology.model import DEFAULT_KEEPALIVE, DEFAULT_LISTEN_PORT, DEFAULT_MTU


class TunnelInputs(Model):
    v4: str | None = None
    v6: str | None = None


class MeshSiteInputs(Model):
    """A site as the whole mesh sees it."""

    lans: list[str] = Field(description="the networks behind this site's gateway")
    recipient: str = Field(description="the site's public recipient key, printed by `wgnode site new`")
    endpoint: str | None = None
    renamed_from: str | None = Field(
        default=None, description="the name that this site had before: it keeps its id, keys and addresses"
    )
    key_generation: int | None = Field(
        default=None, ge=1, description="1 at first; with another number the site gets a new WireGuard key"
    )
    mtu: Count | None = Field(
        default=None, strict=True, description="bytes of the largest packet inside of the tunnel to and from this site"
    )


class MeshInputs(Model):
    name: str = Field(description="the mesh's name, such as dev")
    tunnel: TunnelInputs = Field(
        description="the prefixes of the tunnel, such as {v4: 10.99.0.0/24, v6: 'fd00:99::/64'}"
    )
    sites: dict[str, MeshSiteInputs] = Field(description="the sites by name")
    keepalive: Count = Field(default=DEFAULT_KEEPALIVE, ge=1, le=65535)
    listen_port: Port = DEFAULT_LISTEN_PORT
    mtu: Count | None = Field(
        default=None,
        strict=True,
        description=f"bytes of the largest packet inside of the tunnel, {DEFAULT_MTU} where it isn't given",
    )
    forget: list[str] | None = Field(
        default=None, description="sites that have left for good: their keys, ids and addresses are given up"
    )
    preshared_keys: Step | None = Field(
        default=None,
        description="the step of the change to pre-shared keys from ids, of a mesh that is older than those: accept"
        " (both, as the first `up` makes it), use, drop",
    )
