"""MeshTopology. Written by `make docs` out of pulumi_wgnode/contracts/; do not edit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from pulumi import Input, Output, ResourceOptions

from pulumi_wgnode.classes import Resource
from pulumi_wgnode.contracts import ALL
from pulumi_wgnode.contracts.mesh_topology import MeshSite, Tunnel
from pulumi_wgnode.sdk.types import MeshSiteDict, TunnelDict


class MeshTopology(Resource):
    """A whole mesh as one resource: who has which id, keys and addresses, and one sealed bundle for each site.

    What a site was given once stays its own. To delete it is to lose the mesh's keys, so protect it.
    """

    contract = ALL["wgnode:index:MeshTopology"]

    def __init__(
        self,
        resource_name: str,
        /,
        opts: ResourceOptions | None = None,
        *,
        name: Input[str],
        tunnel: Input[Tunnel | TunnelDict],
        sites: Input[Mapping[str, Input[MeshSite | MeshSiteDict]]],
        keepalive: Input[int | None] = None,
        listen_port: Input[int | None] = None,
        mtu: Input[int | None] = None,
        forget: Input[Sequence[Input[str]] | None] = None,
        preshared_keys: Input[Literal["accept", "use", "drop"] | None] = None,
    ) -> None:
        super().__init__(
            resource_name,
            opts,
            {
                "name": name,
                "tunnel": tunnel,
                "sites": sites,
                "keepalive": keepalive,
                "listen_port": listen_port,
                "mtu": mtu,
                "forget": forget,
                "preshared_keys": preshared_keys,
            },
        )

    @property
    def name(self) -> Output[str]:
        """The mesh's name, such as dev."""
        return self.output("name")

    @property
    def tunnel(self) -> Output[Any]:
        """The prefixes of the tunnel, such as {v4: 10.99.0.0/24, v6: 'fd00:99::/64'}."""
        return self.output("tunnel")

    @property
    def keepalive(self) -> Output[int]:
        """Seconds between two keepalives of who can't be called."""
        return self.output("keepalive")

    @property
    def listen_port(self) -> Output[int]:
        """The UDP port of all gateways."""
        return self.output("listenPort")

    @property
    def mtu(self) -> Output[int | None]:
        """Bytes that a packet inside of the tunnel may have at most; where it isn't given, as many as are found to
        fit on the way to each peer, up to 1440.
        """
        return self.output("mtu")

    @property
    def preshared_keys(self) -> Output[Literal["accept", "use", "drop"] | None]:
        """The step of the change to pre-shared keys from ids, of a mesh that is older than those: accept (both, as
        the first `up` makes it), use, drop.
        """
        return self.output("presharedKeys")

    @property
    def topology(self) -> Output[Mapping[str, Any]]:
        """Public: who is where, with which key; what every site needs."""
        return self.output("topology")

    @property
    def bundles(self) -> Output[Mapping[str, str]]:
        """By site, its private keys and the mesh's secret, sealed to it alone."""
        return self.output("bundles")

    @property
    def resting(self) -> Output[Mapping[str, Any]]:
        """Public facts of sites that left and would come back as they were."""
        return self.output("resting")

    @property
    def forgotten(self) -> Output[Sequence[str]]:
        """Sites that were given up."""
        return self.output("forgotten")

    @property
    def private_keys(self) -> Output[Mapping[str, Sequence[str]]]:
        """By site, its WireGuard keys, base64."""
        return self.output("privateKeys")

    @property
    def mesh_secret(self) -> Output[str]:
        """What pre-shared keys are derived from, base64."""
        return self.output("meshSecret")

    @property
    def written(self) -> Output[Any | None]:
        """The format of what is recorded, and by whom; absent before there was one."""
        return self.output("written")
