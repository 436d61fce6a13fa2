"""Gateway. Written by `make docs` out of pulumi_wgnode/contracts/; do not edit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pulumi import Input, Output, ResourceOptions

from pulumi_wgnode.classes import Resource
from pulumi_wgnode.contracts import ALL
from pulumi_wgnode.contracts.connection import Connection
from pulumi_wgnode.contracts.gateway import Image, Machine
from pulumi_wgnode.contracts.node import NodeConfiguration, NodeKeys
from pulumi_wgnode.contracts.parts import Site
from pulumi_wgnode.sdk.types import (
    ConnectionDict,
    ImageDict,
    MachineDict,
    NodeConfigurationDict,
    NodeKeysDict,
    SiteDict,
)


class Gateway(Resource):
    """The node in its virtual machine, and its companion on the host.

    Reading it asks the running node for the configuration in force, its keys and its peers one by one.
    """

    contract = ALL["wgnode:index:Gateway"]

    def __init__(
        self,
        resource_name: str,
        /,
        opts: ResourceOptions | None = None,
        *,
        connection: Input[Connection | ConnectionDict],
        site: Input[Site | SiteDict],
        image: Input[Image | ImageDict],
        machine: Input[Machine | MachineDict],
        config: Input[NodeConfiguration | NodeConfigurationDict],
        secrets: Input[NodeKeys | NodeKeysDict],
        instance: Input[str | None] = None,
        lan_interface: Input[str | None] = None,
        bundle: Input[str | None] = None,
    ) -> None:
        super().__init__(
            resource_name,
            opts,
            {
                "connection": connection,
                "site": site,
                "instance": instance,
                "image": image,
                "machine": machine,
                "config": config,
                "secrets": secrets,
                "lan_interface": lan_interface,
                "bundle": bundle,
            },
        )

    @property
    def connection(self) -> Output[Any]:
        """How the host is reached by SSH."""
        return self.output("connection")

    @property
    def site(self) -> Output[Any]:
        """Whose gateway it is."""
        return self.output("site")

    @property
    def instance(self) -> Output[str | None]:
        """Which of its host's gateways, as HypervisorHost says."""
        return self.output("instance")

    @property
    def image(self) -> Output[Any]:
        """The image that it boots."""
        return self.output("image")

    @property
    def machine(self) -> Output[Any]:
        """The virtual machine."""
        return self.output("machine")

    @property
    def config(self) -> Output[Any]:
        """The node's configuration."""
        return self.output("config")

    @property
    def secrets(self) -> Output[Any]:
        """Its private and pre-shared keys."""
        return self.output("secrets")

    @property
    def lan_interface(self) -> Output[str | None]:
        """The host's interface into its LAN, where that is asked for the node's addresses."""
        return self.output("lanInterface")

    @property
    def bundle(self) -> Output[str | None]:
        """The site's sealed bundle, kept on the host for `wgnode mesh recover`."""
        return self.output("bundle")

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
    def public_key(self) -> Output[str]:
        """The node's WireGuard key."""
        return self.output("publicKey")

    @property
    def addresses(self) -> Output[Sequence[str]]:
        """Its addresses in the tunnel."""
        return self.output("addresses")

    @property
    def files(self) -> Output[Mapping[str, str]]:
        """By name, digest and mode of the layers, the companion and the units."""
        return self.output("files")

    @property
    def directories(self) -> Output[Mapping[str, str]]:
        """By path, mode and owner."""
        return self.output("directories")

    @property
    def units(self) -> Output[Mapping[str, str]]:
        """By systemd unit, its state."""
        return self.output("units")

    @property
    def taps(self) -> Output[Mapping[str, str]]:
        """By interface, whether the guest holds it."""
        return self.output("taps")

    @property
    def loaded(self) -> Output[str]:
        """The digest of the configuration that the node booted."""
        return self.output("loaded")

    @property
    def applied(self) -> Output[str]:
        """The digest of the configuration in force."""
        return self.output("applied")

    @property
    def live(self) -> Output[str]:
        """The digest of what the running node has, as it says itself."""
        return self.output("live")

    @property
    def node(self) -> Output[Mapping[str, Any]]:
        """The running node's key, port and mark."""
        return self.output("node")

    @property
    def peers(self) -> Output[Mapping[str, Any]]:
        """By name, each peer's keys, networks and keepalive."""
        return self.output("peers")
