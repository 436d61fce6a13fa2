"""The contract of NatFirewall."""

from __future__ import annotations

from typing import Any

from pydantic import Field, StrictBool, model_validator

from pulumi_wgnode.contracts.connection import Connection
from pulumi_wgnode.contracts.contract import Contract
from pulumi_wgnode.contracts.parts import AllowRule, Forwarding, ForwardRule, Owned, Site, Transit
from pulumi_wgnode.model import Model
from pulumi_wgnode.values import AddressText, Instance, Interface, Port, SourceNetwork
from wgnode.topology.model import DEFAULT_LISTEN_PORT


class LeavingDevice(Model):
    """A device of a user that may reach the internet."""

    addresses: list[AddressText] = Field(description="its own in the LAN")
    public: list[AddressText] = Field(
        default=[], description="its own outside, one a family; without any it leaves by the host's"
    )
    open: StrictBool = Field(
        default=False, description="whether others may begin at its public addresses; the gateway judges who and what"
    )

    @model_validator(mode="after")
    def _one_a_family(self) -> LeavingDevice:
        for addresses in (self.addresses, self.public):
            if len({":" in one for one in addresses}) < len(addresses):
                raise ValueError("one address a family")
        return self


class FirewallEgress(Model):
    """Devices that may reach the internet."""

    lan: Interface = Field(description="the host's interface in the LAN: the bridge, as HypervisorHost says")
    devices: dict[str, LeavingDevice] = Field(description="by USER/DEVICE")


class NatFirewallInputs(Model):
    """Our nftables table on a host: the gateway's port, masquerading, who may reach the host from the uplink.

    A change that would lock us out is taken back by the host itself.
    """

    connection: Connection = Field(description="how the host is reached by SSH")
    site: Site = Field(description="whose gateway it is for")
    instance: Instance = Field(default="", description="which of its host's gateways, as HypervisorHost says")
    uplink: Interface = Field(description="the interface that traffic leaves by: of a bridge and its port, the bridge")
    transit: Transit = Field(default=Transit(), description="the link between host and gateway")
    listen_port: Port = Field(default=DEFAULT_LISTEN_PORT, description="the UDP port that leads to the gateway")
    management_networks: list[SourceNetwork] = Field(
        min_length=1,
        description="the networks that SSH to the host comes from, such as 192.0.2.0/24; all others are locked out",
    )
    ssh_port: Port | None = Field(
        default=None, description="where the host itself listens for SSH; the connection's, if not given"
    )
    allow: list[AllowRule] = Field(default=[], description="what else the uplink may reach of the host")
    forward: list[ForwardRule] | None = Field(default=None, description="what the uplink may reach behind the host")
    keep: StrictBool | None = Field(
        default=None,
        description="true leaves alone what the host forwarded from the uplink before: ports that somebody on it"
        " forwards, such as Docker's published ones, and networks where it was a router already",
    )
    forwarding: Forwarding | None = Field(
        default=None, description="how the host forwarded before us, as HypervisorHost says"
    )
    leave_alone: list[Interface] = Field(
        default=[],
        description="interfaces of which nothing is judged, though they lead outside too, such as one of a management"
        " network with a default route of its own, and the LAN's",
    )
    egress: FirewallEgress | None = Field(
        default=None, description="devices that may reach the internet, where there are any"
    )


class NatFirewallOutputs(Owned):
    rules: dict[str, str] = Field(description="by name, each rule of the table")
    chains: dict[str, str] = Field(description="by name, hook and policy of each chain")
    order: dict[str, str] = Field(description="by chain, the names of its rules in their order")
    leaving: dict[str, str] = Field(description="by device and address, how it reaches the internet")
    others: dict[str, str] = Field(description="what is in the table and not ours")
    files: dict[str, str] = Field(description="by path, digest and mode")
    units: dict[str, str] = Field(description="by systemd unit, its state")
    way: dict[str, str] = Field(description="by uplink, whether its packets come in by that name")
    surroundings: dict[str, Any] = Field(description="networks inside and outside, by which addresses are judged")


CONTRACT = Contract("NatFirewall", NatFirewallInputs, NatFirewallOutputs)
