"""The resources of the `wgnode` provider as Pulumi programs use them: thin, with the wire's own names.

Inputs are plain mappings in camelCase, as the provider's models describe them; each output is a property here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import Any, ClassVar

import pulumi
from pulumi import Input, Output, ResourceOptions

VERSION = version("wgnode")


class Provider(pulumi.ProviderResource):
    """The provider with options of its own, for resources whose `opts` name it; the others have the stack's."""

    def __init__(
        self,
        name: str,
        *,
        skip_unreachable: Input[bool] | None = None,
        delete_unreachable: Input[bool] | None = None,
        opts: ResourceOptions | None = None,
    ) -> None:
        given = {"skipUnreachable": skip_unreachable, "deleteUnreachable": delete_unreachable}
        inputs = {wire: value for wire, value in given.items() if value is not None}
        super().__init__("wgnode", name, inputs, ResourceOptions.merge(ResourceOptions(version=VERSION), opts))


class _Resource(pulumi.CustomResource):
    """A resource of ours: `produced` has its outputs by wire name, of which `secret_outputs` are encrypted in state."""

    kind: ClassVar[str]
    produced: ClassVar[tuple[str, ...]] = ()
    secret_outputs: ClassVar[tuple[str, ...]] = ()

    def __init__(self, name: str, inputs: Mapping[str, Input[Any]], opts: ResourceOptions | None) -> None:
        ours = ResourceOptions(version=VERSION, additional_secret_outputs=list(self.secret_outputs))
        given = {wire: value for wire, value in inputs.items() if value is not None}
        super().__init__(self.kind, name, {**dict.fromkeys(self.produced), **given}, ResourceOptions.merge(ours, opts))

    def output(self, wire: str) -> Output[Any]:
        """An input or output by its name on the wire."""
        found: Output[Any] = pulumi.get(self, wire)
        return found


class MeshTopology(_Resource):
    """The mesh's keys, addresses and sealed bundles."""

    kind = "wgnode:index:MeshTopology"
    produced = ("topology", "bundles", "resting", "forgotten", "privateKeys", "meshSecret")
    secret_outputs = ("privateKeys", "meshSecret")

    def __init__(
        self,
        name: str,
        *,
        mesh: Input[str],
        tunnel: Input[Mapping[str, Input[str]]],
        sites: Input[Mapping[str, Any]],
        keepalive: Input[int] | None = None,
        listen_port: Input[int] | None = None,
        mtu: Input[int] | None = None,
        forget: Input[Sequence[str]] | None = None,
        preshared_keys: Input[str] | None = None,
        opts: ResourceOptions | None = None,
    ) -> None:
        inputs: dict[str, Input[Any] | None] = {
            "name": mesh,
            "tunnel": tunnel,
            "sites": sites,
            "keepalive": keepalive,
            "listenPort": listen_port,
            "mtu": mtu,
            "forget": forget,
            "presharedKeys": preshared_keys,
        }
        super().__init__(name, inputs, opts)

    @property
    def topology(self) -> Output[Any]:
        """Public: who is where, with which key."""
        return self.output("topology")

    @property
    def resting(self) -> Output[Any]:
        """By name, the public facts of sites that left the configuration and come back as they were."""
        return self.output("resting")

    @property
    def bundles(self) -> Output[Any]:
        """By site, each readable for its recipient only."""
        return self.output("bundles")


class HypervisorHost(_Resource):
    """A host with what a gateway needs on it."""

    kind = "wgnode:index:HypervisorHost"
    produced = ("facts", "instance", "forwarding", "claim", "machineId", "owner")

    def __init__(
        self,
        name: str,
        *,
        connection: Input[Mapping[str, Any]],
        site: Input[Mapping[str, Input[str]]],
        networks: Input[Mapping[str, Any]],
        listen_port: Input[int] | None = None,
        packages: Input[Sequence[Input[str]]] | None = None,
        opts: ResourceOptions | None = None,
    ) -> None:
        inputs = {
            "connection": connection,
            "site": site,
            "networks": networks,
            "listenPort": listen_port,
            "packages": packages,
        }
        super().__init__(name, inputs, opts)

    @property
    def instance(self) -> Output[str]:
        """Which of its host's gateways the site's is: "" for the one with the plain names."""
        return self.output("instance")

    @property
    def forwarding(self) -> Output[Any]:
        """How it forwarded before its first gateway came, for NatFirewall."""
        return self.output("forwarding")

    @property
    def facts(self) -> Output[Any]:
        """What kind of machine it is."""
        return self.output("facts")


class NatFirewall(_Resource):
    """Our nftables table on a host."""

    kind = "wgnode:index:NatFirewall"
    produced = ("claim", "machineId", "owner")

    def __init__(
        self,
        name: str,
        *,
        connection: Input[Mapping[str, Any]],
        site: Input[Mapping[str, Input[str]]],
        uplink: Input[str],
        transit: Input[Mapping[str, Input[str]]],
        listen_port: Input[int],
        management_networks: Input[Sequence[Input[str]]],
        instance: Input[str] | None = None,
        ssh_port: Input[int] | None = None,
        allow: Input[Sequence[Any]] | None = None,
        forward: Input[Sequence[Any]] | None = None,
        keep: Input[bool] | None = None,
        forwarding: Input[Mapping[str, Any]] | None = None,
        leave_alone: Input[Sequence[Input[str]]] | None = None,
        opts: ResourceOptions | None = None,
    ) -> None:
        inputs = {
            "connection": connection,
            "site": site,
            "instance": instance,
            "uplink": uplink,
            "transit": transit,
            "listenPort": listen_port,
            "managementNetworks": management_networks,
            "sshPort": ssh_port,
            "allow": allow,
            "forward": forward,
            "keep": keep,
            "forwarding": forwarding,
            "leaveAlone": leave_alone,
        }
        super().__init__(name, inputs, opts)


class ApplianceImage(_Resource):
    """An appliance image, present on a host."""

    kind = "wgnode:index:ApplianceImage"
    produced = ("directory",)

    def __init__(
        self,
        name: str,
        *,
        connection: Input[Mapping[str, Any]],
        source: Input[str],
        sha256: Input[str],
        needed_by: Input[Mapping[str, Input[str]]] | None = None,
        opts: ResourceOptions | None = None,
    ) -> None:
        inputs = {"connection": connection, "source": source, "sha256": sha256, "neededBy": needed_by}
        super().__init__(name, inputs, opts)

    @property
    def directory(self) -> Output[str]:
        """Where it lies on the host."""
        return self.output("directory")


class Gateway(_Resource):
    """A node in its virtual machine. `config` and `secrets` are canonical JSON; `secrets` is always a secret."""

    kind = "wgnode:index:Gateway"
    produced = (
        "publicKey",
        "addresses",
        "files",
        "directories",
        "units",
        "taps",
        "loaded",
        "applied",
        "live",
        "node",
        "peers",
        "claim",
        "machineId",
        "owner",
    )
    secret_outputs = ("secrets",)

    def __init__(
        self,
        name: str,
        *,
        connection: Input[Mapping[str, Any]],
        site: Input[Mapping[str, Input[str]]],
        image: Input[Mapping[str, Any]],
        machine: Input[Mapping[str, Any]],
        config: Input[str],
        secrets: Input[str],
        instance: Input[str] | None = None,
        lan_interface: Input[str] | None = None,
        bundle: Input[str | None] = None,
        opts: ResourceOptions | None = None,
    ) -> None:
        inputs = {
            "connection": connection,
            "site": site,
            "instance": instance,
            "image": image,
            "machine": machine,
            "config": config,
            "secrets": Output.secret(secrets),
            "lanInterface": lan_interface,
            "bundle": bundle,
        }
        super().__init__(name, inputs, opts)

    @property
    def public_key(self) -> Output[str]:
        return self.output("publicKey")

    @property
    def addresses(self) -> Output[Any]:
        """Its addresses in the tunnel."""
        return self.output("addresses")

    @property
    def live(self) -> Output[str]:
        """The digest of what the running node has, as it says itself."""
        return self.output("live")
