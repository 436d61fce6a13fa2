"""The contract of HypervisorHost."""

from __future__ import annotations

from typing import Any

from pydantic import Field, StrictBool, model_validator

from pulumi_wgnode.contracts.connection import Connection
from pulumi_wgnode.contracts.contract import Contract
from pulumi_wgnode.contracts.parts import Forwarding, Owned, Site, Transit
from pulumi_wgnode.model import Model
from pulumi_wgnode.values import AddressText, BackendName, Interface, InterfaceText, Mac, NetworkText, PackageName, Port
from wgnode.image import backends
from wgnode.topology.model import DEFAULT_LISTEN_PORT

PACKAGES = backends.named(backends.DEFAULT).packages


class Route(Model):
    to: NetworkText = Field(description="the network that it leads to")
    via: AddressText = Field(description="the gateway's address in the LAN")


class GatewayLan(Model):
    """What the gateway will have in the LAN."""

    addresses: list[InterfaceText] = Field(description="its addresses, with prefix length")
    mac: Mac = Field(description="its MAC address")
    proxy_arp: bool = Field(default=False, description="whether it answers for the other sites' addresses")


class HostEgress(Model):
    """What devices of users need to reach the internet by this host."""

    public: list[AddressText] = Field(default=[], description="their own addresses outside, of those that have such")
    routed: StrictBool = Field(
        default=False, description="true where these are routed to the host, so that nobody asks the uplink for them"
    )


class Networks(Model):
    """The host's interfaces, and its links and routes to the gateway."""

    uplink: Interface = Field(description="the interface that traffic leaves by: of a bridge and its port, the bridge")
    lan_interface: Interface = Field(description="the host's interface into the LAN")
    transit: Transit = Field(default=Transit(), description="the link between host and gateway")
    routes: list[Route] = Field(default=[], description="the host's routes to the other sites")
    whose: dict[str, str] | None = Field(
        default=None, description="of the routes' networks, for messages: site 'cabin'"
    )
    peers: list[AddressText] = Field(
        default=[], description="where the other sites are called; only to judge the uplink by"
    )
    egress: HostEgress | None = Field(
        default=None, description="for devices that reach the internet, where there are any"
    )
    gateway: GatewayLan | None = Field(default=None, description="what it will have in the LAN; only to ask there for")

    @model_validator(mode="after")
    def _apart(self) -> Networks:
        if self.uplink == self.lan_interface:
            raise ValueError(f"{self.uplink} is the uplink; the LAN needs an interface of its own")
        return self


class HypervisorHostInputs(Model):
    """What a gateway needs of its host: packages, a user, directories, forwarding, links and routes.

    Deleting it leaves the host as it was found; packages stay.
    """

    connection: Connection = Field(description="how the host is reached by SSH")
    site: Site = Field(description="whose gateway it is for")
    listen_port: Port = Field(default=DEFAULT_LISTEN_PORT, description="the UDP port that leads to the gateway")
    packages: list[PackageName] = Field(
        default=list(PACKAGES), description="Debian packages that it has to have; QEMU's is its own processor's"
    )
    networks: Networks = Field(description="its interfaces, and its links and routes to the gateway")
    backend: BackendName = Field(
        default=backends.DEFAULT,
        description="what the gateway will be, as for Gateway: its links depend on it; recorded where it is no microvm",
    )

    @model_validator(mode="after")
    def _has_cards(self) -> HypervisorHostInputs:
        if backends.named(self.backend).cards == "veth" and self.networks.gateway is None:
            raise ValueError(f"backend {self.backend} needs `networks.gateway`, whose MAC address its card is given")
        return self


class Facts(Model):
    """What kind of machine a host is."""

    os: str = Field(description="the operating system's release")
    architecture: str = Field(
        description="its processor, as dpkg calls it: amd64, or arm64, which its image must be of"
    )
    kernel: str = Field(description="the running kernel's release")
    cpu: str = Field(description="the processor's model")
    cpus: int = Field(description="processors")
    memory: int = Field(description="MiB")
    qemu: str = Field(description="the version of QEMU's package; empty where it is not installed")
    kvm: bool = Field(description="whether guests can run by KVM")
    kvm_reason: str = Field(description="why they can or can't")
    interfaces: list[str] = Field(description="its network interfaces")
    foreign_firewalls: list[str] = Field(description="others' rulesets that concern the gateway")
    uplink_addresses: dict[str, bool] = Field(description="the uplink's addresses, and whether each is leased")
    udp_segmentation: bool = Field(description="whether its QEMU and kernel carry UDP segmentation to guests")


class HypervisorHostOutputs(Owned):
    facts: Facts = Field(description="what kind of machine it is")
    instance: str = Field(description="which of its host's gateways the site's is: empty for the one with plain names")
    forwarding: Forwarding = Field(description="how it forwarded before its first gateway came, for NatFirewall")
    traits: dict[str, Any] = Field(description="what of the host decides how it is set up, as it was found")
    package_states: dict[str, str] = Field(description="by package, whether it is installed")
    users: dict[str, str] = Field(description="by user, whether it is there")
    directories: dict[str, str] = Field(description="by path, mode and owner")
    sysctls: dict[str, str] = Field(description="by name, the kernel's setting")
    features: dict[str, Any] = Field(description="by interface, offloads that are switched on")
    files: dict[str, str] = Field(description="by path, digest and mode")
    units: dict[str, str] = Field(description="by systemd unit, its state")
    way: dict[str, str] = Field(description="by uplink, whether traffic leaves by it")
    links: dict[str, str] = Field(description="by interface of the gateway's, its kind and state")
    routes: dict[str, str] = Field(description="by network, the way to it")
    egress: dict[str, str] = Field(
        description="by public address of a device, whether it leads here and is answered for"
    )


CONTRACT = Contract("HypervisorHost", HypervisorHostInputs, HypervisorHostOutputs)
