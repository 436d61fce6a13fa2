"""The contract of MeshTopology."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from pulumi_wgnode.contracts.contract import Contract
from pulumi_wgnode.contracts.parts import WRITTEN, Written
from pulumi_wgnode.model import Model, secret
from pulumi_wgnode.values import Count, Port
from wgnode.topology.labels import Step
from wgnode.topology.model import DEFAULT_KEEPALIVE, DEFAULT_LISTEN_PORT
from wgnode.topology.mtu import LARGEST


class Tunnel(Model):
    """The prefixes that every site has one address of; one of them at least."""

    v4: str | None = Field(default=None, description="such as 10.99.0.0/24")
    v6: str | None = Field(default=None, description="such as fd00:99::/64")


class MeshSite(Model):
    """A site as the whole mesh sees it."""

    lans: list[str] = Field(description="the networks behind this site's gateway")
    recipient: str = Field(description="the site's public recipient key, printed by `wgnode site new`")
    endpoint: str | None = Field(
        default=None, description="ADDRESS:PORT or NAME:PORT at which the others call it; without, nobody can"
    )
    renamed_from: str | None = Field(
        default=None, description="the name that this site had before: it keeps its id, keys and addresses"
    )
    key_generation: int | None = Field(
        default=None, ge=1, description="1 at first; with another number the site gets a new WireGuard key"
    )
    mtu: Count | None = Field(
        default=None,
        strict=True,
        description="bytes that a packet inside of the tunnel to and from this site may have at most",
    )


class MeshTopologyInputs(Model):
    """A whole mesh as one resource: who has which id, keys and addresses, and one sealed bundle for each site.

    What a site was given once stays its own. To delete it is to lose the mesh's keys, so protect it.
    """

    name: str = Field(description="the mesh's name, such as dev")
    tunnel: Tunnel = Field(description="the prefixes of the tunnel, such as {v4: 10.99.0.0/24, v6: 'fd00:99::/64'}")
    sites: dict[str, MeshSite] = Field(description="the sites by name")
    keepalive: Count = Field(
        default=DEFAULT_KEEPALIVE, ge=1, le=65535, description="seconds between two keepalives of who can't be called"
    )
    listen_port: Port = Field(default=DEFAULT_LISTEN_PORT, description="the UDP port of all gateways")
    mtu: Count | None = Field(
        default=None,
        strict=True,
        description="bytes that a packet inside of the tunnel may have at most; where it isn't given, as many as are"
        f" found to fit on the way to each peer, up to {LARGEST}",
    )
    forget: list[str] | None = Field(
        default=None, description="sites that have left for good: their keys, ids and addresses are given up"
    )
    preshared_keys: Step | None = Field(
        default=None,
        description="the step of the change to pre-shared keys from ids, of a mesh that is older than those: accept"
        " (both, as the first `up` makes it), use, drop",
    )


class MeshTopologyOutputs(Model):
    topology: dict[str, Any] = Field(description="public: who is where, with which key; what every site needs")
    bundles: dict[str, str] = Field(description="by site, its private keys and the mesh's secret, sealed to it alone")
    resting: dict[str, Any] = Field(description="public facts of sites that left and would come back as they were")
    forgotten: list[str] = Field(description="sites that were given up")
    private_keys: dict[str, list[str]] = secret("by site, its WireGuard keys, base64")
    mesh_secret: str = secret("what pre-shared keys are derived from, base64")
    written: Written | None = Field(default=None, description=WRITTEN)


CONTRACT = Contract("MeshTopology", MeshTopologyInputs, MeshTopologyOutputs, unrepeated=("sites", "forget"))
