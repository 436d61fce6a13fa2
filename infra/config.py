"""Stack configuration: `wgmesh:mesh` of a mesh stack, `wgmesh:site` of a site stack. Judged before any resource exists.

The models say what there is, config_values.py what each value may be alone; what several values say together is judged
in `mesh_problems` (wgnode/topology) and `site_problems`. All errors come at once.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, StrictBool, ValidationError, model_validator
from pydantic.alias_generators import to_camel

from infra.config_errors import ConfigurationError, shape_problems
from infra.config_values import (
    Address,
    Carrier,
    Count,
    HostAddress,
    HostKey,
    Interface,
    Port,
    PrivateKey,
    RecipientKey,
    SiteName,
    SourceNetwork,
    User,
)
from infra.site_problems import IMAGE, PROJECT, site_problems
from wgnode.image.machine import SMALLEST_MEMORY
from wgnode.topology import transit
from wgnode.topology.compile import Reach
from wgnode.topology.labels import Step
from wgnode.topology.model import DEFAULT_KEEPALIVE, DEFAULT_LISTEN_PORT, DEFAULT_MTU
from wgnode.topology.validate import Problem, mesh_problems


class Model(BaseModel):
    """camelCase in configuration, snake_case here; a key that nobody knows is an error."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="forbid", frozen=True)

    def to_dict(self) -> dict[str, Any]:
        """camelCase, as it goes to a resource; without what is not set."""
        return self.model_dump(by_alias=True, exclude_none=True)


class TunnelConfig(Model):
    v4: str | None = None
    v6: str | None = None


class MeshSiteConfig(Model):
    """A site as the whole mesh sees it."""

    lans: list[str] = Field(description="the networks behind this site's gateway")
    recipient: str = Field(description="the site's public recipient key, printed by `wgnode site new`")
    endpoint: str | None = None
    renamed_from: str | None = Field(
        default=None, description="the name that this site had before: it keeps its id, keys and addresses"
    )
    key_generation: int | None = Field(
        default=None, ge=1, description="1 at first; with another number the site gets a new WireGuard key"
    )
    mtu: Count | None = Field(
        default=None, strict=True, description="bytes of the largest packet inside of the tunnel to and from this site"
    )


class MeshConfig(Model):
    name: str = Field(description="the mesh's name, such as dev")
    tunnel: TunnelConfig = Field(
        description="the prefixes of the tunnel, such as {v4: 10.99.0.0/24, v6: 'fd00:99::/64'}"
    )
    sites: dict[str, MeshSiteConfig] = Field(description="the sites by name")
    keepalive: Count = Field(default=DEFAULT_KEEPALIVE, ge=1, le=65535)
    listen_port: Port = DEFAULT_LISTEN_PORT
    mtu: Count | None = Field(
        default=None,
        strict=True,
        description=f"bytes of the largest packet inside of the tunnel, {DEFAULT_MTU} where it isn't given",
    )
    forget: list[str] | None = Field(
        default=None, description="sites that have left for good: their keys, ids and addresses are given up"
    )
    preshared_keys: Step | None = Field(
        default=None,
        description="the step of the change to pre-shared keys from ids, of a mesh that is older than those: accept"
        " (both, as the first `up` makes it), use, drop",
    )


class HostConfig(Model):
    address: HostAddress = Field(description="the host's address or name for SSH")
    host_keys: list[HostKey] = Field(
        description="pin the host's keys: `wgnode host scan ADDRESS` fetches them for review"
    )
    port: Port = 22
    ssh_port: Port | None = None
    user: User = "root"
    private_key: PrivateKey | None = None
    agent: StrictBool = False


class LanConfig(Model):
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


class TransitConfig(Model):
    """The link between host and gateway: a /30 and a /126 that nothing else uses."""

    v4: str = transit.DEFAULT_V4
    v6: str = transit.DEFAULT_V6


class GatewayConfig(Model):
    """The virtual machine; `memory` is in MiB. `image` is a path from the project's folder, or a URL with `sha256`.

    With `sha256` a file need not be there either, until a host needs it.
    """

    memory: Count = Field(default=SMALLEST_MEMORY, ge=SMALLEST_MEMORY, le=1 << 20)
    cpus: Count = Field(default=1, ge=1, le=64)
    accelerator: Literal["auto", "kvm", "tcg"] = Field(
        default="auto",
        description="what runs the virtual machine: kvm (the processor itself), tcg (software emulation, much slower)"
        " or auto (kvm where the host has it; a gateway that runs by kvm never becomes an emulated one by itself)",
    )
    image: str = IMAGE
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = None
    transit: TransitConfig = TransitConfig()


class AllowRule(Model):
    """Lets something else in through the uplink; `from` has networks, everybody where it isn't given."""

    protocol: Literal["tcp", "udp"]
    port: Port
    from_: list[SourceNetwork] | None = Field(default=None, alias="from")


class ForwardRule(Model):
    """Lets something through from the uplink to machines behind the host: to the network `to`, or without it, what
    comes to a port of the host that somebody on it forwards, as Docker does with a published port."""

    protocol: Literal["tcp", "udp"] | None = None
    port: Port | None = None
    to: SourceNetwork | None = None
    from_: list[SourceNetwork] | None = Field(default=None, alias="from")

    @model_validator(mode="after")
    def _says_what(self) -> ForwardRule:
        if self.port and not self.protocol:
            raise ValueError("a port needs its protocol: tcp or udp")
        if not self.to and not self.port:
            raise ValueError("says neither `port`, one of the host's own that is forwarded, nor `to`, a network")
        return self


class FirewallConfig(Model):
    """What else than the gateway's the uplink may reach: services of the host, and machines behind it."""

    allow: list[AllowRule] = []
    forward: list[ForwardRule] | None = None
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


class SiteConfig(Model):
    name: SiteName = Field(description="the site's name in the mesh")
    mesh: str = Field(min_length=1, description="the mesh's stack, such as dev-mesh")
    host: HostConfig = Field(description="how to reach the hypervisor host")
    management_networks: list[SourceNetwork] = Field(
        min_length=1,
        description="the networks that SSH to the host comes from, such as 192.0.2.0/24; all others are locked out",
    )
    uplink: Interface = Field(description="the interface that traffic leaves by: of a bridge and its port, the bridge")
    lan: LanConfig = Field(description="the host's LAN and the gateway's addresses in it")
    recipient_key: RecipientKey = Field(
        description="the site's private recipient key, a secret; `wgnode site new` makes it, or"
        " `pulumi config set --secret --path wgmesh:site.recipientKey`"
    )
    carrier: Carrier | None = Field(
        default=None,
        description="the network that the site is reached by, such as t-mobile-us: what is said of its MTU is where the"
        " search begins (`wgnode mtu --carriers` lists them)",
    )
    gateway: GatewayConfig = GatewayConfig()
    firewall: FirewallConfig = FirewallConfig()
    bootstrap: list[str] = []


Config = TypeVar("Config", bound=Model)


def parse_mesh(raw: Any, where: str, written: Iterable[Problem] = ()) -> MeshConfig:
    """Raises ConfigurationError with all problems; `where` is the stack file's name, `written` what is wrong with how
    its values are written."""
    values = raw if isinstance(raw, Mapping) else {}
    found = [*written]
    found += [Problem(f".{problem.path}", problem.message) for problem in mesh_problems(values, where)]
    return _parse(MeshConfig, "mesh", raw, where, found)


def parse_site(
    raw: Any, where: str, root: Path, clear: Collection[str] = (), written: Iterable[Problem] = ()
) -> SiteConfig:
    """Raises ConfigurationError with all problems. `root` is the project's, for relative paths; `clear` has those of
    SECRETS that the stack file holds in clear text, `written` what is wrong with how its values are written."""
    values = raw if isinstance(raw, Mapping) else {}
    return _parse(SiteConfig, "site", raw, where, [*written, *site_problems(values, root, clear)])


def _parse(model: type[Config], key: str, raw: Any, where: str, problems: list[Problem]) -> Config:
    try:
        parsed = model.model_validate(raw if raw is not None else {})
    except ValidationError as error:
        problems = [*shape_problems(model, error, ""), *problems]
    if problems:
        full = (Problem(f"{PROJECT}:{key}{problem.path}", problem.message) for problem in problems)
        raise ConfigurationError(where, sorted(full, key=lambda problem: problem.path))
    return parsed
