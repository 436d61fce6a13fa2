"""NatFirewall. Written by `make docs` out of pulumi_wgnode/contracts/; do not edit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pulumi import Input, Output, ResourceOptions

from pulumi_wgnode.classes import Resource
from pulumi_wgnode.contracts import ALL
from pulumi_wgnode.contracts.connection import Connection
from pulumi_wgnode.contracts.nat_firewall import FirewallEgress
from pulumi_wgnode.contracts.parts import AllowRule, Forwarding, ForwardRule, Site, Transit
from pulumi_wgnode.sdk.types import (
    AllowRuleDict,
    ConnectionDict,
    FirewallEgressDict,
    ForwardingDict,
    ForwardRuleDict,
    SiteDict,
    TransitDict,
)


class NatFirewall(Resource):
    """Our nftables table on a host: the gateway's port, masquerading, who may reach the host from the uplink.

    A change that would lock us out is taken back by the host itself.
    """

    contract = ALL["wgnode:index:NatFirewall"]

    def __init__(
        self,
        resource_name: str,
        /,
        opts: ResourceOptions | None = None,
        *,
        connection: Input[Connection | ConnectionDict],
        site: Input[Site | SiteDict],
        uplink: Input[str],
        management_networks: Input[Sequence[Input[str]]],
        instance: Input[str | None] = None,
        transit: Input[Transit | TransitDict | None] = None,
        listen_port: Input[int | None] = None,
        ssh_port: Input[int | None] = None,
        allow: Input[Sequence[Input[AllowRule | AllowRuleDict]] | None] = None,
        forward: Input[Sequence[Input[ForwardRule | ForwardRuleDict]] | None] = None,
        keep: Input[bool | None] = None,
        forwarding: Input[Forwarding | ForwardingDict | None] = None,
        leave_alone: Input[Sequence[Input[str]] | None] = None,
        egress: Input[FirewallEgress | FirewallEgressDict | None] = None,
    ) -> None:
        super().__init__(
            resource_name,
            opts,
            {
                "connection": connection,
                "site": site,
                "instance": instance,
                "uplink": uplink,
                "transit": transit,
                "listen_port": listen_port,
                "management_networks": management_networks,
                "ssh_port": ssh_port,
                "allow": allow,
                "forward": forward,
                "keep": keep,
                "forwarding": forwarding,
                "leave_alone": leave_alone,
                "egress": egress,
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
    def instance(self) -> Output[str | None]:
        """Which of its host's gateways, as HypervisorHost says."""
        return self.output("instance")

    @property
    def uplink(self) -> Output[str]:
        """The interface that traffic leaves by: of a bridge and its port, the bridge."""
        return self.output("uplink")

    @property
    def transit(self) -> Output[Any]:
        """The link between host and gateway."""
        return self.output("transit")

    @property
    def listen_port(self) -> Output[int]:
        """The UDP port that leads to the gateway."""
        return self.output("listenPort")

    @property
    def management_networks(self) -> Output[Sequence[str]]:
        """The networks that SSH to the host comes from, such as 192.0.2.0/24; all others are locked out."""
        return self.output("managementNetworks")

    @property
    def ssh_port(self) -> Output[int | None]:
        """Where the host itself listens for SSH; the connection's, if not given."""
        return self.output("sshPort")

    @property
    def allow(self) -> Output[Sequence[Any] | None]:
        """What else the uplink may reach of the host."""
        return self.output("allow")

    @property
    def forward(self) -> Output[Sequence[Any] | None]:
        """What the uplink may reach behind the host."""
        return self.output("forward")

    @property
    def keep(self) -> Output[bool | None]:
        """True leaves alone what the host forwarded from the uplink before: ports that somebody on it forwards,
        such as Docker's published ones, and networks where it was a router already.
        """
        return self.output("keep")

    @property
    def forwarding(self) -> Output[Any | None]:
        """How the host forwarded before us, as HypervisorHost says."""
        return self.output("forwarding")

    @property
    def leave_alone(self) -> Output[Sequence[str] | None]:
        """Interfaces of which nothing is judged, though they lead outside too, such as one of a management network
        with a default route of its own, and the LAN's.
        """
        return self.output("leaveAlone")

    @property
    def egress(self) -> Output[Any | None]:
        """Devices that may reach the internet, where there are any."""
        return self.output("egress")

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
    def rules(self) -> Output[Mapping[str, str]]:
        """By name, each rule of the table."""
        return self.output("rules")

    @property
    def chains(self) -> Output[Mapping[str, str]]:
        """By name, hook and policy of each chain."""
        return self.output("chains")

    @property
    def order(self) -> Output[Mapping[str, str]]:
        """By chain, the names of its rules in their order."""
        return self.output("order")

    @property
    def leaving(self) -> Output[Mapping[str, str]]:
        """By device and address, how it reaches the internet."""
        return self.output("leaving")

    @property
    def others(self) -> Output[Mapping[str, str]]:
        """What is in the table and not ours."""
        return self.output("others")

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
        """By uplink, whether its packets come in by that name."""
        return self.output("way")

    @property
    def surroundings(self) -> Output[Mapping[str, Any]]:
        """Networks inside and outside, by which addresses are judged."""
        return self.output("surroundings")
