"""Site: a hypervisor host, its NAT firewall, the appliance image on it and the gateway."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pulumi
from pulumi import Input, Output, ResourceOptions

from pulumi_wgnode import sdk
from pulumi_wgnode.call.kind import UNKNOWN, CheckError
from pulumi_wgnode.components import component
from pulumi_wgnode.components.arguments import SiteArgs
from pulumi_wgnode.components.bootstrap import bootstrapped
from pulumi_wgnode.components.compiled import compiled_as_texts
from pulumi_wgnode.components.given import BadArguments, filled, known, made_of, mapping, part, require, site_problems
from pulumi_wgnode.components.site_configuration import configured
from pulumi_wgnode.components.ways_out import WaysOut
from pulumi_wgnode.contracts.connection import Connection
from wgnode.image import backends
from wgnode.image.architecture import AMD64
from wgnode.topology import reached
from wgnode.topology.users import expired, without_groups


class Site(pulumi.ComponentResource):
    """`topology` and `bundle` are the mesh's: plain values read from its stack, or a `Mesh`'s outputs.

    `config` may be a mapping by the names of the wire, in which any value but `bootstrap` may be an Output. What is
    plain is judged before any resource is registered. `root` is where a relative image path starts.
    """

    gateway: sdk.Gateway
    facts: Output[Any]
    endpoint: Output[str | None]

    def __init__(
        self,
        name: str,
        config: SiteArgs | Mapping[str, Any],
        *,
        topology: Input[Mapping[str, Any]],
        bundle: Input[str | None],
        root: Path,
        opts: ResourceOptions | None = None,
    ) -> None:
        given = _given(name, config)
        compiled = _compiled(given, topology, bundle, config.ways_out if isinstance(config, SiteArgs) else WaysOut())
        super().__init__(component.SITE.token, name, None, opts)
        self._called, self._given, self._compiled, self._root = name, given, compiled, root
        self._of: dict[str, Any] = {"connection": _connection(given), "site": _whose(given, compiled)}
        host = self._host()
        firewall = self._firewall(host)
        image = self._image(self._after(host))
        self.gateway = self._gateway(bundle, host, image, firewall)
        self.facts, self.endpoint = host.facts, _plain(compiled, "endpoint")
        self._look_at_the_endpoint()
        made_of(self._look_at_users, self._part("name"), self._part("users"))
        self.register_outputs({})

    def outputs(self) -> dict[str, Output[Any]]:
        """By their names on the wire."""
        of_gateway = {"publicKey": self.gateway.public_key, "addresses": self.gateway.addresses}
        return {"facts": self.facts, "endpoint": self.endpoint, **of_gateway}

    def _part(self, *path: str) -> Input[Any]:
        return part(self._given, *path)

    def _look_at_the_endpoint(self) -> None:
        """A warning of a place at which the others will not reach the site for ever."""

        def look(name: str, uplink: str, facts: Mapping[str, Any], endpoint: str | None, listen_port: int) -> None:
            addresses = facts.get("uplinkAddresses", {})
            for said in reached.own_address(name, endpoint, listen_port, uplink, addresses):
                pulumi.log.warn(said, self)

        port = _plain(self._compiled, "listenPort")
        made_of(look, self._part("name"), self._part("uplink"), self.facts, self.endpoint, port)

    def _look_at_users(self, name: str, users: Mapping[str, Any] | None) -> None:
        for said in (*without_groups(name, users), *expired(name, users, time.time())):
            pulumi.log.warn(said, self)

    def _host(self) -> sdk.HypervisorHost:
        return sdk.HypervisorHost(
            f"{self._called}-host",
            **self._of,
            listen_port=_plain(self._compiled, "listenPort"),
            backend=made_of(_other_backend, self._part("gateway", "backend")),
            packages=made_of(_packages, self._part("gateway", "backend")),
            networks={
                "uplink": self._part("uplink"),
                "lanInterface": self._part("lan", "interface"),
                "transit": self._part("gateway", "transit"),
                "routes": _plain(self._compiled, "routes"),
                "whose": _plain(self._compiled, "whose"),
                "peers": _plain(self._compiled, "peers"),
                "gateway": _plain(self._compiled, "lan"),
                "egress": made_of(_of_host, _plain(self._compiled, "egress")),
            },
            opts=self._after(*bootstrapped(self, self._called, self._given)),
        )

    def _firewall(self, host: sdk.HypervisorHost) -> sdk.NatFirewall:
        return sdk.NatFirewall(
            f"{self._called}-firewall",
            **self._of,
            instance=host.instance,
            uplink=self._part("uplink"),
            transit=self._part("gateway", "transit"),
            listen_port=_plain(self._compiled, "listenPort"),
            management_networks=self._part("managementNetworks"),
            ssh_port=self._part("host", "sshPort"),
            forwarding=host.forwarding,
            egress=made_of(_of_firewall, _plain(self._compiled, "egress"), host.traits),
            leave_alone=made_of(_all_of, self._part("lan", "interface"), self._part("firewall", "leaveAlone")),
            **{name: self._part("firewall", name) for name in ("allow", "forward", "keep")},
            opts=self._after(host),
        )

    def _gateway(
        self,
        bundle: Input[str | None],
        host: sdk.HypervisorHost,
        image: sdk.ApplianceImage,
        firewall: sdk.NatFirewall,
    ) -> sdk.Gateway:
        backend = self._part("gateway", "backend")
        accelerator = made_of(_accelerator, backend, self._part("gateway", "accelerator"))
        return sdk.Gateway(
            f"{self._called}-gateway",
            **self._of,
            instance=host.instance,
            lan_interface=self._part("lan", "interface"),
            image={"directory": image.directory, "sha256": image.output("sha256")},
            machine={
                "backend": made_of(_other_backend, backend),
                "memory": self._part("gateway", "memory"),
                "cpus": self._part("gateway", "cpus"),
                "accelerator": accelerator,
                "kvm": _kvm(accelerator, host),
                "udpSegmentation": made_of(_udp_segmentation, backend, host.facts),
                "architecture": made_of(_architecture, host.facts),
            },
            config=_plain(self._compiled, "config"),
            secrets=self._compiled["secrets"],
            bundle=bundle,
            opts=self._after(host, firewall, image),
        )

    def _image(self, opts: ResourceOptions) -> sdk.ApplianceImage:
        image, sha256 = self._part("gateway", "image"), self._part("gateway", "sha256")
        return sdk.ApplianceImage(
            f"{self._called}-image",
            connection=self._of["connection"],
            needed_by=self._of["site"],
            source=made_of(lambda image: _source(image, self._root), image),
            sha256=made_of(lambda image, sha256: sha256 or _sha256(self._root / image), image, sha256),
            opts=opts,
        )

    def _after(self, *others: pulumi.Resource) -> ResourceOptions:
        """Of a part of this site that needs `others` first."""
        return _after(ResourceOptions(parent=self), list(others))


def former_names(config: SiteArgs, topology: Mapping[str, Any]) -> list[str]:
    """What this stack's Site was called where programs called it by its site's name, also before a rename."""
    entry = (topology.get("sites") or {}).get(config.name) or {}
    return [config.name, *([entry["renamedFrom"]] if entry.get("renamedFrom") else [])]


def _given(name: str, config: SiteArgs | Mapping[str, Any]) -> dict[str, Any]:
    """The arguments with their defaults. Raises BadArguments."""
    if isinstance(config, SiteArgs):
        return mapping(config)
    require(SiteArgs, {**config, "mesh": config.get("mesh") or "-"}, f"site {name!r}", site_problems)
    if known(config.get("bootstrap")) is UNKNOWN:
        raise BadArguments(f"site {name!r}: `bootstrap` must be known when the program runs: each is a resource")
    return dict(filled(SiteArgs, config))


def _compiled(
    given: Mapping[str, Any], topology: Input[Mapping[str, Any]], bundle: Input[str | None], ways_out: WaysOut
) -> Output[dict[str, Any]]:
    """A secret as a whole; raises SiteError at once where all of it is plain."""

    def made(stack: str | None, topology: Any, bundle: Any, *parts: Any) -> dict[str, Any]:
        asked = {path.rsplit(".", 1)[-1]: value for path, value in zip(_COMPILED, parts, strict=True)}
        try:  # what came as an Output was not judged before
            whole = {**asked, "topology": topology, "bundle": bundle or ""}
            return configured(whole, stack or "", ways_out, compiled_as_texts)
        except CheckError as error:
            raise BadArguments(f"site {asked['name']!r}: {error}") from None

    parts = (part(given, *path.split(".")) for path in _COMPILED)
    return Output.secret(made_of(made, part(given, "mesh"), topology, bundle, *parts))


_COMPILED = (
    *("name", "recipientKey", "carrier", "pathMtu", "pool", "egressPool", "groups", "users", "deviceSecret"),
    *("lan.gatewayAddresses", "lan.reach", "gateway.transit"),
)


def _plain(compiled: Output[dict[str, Any]], name: str) -> Output[Any]:
    """A part of what was compiled that is no secret."""
    return Output.unsecret(compiled[name])


def _whose(given: Mapping[str, Any], compiled: Output[dict[str, Any]]) -> dict[str, Input[str]]:
    return {"id": _plain(compiled, "id"), "mesh": _plain(compiled, "mesh"), "name": given["name"]}


def _connection(given: Mapping[str, Any]) -> dict[str, Any]:
    """Its secrets, and those of the hosts that lead there, are no program's to remember to mark."""
    way = _sealed({name: part(given, "host", name) for name in Connection.wire_names()})
    if isinstance(jumps := way.get("jumpHosts"), list):
        way["jumpHosts"] = [_sealed(jump) if isinstance(jump, Mapping) else jump for jump in jumps]
    return way


def _sealed(way: Mapping[str, Any]) -> dict[str, Any]:
    there = {name: value for name, value in way.items() if value is not None}
    return {name: Output.secret(value) if name in Connection.secret_names() else value for name, value in there.items()}


def _source(image: str, root: Path) -> str:
    return image if "://" in image else str(root / image)


def _sha256(path: Path) -> str:
    """With a digest given, a runner that has nothing to upload needs no file. Raises BadArguments."""
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        way_out = "`wgnode image build` makes one; or give its `sha256`"
        raise BadArguments(f"the image {path} can't be read ({error.strerror}): {way_out}") from None


def _of_host(egress: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Of what is compiled of devices that leave."""
    return {"public": egress["public"], "routed": egress["routed"]} if egress else None


def _of_firewall(egress: Mapping[str, Any] | None, traits: Mapping[str, Any]) -> dict[str, Any] | None:
    return {"lan": traits["bridge"], "devices": egress["devices"]} if egress else None


def _all_of(interface: str, others: Sequence[str] | None) -> list[str]:
    return [interface, *(others or ())]


def _other_backend(backend: str) -> str | None:
    return None if backend == backends.DEFAULT else backend


def _packages(backend: str) -> list[str] | None:
    """Those of the default are the default."""
    return None if backend == backends.DEFAULT else list(backends.named(backend).packages)


def _accelerator(backend: str, asked: str) -> str | None:
    return asked if backends.named(backend).accelerated else None


def _udp_segmentation(backend: str, facts: Mapping[str, Any]) -> bool | None:
    return facts.get("udpSegmentation", False) if backends.named(backend).accelerated else None


def _architecture(facts: Mapping[str, Any]) -> str | None:
    """As states have it whose hosts did not say: amd64 is the default."""
    of = facts.get("architecture", AMD64.name)
    return None if of == AMD64.name else str(of)


def _kvm(accelerator: Input[str | None], host: sdk.HypervisorHost) -> Input[Any]:
    """What there is to choose by, of who may."""

    def of(accelerator: str | None, facts: Mapping[str, Any]) -> dict[str, Any] | None:
        chosen = accelerator in (None, "tcg")
        return None if chosen else {"usable": facts["kvm"], "reason": facts["kvmReason"]}

    return None if accelerator in (None, "tcg") else made_of(of, accelerator, host.facts)


def _after(opts: ResourceOptions, others: list[pulumi.Resource]) -> ResourceOptions:
    return ResourceOptions.merge(opts, ResourceOptions(depends_on=others))
