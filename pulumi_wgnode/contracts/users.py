"""People and their devices, as arguments of a site."""

from __future__ import annotations

from typing import Any

from pydantic import Field, StrictBool

from pulumi_wgnode.model import Model
from pulumi_wgnode.values import Address, Moment, NetworkText, PublicKey
from wgnode.topology.egress import Egress


class Pool(Model):
    """The part of the site's LAN that devices have their addresses of. The LAN's DHCP server gives out none of them."""

    v4: NetworkText | None = Field(default=None, description="of its IPv4 LAN, such as 10.1.0.128/26")
    v6: NetworkText | None = Field(default=None, description="of its IPv6 LAN, such as fd00:10:1::1000/116")
    released: dict[str, Moment] | None = Field(
        default=None,
        description="addresses that were devices' until that day: `wgnode user` keeps it, so that none becomes another"
        " device's soon",
    )


class EgressPool(Model):
    """Public addresses, one for each device whose group says `egress: pool`, by which it is known outside."""

    v4: NetworkText | None = Field(default=None, description="such as 203.0.113.32/28")
    v6: NetworkText | None = Field(default=None, description="such as 2001:db8:1::40/122")
    routed: StrictBool | None = Field(
        default=None,
        description="true where these are routed to the host. Else they are of its uplink's own network, where the host"
        " answers for those that are devices'",
    )
    released: dict[str, Moment] | None = Field(
        default=None, description="addresses that were devices' until that day; `wgnode user` keeps it, as the pool's"
    )


class Device(Model):
    """A person's tunnel."""

    public_key: PublicKey = Field(description="its own, base64")
    addresses: list[Address] = Field(
        min_length=1, max_length=2, description="its own in the pool, one a family: in the tunnel and in the LAN"
    )
    egress_addresses: list[Address] | None = Field(
        default=None,
        max_length=2,
        description="its own in `egressPool`, one a family: its addresses outside where a group of its user says"
        " `egress: pool`",
    )
    disabled: StrictBool = Field(default=False, description="true keeps its place, and lets it not connect")


class User(Model):
    """A person. One who is in no group gets nothing."""

    groups: list[str] | None = Field(default=None, description="what the person is a member of, names of `groups`")
    expires: Moment | None = Field(
        default=None,
        description="when all devices are refused by the gateway's own clock: the beginning of a day, like 2027-01-31,"
        " or a time, like 2027-01-31T18:00:00Z (UTC)",
    )
    disabled: StrictBool = Field(default=False, description="true disables all devices")
    devices: dict[str, Device] | None = Field(default=None, description="by name")


class Group(Model):
    """What its members reach, and who reaches their devices. What nothing here allows is denied."""

    reach: Any = Field(
        default=None,
        description="all: the LANs of all sites, and the other devices; or a list of rules, each with what it allows:"
        " `networks`, `sites` (their LANs), `groups` (their devices) or `internet: true`, and of that only a `protocol`"
        " (tcp, udp, icmp or a number) and `ports` (443, or 8000-8100). Nothing, where it is left out. Gateway and host"
        " themselves are reached only by networks of their one address",
    )
    reachable_from: Any = Field(
        default=None,
        description="a list of rules of the same kind: from where flows may be opened to members' devices. Left out,"
        " with `reach: all`: from the LANs of all sites; from nowhere otherwise",
    )
    egress: Egress | None = Field(
        default=None,
        description="how its members' devices get to the internet by this site: none (not at all, the default),"
        " masquerade (by the host's own address) or pool (each by a public address of its own, of `egressPool`, so that"
        " the outside can tell who it was). Of several groups pool goes before masquerade, and that before none",
    )
