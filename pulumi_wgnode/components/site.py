"""Site: a hypervisor host, its NAT firewall, the appliance image on it and the gateway."""

from __future__ import annotations

import hashlib
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pulumi
from pulumi import Input, Output, ResourceOptions

from pulumi_wgnode import sdk
from pulumi_wgnode.components.arguments import GatewayArgs, SiteArgs
from pulumi_wgnode.components.compiled import compile_gateway
from wgnode.topology import reached

# In the order in which golang.org/x/crypto/ssh, which pulumi-command logs in with, asks a host for its keys.
COMMAND_HOST_KEYS = (
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "ssh-rsa",
    "ssh-ed25519",
)


class MissingCommands(pulumi.RunError):
    """Commands of one's own without what runs them; shown by the engine as it is, without a traceback."""


class Site(pulumi.ComponentResource):
    """`topology` and `bundle` are the mesh's: plain values read from its stack, or a `Mesh`'s outputs.

    Plain values are judged before any resource is registered. `root` is where a relative image path starts.
    """

    gateway: sdk.Gateway
    facts: Output[Any]
    endpoint: Output[str | None]

    def __init__(
        self,
        name: str,
        config: SiteArgs,
        *,
        topology: Input[Mapping[str, Any]],
        bundle: Input[str | None],
        root: Path,
        opts: ResourceOptions | None = None,
    ) -> None:
        compiled = _compiled(config, topology, bundle)
        super().__init__("wgnode:index:Site", name, None, opts)
        self._called, self._wanted, self._compiled = name, config, compiled
        self._of: dict[str, Any] = {"connection": _connection(config), "site": _whose(config, compiled)}
        host = self._host()
        firewall = self._firewall(host)
        image = _image(f"{name}-image", config.gateway, root, self._of, self._after(host))
        self.gateway = self._gateway(bundle, host, image, firewall)
        self.facts, self.endpoint = host.facts, _plain(compiled, "endpoint")
        Output.all(self.facts, self.endpoint, _plain(compiled, "listenPort")).apply(lambda of: self._warn(*of))
        self.register_outputs({})

    def _warn(self, facts: Mapping[str, Any], endpoint: str | None, listen_port: int) -> None:
        """Of a place at which the others will not reach the site for ever."""
        addresses = facts.get("uplinkAddresses", {})
        for said in reached.own_address(self._wanted.name, endpoint, listen_port, self._wanted.uplink, addresses):
            pulumi.log.warn(said, self)

    def _host(self) -> sdk.HypervisorHost:
        return sdk.HypervisorHost(
            f"{self._called}-host",
            **self._of,
            listen_port=_plain(self._compiled, "listenPort"),
            networks={
                "uplink": self._wanted.uplink,
                "lanInterface": self._wanted.lan.interface,
                "transit": self._wanted.gateway.transit.to_dict(),
                "routes": _plain(self._compiled, "routes"),
                "whose": _plain(self._compiled, "whose"),
                "peers": _plain(self._compiled, "peers"),
                "gateway": _plain(self._compiled, "lan"),
            },
            opts=self._after(*self._bootstrap()),
        )

    def _firewall(self, host: sdk.HypervisorHost) -> sdk.NatFirewall:
        firewall = self._wanted.firewall.to_dict()
        return sdk.NatFirewall(
            f"{self._called}-firewall",
            **self._of,
            instance=host.instance,
            uplink=self._wanted.uplink,
            transit=self._wanted.gateway.transit.to_dict(),
            listen_port=_plain(self._compiled, "listenPort"),
            management_networks=self._wanted.management_networks,
            ssh_port=self._wanted.host.ssh_port,
            forwarding=host.forwarding,
            leave_alone=[self._wanted.lan.interface, *firewall.pop("leaveAlone", [])],
            **firewall,
            opts=self._after(host),
        )

    def _gateway(
        self,
        bundle: Input[str | None],
        host: sdk.HypervisorHost,
        image: sdk.ApplianceImage,
        firewall: sdk.NatFirewall,
    ) -> sdk.Gateway:
        machine = self._wanted.gateway
        return sdk.Gateway(
            f"{self._called}-gateway",
            **self._of,
            instance=host.instance,
            lan_interface=self._wanted.lan.interface,
            image={"directory": image.directory, "sha256": image.output("sha256")},
            machine={"memory": machine.memory, "cpus": machine.cpus, **_accelerator(machine, host), **_cards(host)},
            config=_plain(self._compiled, "config"),
            secrets=self._compiled["secrets"],
            bundle=bundle,
            opts=self._after(host, firewall, image),
        )

    def _after(self, *others: pulumi.Resource) -> ResourceOptions:
        """Of a part of this site that needs `others` first."""
        return _after(ResourceOptions(parent=self), list(others))

    def _bootstrap(self) -> list[pulumi.Resource]:
        """The user's own commands, one after the other, before anything of ours; the last one, if there is any."""
        name, config = self._called, self._wanted
        if not config.bootstrap:
            return []
        remote = _remote()
        last: list[pulumi.Resource] = []
        for number, (told, command) in enumerate(named(config.bootstrap), 1):
            opts = ResourceOptions(
                parent=self,
                aliases=[pulumi.Alias(name=f"{name}-bootstrap-{number}")],  # as they were called once
                replace_on_changes=["connection.hostKey"],  # another host, or the same one installed anew
            )
            made = remote.Command(
                f"{name}-bootstrap-{told}",
                connection=_command_connection(config),
                create=command,
                update="true",  # else another SSH key or address would run the command again
                opts=_after(opts, last),
            )
            last = [made]
        return last


def _remote() -> Any:
    """pulumi-command's part for SSH: only who has commands of their own needs it. Raises MissingCommands."""
    try:
        from pulumi_command import remote
    except ImportError:
        raise MissingCommands(
            "this site has `bootstrap` commands, which run by the provider pulumi-command, and that is not installed:"
            f" `{sys.executable} -m pip install 'wgnode[bootstrap]'`, or take the commands away"
        ) from None
    return remote


def named(commands: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Each command with a name by its content, so that one that is inserted renames, hence runs, no other."""
    seen: Counter[str] = Counter()
    for command in commands:
        digest = hashlib.sha256(command.encode()).hexdigest()[:12]
        seen[digest] += 1
        yield digest if seen[digest] == 1 else f"{digest}-{seen[digest]}", command


def former_names(config: SiteArgs, topology: Mapping[str, Any]) -> list[str]:
    """What this stack's Site was called where programs called it by its site's name, also before a rename."""
    entry = (topology.get("sites") or {}).get(config.name) or {}
    return [config.name, *([entry["renamedFrom"]] if entry.get("renamedFrom") else [])]


def _compiled(
    config: SiteArgs, topology: Input[Mapping[str, Any]], bundle: Input[str | None]
) -> Output[dict[str, Any]]:
    """A secret as a whole; raises SiteError at once where both are plain values."""
    if isinstance(topology, Mapping) and (bundle is None or isinstance(bundle, str)):
        return Output.secret(compile_gateway(config, topology, bundle))
    both = Output.all(topology, bundle)
    return Output.secret(both.apply(lambda values: compile_gateway(config, values[0], values[1])))


def _plain(compiled: Output[dict[str, Any]], name: str) -> Output[Any]:
    """A part of what was compiled that is no secret."""
    return Output.unsecret(compiled[name])


def _whose(config: SiteArgs, compiled: Output[dict[str, Any]]) -> dict[str, Input[str]]:
    return {"id": _plain(compiled, "id"), "mesh": _plain(compiled, "mesh"), "name": config.name}


def _connection(config: SiteArgs) -> dict[str, Any]:
    host = config.host
    raw: dict[str, Any] = {
        "address": host.address,
        "port": host.port,
        "user": host.user,
        "agent": host.agent,
        "hostKeys": host.host_keys,
    }
    if host.private_key:
        raw["privateKey"] = Output.secret(host.private_key)
    return raw


def _command_connection(config: SiteArgs) -> Any:
    """pulumi-command takes one host key: of those pinned, the one whose kind its SSH library asks for first.

    Where the runner's agent listens it finds out itself (SSH_AUTH_SOCK); in the state that would be another path for
    each person and login.
    """
    remote = _remote()
    host = config.host
    key = Output.secret(host.private_key) if host.private_key else None
    return remote.ConnectionArgs(
        host=host.address,
        port=float(host.port),
        user=host.user,
        private_key=key,
        host_key=min(host.host_keys, key=lambda pin: COMMAND_HOST_KEYS.index(pin.split()[0])),
    )


def _image(
    name: str, gateway: GatewayArgs, root: Path, of: Mapping[str, Any], opts: ResourceOptions
) -> sdk.ApplianceImage:
    where = {"connection": of["connection"], "needed_by": of["site"]}
    if "://" in gateway.image:
        return sdk.ApplianceImage(name, **where, source=gateway.image, sha256=str(gateway.sha256), opts=opts)
    path = root / gateway.image
    sha256 = gateway.sha256 or _sha256(path)  # with a digest, a runner that has nothing to upload needs no file
    return sdk.ApplianceImage(name, **where, source=str(path), sha256=sha256, opts=opts)


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _accelerator(gateway: GatewayArgs, host: sdk.HypervisorHost) -> dict[str, Any]:
    """What is asked for, and what there is to choose by."""
    kvm = host.facts.apply(lambda facts: {"usable": facts["kvm"], "reason": facts["kvmReason"]})
    return {"accelerator": gateway.accelerator, **({} if gateway.accelerator == "tcg" else {"kvm": kvm})}


def _cards(host: sdk.HypervisorHost) -> dict[str, Any]:
    """What the host lets the machine's cards do."""
    return {"udpSegmentation": host.facts.apply(lambda facts: facts.get("udpSegmentation", False))}


def _after(opts: ResourceOptions, others: list[pulumi.Resource]) -> ResourceOptions:
    return ResourceOptions.merge(opts, ResourceOptions(depends_on=others))
