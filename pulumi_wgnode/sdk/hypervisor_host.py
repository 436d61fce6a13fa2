"""HypervisorHost. Written by `make docs` out of pulumi_wgnode/contracts/; do not edit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from pulumi import Input, Output, ResourceOptions

from pulumi_wgnode.classes import Resource
from pulumi_wgnode.contracts import ALL
from pulumi_wgnode.contracts.connection import Connection
from pulumi_wgnode.contracts.hypervisor_host import Networks
from pulumi_wgnode.contracts.parts import Site
from pulumi_wgnode.sdk.types import ConnectionDict, NetworksDict, SiteDict


class HypervisorHost(Resource):
    """What a gateway needs of its host: packages, a user, directories, forwarding, links and routes.

    Deleting it leaves the host as it was found; packages stay.
    """

    contract = ALL["wgnode:index:HypervisorHost"]

    def __init__(
        self,
        resource_name: str,
        /,
        opts: ResourceOptions | None = None,
        *,
        connection: Input[Connection | ConnectionDict],
        site: Input[Site | SiteDict],
        networks: Input[Networks | NetworksDict],
        listen_port: Input[int | None] = None,
        packages: Input[Sequence[Input[str]] | None] = None,
        backend: Input[Literal["microvm", "process", "libvirt", "nanos"] | None] = None,
    ) -> None:
        super().__init__(
            resource_name,
            opts,
            {
                "connection": connection,
                "site": site,
                "listen_port": listen_port,
                "packages": packages,
                "networks": networks,
                "backend": backend,
            },
        )

    @property
    def connection(self) -> Output[Any]:
        """How the host is reached by SSH."""
        return self.output("connection")

    @property
    def site(self) -> Output[Any]:
        """Whose gateway it is for."""
        return self.output("site")

    @property
    def listen_port(self) -> Output[int]:
        """The UDP port that leads to the gateway."""
        return self.output("listenPort")

    @property
    def packages(self) -> Output[Sequence[str]]:
        """Debian packages that it has to have; QEMU's is its own processor's."""
        return self.output("packages")

    @property
    def networks(self) -> Output[Any]:
        """Its interfaces, and its links and routes to the gateway."""
        return self.output("networks")

    @property
    def backend(self) -> Output[Literal["microvm", "process", "libvirt", "nanos"]]:
        """What the gateway will be, as for Gateway: its links depend on it; recorded where it is no microvm."""
        return self.output("backend")

    @property
    def claim(self) -> Output[str | None]:
        """The mark of this resource in the gateway's owner record."""
        return self.output("claim")

    @property
    def machine_id(self) -> Output[str | None]:
        """The host's /etc/machine-id: another one is another host."""
        return self.output("machineId")

    @property
    def owner(self) -> Output[str | None]:
        """Who the host says that this belongs to."""
        return self.output("owner")

    @property
    def written(self) -> Output[Any | None]:
        """The format of what is recorded, and by whom; absent before there was one."""
        return self.output("written")

    @property
    def facts(self) -> Output[Any]:
        """What kind of machine it is."""
        return self.output("facts")

    @property
    def instance(self) -> Output[str]:
        """Which of its host's gateways the site's is: empty for the one with plain names."""
        return self.output("instance")

    @property
    def forwarding(self) -> Output[Any]:
        """How it forwarded before its first gateway came, for NatFirewall."""
        return self.output("forwarding")

    @property
    def traits(self) -> Output[Mapping[str, Any]]:
        """What of the host decides how it is set up, as it was found."""
        return self.output("traits")

    @property
    def package_states(self) -> Output[Mapping[str, str]]:
        """By package, whether it is installed."""
        return self.output("packageStates")

    @property
    def users(self) -> Output[Mapping[str, str]]:
        """By user, whether it is there."""
        return self.output("users")

    @property
    def directories(self) -> Output[Mapping[str, str]]:
        """By path, mode and owner."""
        return self.output("directories")

    @property
    def sysctls(self) -> Output[Mapping[str, str]]:
        """By name, the kernel's setting."""
        return self.output("sysctls")

    @property
    def features(self) -> Output[Mapping[str, Any]]:
        """By interface, offloads that are switched on."""
        return self.output("features")

    @property
    def files(self) -> Output[Mapping[str, str]]:
        """By path, digest and mode."""
        return self.output("files")

    @property
    def units(self) -> Output[Mapping[str, str]]:
        """By systemd unit, its state."""
        return self.output("units")

    @property
    def way(self) -> Output[Mapping[str, str]]:
        """By uplink, whether traffic leaves by it."""
        return self.output("way")

    @property
    def links(self) -> Output[Mapping[str, str]]:
        """By interface of the gateway's, its kind and state."""
        return self.output("links")

    @property
    def routes(self) -> Output[Mapping[str, str]]:
        """By network, the way to it."""
        return self.output("routes")

    @property
    def egress(self) -> Output[Mapping[str, str]]:
        """By public address of a device, whether it leads here and is answered for."""
        return self.output("egress")
