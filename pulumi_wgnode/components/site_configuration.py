"""The function `siteConfiguration`: what `Site` compiles, for programs that wire the resources themselves."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import Field

from pulumi_wgnode.call.kind import CheckError, Properties, Secret, has_unknown
from pulumi_wgnode.components.compiled import Asked, SiteError, compiled, site_facts
from pulumi_wgnode.components.ways_out import WaysOut
from pulumi_wgnode.contracts.contract import PACKAGE
from pulumi_wgnode.contracts.hypervisor_host import GatewayLan, HostEgress, Route
from pulumi_wgnode.contracts.nat_firewall import LeavingDevice
from pulumi_wgnode.contracts.node import NodeConfiguration, NodeKeys
from pulumi_wgnode.contracts.parts import Site, Transit
from pulumi_wgnode.contracts.users import EgressPool, Group, Pool, User
from pulumi_wgnode.model import Model, secret
from pulumi_wgnode.resources.inputs import validated
from pulumi_wgnode.values import Address, Carrier, DeviceSecret, PathMtu, Port, RecipientKey, SiteName
from wgnode.topology import user_problems
from wgnode.topology.compile import Reach
from wgnode.topology.users import Users

Compile = Callable[[Asked, Mapping[str, Any], str], dict[str, Any]]
"""compiled.compiled, or its like."""


class SiteConfigurationInputs(Model):
    """A site's configuration, secrets, routes and port, from the mesh's topology, its bundle and its recipient key.

    It is what `Site` makes of them for its HypervisorHost, NatFirewall and Gateway.
    """

    name: SiteName = Field(description="the site's name in the mesh")
    topology: dict[str, Any] = Field(description="the mesh's output `topology`")
    bundle: str = Field(description="the site's own among the mesh's output `bundles`")
    recipient_key: RecipientKey = Field(description="the site's private recipient key")
    gateway_addresses: list[Address] = Field(
        min_length=1, description="the gateway's own free addresses, one in each LAN of the site"
    )
    reach: Reach = Field(default="host-route", description="how the LAN's machines find the other sites, as for `Site`")
    transit: Transit = Field(default=Transit(), description="the link between host and gateway")
    carrier: Carrier | None = Field(default=None, description="the network that the site is reached by")
    path_mtu: PathMtu = Field(default="auto", description="off, and its gateway searches no path MTU, as for `Site`")
    pool: Pool | None = Field(default=None, description="the addresses of users' devices, as for `Site`")
    egress_pool: EgressPool | None = Field(default=None, description="their public addresses, as for `Site`")
    groups: dict[str, Group] | None = Field(default=None, description="of users, as for `Site`")
    users: dict[str, User] | None = Field(default=None, description="people and their devices, as for `Site`")
    device_secret: DeviceSecret | None = Field(
        default=None, description="what the pre-shared keys of devices come from, as for `Site`"
    )
    mesh_stack: str = Field(default="", description="the mesh's stack, to be named in errors")


class SiteEgress(HostEgress):
    """Devices of users that may reach the internet."""

    devices: dict[str, LeavingDevice] = Field(description="for `egress` of NatFirewall, beside the bridge in the LAN")


class SiteConfigurationOutputs(Model):
    site: Site = Field(description="whose resources they are to be: the input `site`")
    config: NodeConfiguration = Field(description="for Gateway")
    secrets: NodeKeys = secret("for Gateway")
    routes: list[Route] = Field(description="for `networks` of HypervisorHost")
    whose: dict[str, str] = Field(description="for `networks` of HypervisorHost: of the routes, for messages")
    peers: list[str] = Field(description="for `networks` of HypervisorHost: where the other sites are called")
    gateway: GatewayLan = Field(description="for `networks` of HypervisorHost: what it will have in the LAN")
    listen_port: Port = Field(description="for HypervisorHost and NatFirewall")
    endpoint: str | None = Field(default=None, description="where the others call the site, if they can")
    egress: SiteEgress | None = Field(
        default=None, description="for `networks` of HypervisorHost: `public` and `routed`, where any device leaves"
    )


@dataclass(frozen=True)
class Function:
    name: str
    inputs: type[Model]
    outputs: type[Model]

    @property
    def token(self) -> str:
        return f"{PACKAGE}:index:{self.name}"

    @property
    def about(self) -> str:
        return inspect.getdoc(self.inputs) or ""


FUNCTION = Function("siteConfiguration", SiteConfigurationInputs, SiteConfigurationOutputs)


def configured(given: Properties, stack: str, ways_out: WaysOut, by: Compile = compiled) -> Properties:
    """What is compiled (`by`) of a site's arguments that are all known. Raises CheckError and SiteError."""
    validated(SiteConfigurationInputs, given)
    known = {name: value for name, value in given.items() if value is not None}
    asked = SiteConfigurationInputs.model_validate({**known, "users": None})  # they may be thousands, judged now
    addresses, reach = asked.gateway_addresses, asked.reach
    if found := list(user_problems.problems({**known, "lan": {"reach": reach, "gatewayAddresses": addresses}})):
        raise CheckError([(one.path.removeprefix("."), one.message) for one in found])
    users = Users.of(*(known.get(name) for name in ("pool", "users", "groups", "egressPool")))
    facts = site_facts(addresses, asked.transit, reach, asked.carrier, path_mtu=asked.path_mtu, users=users)
    key, secret = asked.recipient_key.get_secret_value(), known.get("deviceSecret")
    return by(Asked(asked.name, facts, key, stack, secret, ways_out), asked.topology, asked.bundle)


def site_configuration(given: Properties) -> Properties:
    """Raises CheckError; what doesn't fit together has no path."""
    if has_unknown(given):
        raise CheckError([("", "its arguments must be known: call it of their outputs")])
    try:
        made = configured(given, str(given.get("meshStack") or ""), WaysOut())
    except SiteError as error:
        raise CheckError([("", str(error))]) from None
    whose = {"id": made.pop("id"), "mesh": made.pop("mesh"), "name": given["name"]}
    told = {**made, "site": whose, "gateway": made.pop("lan"), "secrets": Secret(made["secrets"])}
    return {name: value for name, value in told.items() if value is not None and name != "lan"}
