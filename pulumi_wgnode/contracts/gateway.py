"""The contract of Gateway."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, StrictBool, model_validator

from pulumi_wgnode.contracts.connection import Connection
from pulumi_wgnode.contracts.contract import Contract
from pulumi_wgnode.contracts.node import Configuration, Keys
from pulumi_wgnode.contracts.parts import Owned, Site
from pulumi_wgnode.model import Model, secret
from pulumi_wgnode.values import BackendName, Count, Directory, Instance, Interface, Sha256
from wgnode.image import backends
from wgnode.image.machine import SMALLEST_MEMORY

Asked = Literal["auto", "kvm", "tcg"]


class Kvm(Model):
    """What the host's facts say of KVM."""

    usable: StrictBool = Field(description="whether guests can run by it")
    reason: str = Field(description="why they can or can't")


class Machine(Model):
    """The machine that the node runs in."""

    backend: BackendName = Field(
        default=backends.DEFAULT,
        description="what it is: microvm (a virtual machine) or another that is built; another one replaces the"
        " gateway; recorded where it is no microvm",
    )
    memory: Count = Field(default=SMALLEST_MEMORY, ge=SMALLEST_MEMORY, le=1 << 20, description="MiB")
    cpus: Count = Field(default=1, ge=1, le=64, description="processors")
    accelerator: Asked = Field(
        default="tcg",
        description="what runs it: kvm (the processor itself), tcg (software emulation, much slower) or auto, which"
        " needs `kvm`; recorded is what came of it",
    )
    udp_segmentation: StrictBool = Field(
        default=False,
        description="whether cards carry UDP segmentation, as the host's facts say; recorded where they do",
    )
    architecture: Literal["amd64", "arm64"] = Field(
        default="amd64", description="its processor, as the host's facts say; recorded where it is not amd64"
    )
    kvm: Kvm | None = Field(
        default=None, description="whether guests can run by KVM on the host, and why; not recorded"
    )

    @model_validator(mode="before")
    @classmethod
    def _said(cls, given: Any) -> Any:
        """A program's value that comes to nothing is null on the wire, where it is in another."""
        return {name: one for name, one in given.items() if one is not None} if isinstance(given, dict) else given

    @model_validator(mode="after")
    def _can(self) -> Machine:
        asked: dict[str, Any] = {"accelerator": self.accelerator} if "accelerator" in self.model_fields_set else {}
        asked["udpSegmentation"] = self.udp_segmentation
        asked["architecture"] = None if self.architecture == "amd64" else self.architecture
        for what, why in backends.refusals(self.backend, asked):
            raise ValueError(f"{what}: {why}")
        return self


class Image(Model):
    """The image that it boots, as ApplianceImage says."""

    directory: Directory = Field(description="where it lies on the host")
    sha256: Sha256 = Field(description="the image file's digest, hex")


class GatewayInputs(Model):
    """The node in its virtual machine, and its companion on the host.

    Reading it asks the running node for the configuration in force, its keys and its peers one by one.
    """

    connection: Connection = Field(description="how the host is reached by SSH")
    site: Site = Field(description="whose gateway it is")
    instance: Instance = Field(default="", description="which of its host's gateways, as HypervisorHost says")
    image: Image = Field(description="the image that it boots")
    machine: Machine = Field(description="the virtual machine")
    config: Configuration = Field(description="the node's configuration")
    secrets: Keys = secret("its private and pre-shared keys")
    lan_interface: Interface | None = Field(
        default=None, description="the host's interface into its LAN, where that is asked for the node's addresses"
    )
    bundle: str | None = Field(
        default=None, description="the site's sealed bundle, kept on the host for `wgnode mesh recover`"
    )


class GatewayOutputs(Owned):
    public_key: str = Field(description="the node's WireGuard key")
    addresses: list[str] = Field(description="its addresses in the tunnel")
    files: dict[str, str] = Field(description="by name, digest and mode of the layers, the companion and the units")
    directories: dict[str, str] = Field(description="by path, mode and owner")
    units: dict[str, str] = Field(description="by systemd unit, its state")
    taps: dict[str, str] = Field(description="by interface, whether the guest holds it")
    loaded: str = Field(description="the digest of the configuration that the node booted")
    applied: str = Field(description="the digest of the configuration in force")
    live: str = Field(description="the digest of what the running node has, as it says itself")
    node: dict[str, Any] = Field(description="the running node's key, port and mark")
    peers: dict[str, Any] = Field(description="by name, each peer's keys, networks and keepalive")


CONTRACT = Contract("Gateway", GatewayInputs, GatewayOutputs)
