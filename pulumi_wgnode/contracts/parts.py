"""What several kinds' contracts have in common, beside the connection: whose a resource is, the transit link, rules."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from pulumi_wgnode.model import Model
from pulumi_wgnode.values import Port, SourceNetwork, TransitV4, TransitV6
from wgnode.topology.transit import DEFAULT_V4, DEFAULT_V6

WRITTEN = "the format of what is recorded, and by whom; absent before there was one"


class Site(Model):
    """Whose resource it is."""

    id: str = Field(pattern=r"^[0-9a-f]{16}$", description="the site's, from its allocation in the mesh, for ever")
    mesh: str = Field(description="the mesh's name")
    name: str = Field(description="the site's name in the mesh, a label that may change")


class Transit(Model):
    """The link between host and gateway: a /30 and a /126 that nothing else uses."""

    v4: TransitV4 | None = Field(default=DEFAULT_V4, description="its IPv4 network, a /30")
    v6: TransitV6 | None = Field(default=DEFAULT_V6, description="its IPv6 network, a /126")


class AllowRule(Model):
    """Lets something else in through the uplink."""

    protocol: Literal["tcp", "udp"] = Field(description="tcp or udp")
    port: Port = Field(description="the host's port")
    from_: list[SourceNetwork] = Field(default=[], alias="from", description="networks; everybody where none is given")


class ForwardRule(Model):
    """Lets something through from the uplink to machines behind the host: to the network `to`, or without it, what
    comes to a port of the host that somebody on it forwards, as Docker does with a published port."""

    protocol: Literal["tcp", "udp"] | None = Field(default=None, description="tcp or udp, any where it isn't given")
    port: Port | None = Field(default=None, description="the port, any where it isn't given")
    to: SourceNetwork | None = Field(default=None, description="the network behind the host")
    from_: list[SourceNetwork] = Field(default=[], alias="from", description="networks; everybody where none is given")

    @model_validator(mode="after")
    def _says_what(self) -> ForwardRule:
        if self.port and not self.protocol:
            raise ValueError("a port needs its protocol: tcp or udp")
        if not self.to and not self.port:
            raise ValueError("says neither `port`, one of the host's own that is forwarded, nor `to`, a network")
        return self


class Forwarding(Model):
    """How a host forwarded before forwarding was switched on for its first gateway."""

    versions: list[Literal[4, 6]] = Field(description="the versions of IP that it forwarded")
    bridges: list[str] = Field(description="the bridges that it had, and the LAN's")


class Written(Model):
    """The shape of what is recorded of a resource."""

    format: int = Field(description="its number: a version that knows only smaller ones refuses it")
    by: str = Field(description="the version of the package that wrote it")


class Owned(Model):
    """The outputs by which a resource knows what on its host is its own."""

    claim: str | None = Field(default=None, description="the mark of this resource in the gateway's owner record")
    machine_id: str | None = Field(default=None, description="the host's /etc/machine-id: another one is another host")
    owner: str | None = Field(default=None, description="who the host says that this belongs to")
    written: Written | None = Field(default=None, description=WRITTEN)
