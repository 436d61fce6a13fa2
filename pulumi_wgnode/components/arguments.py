"""What a site is described by: the arguments of `Site`.

The models say what there is, values.py what each value may be alone; what several values say together is judged by who
reads them.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field, StrictBool

from pulumi_wgnode.components.ways_out import WaysOut
from pulumi_wgnode.contracts.connection import Connection
from pulumi_wgnode.contracts.parts import AllowRule, ForwardRule, Transit
from pulumi_wgnode.contracts.users import EgressPool, Group, Pool, User
from pulumi_wgnode.model import Model
from pulumi_wgnode.values import (
    Address,
    BackendName,
    Carrier,
    Count,
    DeviceSecret,
    DhcpRange,
    Interface,
    PathMtu,
    Port,
    RecipientKey,
    Sha256,
    SiteName,
    SourceNetwork,
)
from wgnode.image import backends
from wgnode.image.machine import SMALLEST_MEMORY
from wgnode.topology.compile import Reach


class HostArgs(Connection):
    """The hypervisor host, and how it is reached."""

    ssh_port: Port | None = Field(
        default=None, description="where the host itself listens for SSH, if that is not `port`"
    )


class LanArgs(Model):
    """The site's LAN, and how its machines and the gateway meet there."""

    interface: Interface = Field(description="the host's interface into the LAN")
    gateway_addresses: list[Address] = Field(
        min_length=1, description="the gateway's own free addresses, one in each LAN of the site"
    )
    reach: Reach = Field(
        default="host-route",
        description="how the LAN's machines find the other sites: host-route (the host, their router, has the routes),"
        " proxy-arp (the gateway answers for the other sites' addresses, IPv4 only) or masquerade (what comes from the"
        " other sites has the gateway's own address as source, so it is answered without any route; the LAN's machines"
        " themselves find no way to the other sites)",
    )
    dhcp: list[DhcpRange] | None = Field(
        default=None,
        description="what the LAN's DHCP server gives out, like 10.1.0.100-10.1.0.199: a pool that overlaps it is"
        " refused",
    )


class GatewayArgs(Model):
    """The machine of its node; `memory` is in MiB. `image` is a path from `Site`'s root, or a URL with `sha256`.

    With `sha256` a file need not be there either, until a host needs it.
    """

    backend: BackendName = Field(
        default=backends.DEFAULT,
        description="what runs the node: microvm (a virtual machine). Another one replaces the gateway",
    )
    memory: Count = Field(default=SMALLEST_MEMORY, ge=SMALLEST_MEMORY, le=1 << 20, description="MiB")
    cpus: Count = Field(default=1, ge=1, le=64, description="processors")
    accelerator: Literal["auto", "kvm", "tcg"] = Field(
        default="auto",
        description="what runs the virtual machine: kvm (the processor itself), tcg (software emulation, much slower)"
        " or auto (kvm where the host has it; a gateway that runs by kvm never becomes an emulated one by itself)",
    )
    image: str = Field(description="path of the image's file, or a URL with its `sha256`")
    sha256: Sha256 | None = Field(
        default=None, description="the image file's digest, hex: with it a file need not be there until a host needs it"
    )
    transit: Transit = Field(default=Transit(), description="the link between host and gateway")


class FirewallArgs(Model):
    """What else than the gateway's the uplink may reach: services of the host, and machines behind it."""

    allow: list[AllowRule] = Field(default=[], description="what else the uplink may reach of the host")
    forward: list[ForwardRule] | None = Field(default=None, description="what the uplink may reach behind the host")
    keep: StrictBool | None = Field(
        default=None,
        description="true leaves alone what the host forwarded from the uplink before: ports that somebody on it"
        " forwards, such as Docker's published ones, and networks where it was a router already",
    )
    leave_alone: list[Interface] | None = Field(
        default=None,
        description="interfaces of which nothing is judged, though they lead outside too, such as one of a management"
        " network with a default route of its own",
    )


class SiteArgs(Model):
    name: SiteName = Field(description="the site's name in the mesh")
    mesh: str = Field(min_length=1, description="the mesh's stack, such as dev-mesh")
    host: HostArgs = Field(description="how to reach the hypervisor host")
    management_networks: list[SourceNetwork] = Field(
        min_length=1,
        description="the networks that SSH to the host comes from, such as 192.0.2.0/24; all others are locked out",
    )
    uplink: Interface = Field(description="the interface that traffic leaves by: of a bridge and its port, the bridge")
    lan: LanArgs = Field(description="the host's LAN and the gateway's addresses in it")
    recipient_key: RecipientKey = Field(
        description="the site's private recipient key, a secret; `wgnode key recipient` makes one"
    )
    carrier: Carrier | None = Field(
        default=None,
        description="the network that the site is reached by, such as t-mobile-us: what is said of its MTU is where the"
        " search begins (`wgnode mtu --carriers` lists them)",
    )
    path_mtu: PathMtu = Field(
        default="auto",
        description="off, and the site's gateway searches no path MTU and acts on none: what does not fit is fragmented"
        " on its way, as it can be. A change restarts the gateway",
    )
    gateway: GatewayArgs = Field(description="the virtual machine, and the image that it boots")
    firewall: FirewallArgs = Field(default=FirewallArgs(), description="what else the uplink may reach")
    pool: Pool | None = Field(default=None, description="the addresses of the LAN that users' devices have")
    egress_pool: EgressPool | None = Field(
        default=None, description="public addresses of users' devices, for groups that say `egress: pool`"
    )
    groups: dict[str, Group] | None = Field(default=None, description="what users may be members of, by name")
    users: dict[str, User] | None = Field(
        default=None, description="people whose devices call this site, by name; `wgnode user add` writes them"
    )
    device_secret: DeviceSecret | None = Field(
        default=None,
        description="what the pre-shared keys of devices come from, a secret: 32 random bytes, base64; `wgnode user"
        " add` makes it",
    )
    bootstrap: list[str] = Field(
        default=[], description="commands of one's own on the host, before anything of ours; by pulumi-command"
    )

    @property
    def ways_out(self) -> WaysOut:
        """What errors about site and mesh tell to do."""
        return WaysOut()
