"""What a gateway should be and what it is found to be, in one shape: files, units, and what the node says of itself."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from pulumi_wgnode.call.kind import Properties, PropertyChange
from pulumi_wgnode.call.log import Severity, log
from pulumi_wgnode.contracts.node import config_of, secrets_of
from pulumi_wgnode.hosts import files, system
from pulumi_wgnode.hosts import units as services
from pulumi_wgnode.hosts.host import Host, Result
from pulumi_wgnode.hosts.query import Query, ask
from pulumi_wgnode.resources.compare import drift
from wgnode import networktext
from wgnode.hostd import bundle
from wgnode.hostd.said import answered
from wgnode.image import backends, layers, units
from wgnode.image.architecture import AMD64
from wgnode.image.backends import Backend
from wgnode.image.paths import USER, Paths
from wgnode.nodeconfig import NodeConfig, NodeSecrets, PeerConfig, decode_key, encode_key, expected_live_digest

COMPARED = ("files", "directories", "units", "taps", "applied", "live", "node", "peers")
"""Of `Desired.properties`, which checked inputs have too: those that differ are drift."""
ATTACHED = "attached to the guest"
CHANGED = "its machine was changed while it runs: "
SILENT: Properties = {"loaded": "", "applied": "", "live": "", "node": {}, "peers": {}}  # no node answers


# Wanted at each step of one change.
_config_layer, _secrets_layer = (lru_cache(maxsize=4)(made) for made in (layers.config_layer, layers.secrets_layer))


@dataclass(frozen=True)
class Content:
    """A file as it should be on the host."""

    path: str
    data: bytes
    mode: int = 0o644
    owner: str = "root"

    def describe(self) -> str:
        return files.described(hashlib.sha256(self.data).hexdigest(), self.mode, self.owner)


@dataclass(frozen=True)
class Desired:
    """`memory` is the guest's in MiB, `boot_timeout` in seconds."""

    config: NodeConfig
    files: Mapping[str, Content]
    applied: str
    live: str
    node: Properties
    peers: Properties
    memory: int
    boot_timeout: float
    paths: Paths
    backend: Backend

    @property
    def running(self) -> dict[str, str]:
        """What the gateway reports once it runs all of it."""
        return {"applied": self.applied, "live": self.live}

    @property
    def directories(self) -> dict[str, str]:
        return dict.fromkeys((self.paths.gateway, self.paths.hostd_directory), "0755 root:root")

    @property
    def programs(self) -> tuple[str, ...]:
        """Names of the files that its unit runs, beside those that every gateway has."""
        return tuple(self.backend.programs(self.paths))

    @property
    def units(self) -> tuple[str, str]:
        return self.paths.gateway_unit, self.paths.hostd_unit

    @property
    def taps(self) -> tuple[str, str]:
        return self.paths.transit_tap, self.paths.lan_tap

    def properties(self) -> Properties:
        """The same shape as `observed` gives."""
        return {
            "files": {name: content.describe() for name, content in self.files.items()},
            "directories": self.directories,
            "units": dict.fromkeys(self.units, services.RUNNING),
            "taps": dict.fromkeys(self.taps, ATTACHED),
            "applied": self.applied,
            "live": self.live,
            "node": dict(self.node),
            "peers": dict(self.peers),
        }


def desired(inputs: Properties) -> Desired:
    """Everything that should be on the host, from the inputs alone."""
    config, secrets = config_of(inputs["config"]), secrets_of(inputs["secrets"])
    paths, name = Paths(inputs.get("instance", "")), config.name
    hostd = bundle.build()
    hostd_path = paths.hostd_bundle(hashlib.sha256(hostd).hexdigest())
    machine = inputs["machine"]
    backend = backends.of(machine)
    unit = units.GatewayUnit(
        name=name,
        image=inputs["image"]["directory"],
        lan_mac=config.lan.mac,
        memory=machine["memory"],
        cpus=machine["cpus"],
        accelerator=machine.get("accelerator", "tcg"),
        udp_segmentation=machine.get("udpSegmentation", False),
        architecture=machine.get("architecture", AMD64.name),
        paths=paths,
    )
    files = {
        "config": Content(paths.config_layer, _config_layer(config)),
        "secrets": Content(paths.secrets_layer, _secrets_layer(secrets), 0o600, USER),
        "hostd": Content(hostd_path, hostd),
        "gatewayUnit": Content(f"{services.DIRECTORY}/{paths.gateway_unit}", backend.service(unit).encode()),
        "hostdUnit": Content(
            f"{services.DIRECTORY}/{paths.hostd_unit}", units.hostd_service(name, hostd_path, paths).encode()
        ),
    }
    files |= {called: Content(*program) for called, program in backend.programs(paths).items()}
    if "bundle" in inputs:
        files["bundle"] = Content(paths.sealed_bundle, inputs["bundle"].encode())
    return Desired(
        config,
        files,
        config.digest,
        _live(config, secrets),
        node_described(config.public_keys, config.listen_port, 0),
        _peers_wanted(config, secrets),
        machine["memory"],
        backend.boot_timeout(unit),
        paths,
        backend,
    )


_live = lru_cache(maxsize=4)(expected_live_digest)


@lru_cache(maxsize=4)
def _peers_wanted(config: NodeConfig, secrets: NodeSecrets) -> Properties:
    return {peer.name: _peer_wanted(peer, secrets) for peer in config.everybody}


def observed(host: Host, wanted: Desired) -> Properties:
    """What the host has and what the node says, in one round trip."""
    paths_wanted = {content.path: name for name, content in wanted.files.items()}
    look = backends.look(wanted.backend, wanted.paths)
    seen = ask(
        host,
        {
            **({"machine": Query(look, lambda said: said)} if look else {}),
            "files": files.metadata(list(paths_wanted)),
            "directories": system.directories(
                (*wanted.directories, wanted.paths.previous)
            ),  # the last only while it is changed
            "units": services.query(wanted.units),
            "taps": Query(["sh", "-c", READ_TAPS, "taps", *wanted.taps], lambda said: _taps(said, wanted.taps)),
            "health": health(wanted.paths),
        },
    )
    return {
        "files": {paths_wanted[path]: files.describe(file) for path, file in seen["files"].items()},
        "directories": seen["directories"],
        "units": {**seen["units"], **_changed(host, seen, wanted.paths.gateway_unit)},
        "taps": seen["taps"],
        **reported(seen["health"]),
    }


def _changed(host: Host, seen: Mapping[str, Any], unit: str) -> dict[str, str]:
    """The state of a unit that runs, with what somebody has changed of its machine past it."""
    said, state = seen.get("machine"), seen["units"].get(unit, "")
    if said is None or not state.startswith("active"):
        return {}
    if said.code:
        log(f"gateway on {host.name}: {said.stderr.strip().removeprefix('<3>')}; it goes on", Severity.WARNING)
    lines = said.stdout.split("\n") if said.code == 0 else []
    return {unit: f"{state}; {CHANGED}{', '.join(told)}"} if (told := list(filter(None, lines))) else {}


def _taps(said: Result, taps: Sequence[str]) -> dict[str, str]:
    attached = said.stdout.split()
    return {tap: ATTACHED if tap in attached else "nothing is attached to it" for tap in taps}


def _health(said: Result) -> dict[str, Any]:
    return answered(said.stdout)


READ_TAPS = 'for tap; do [ "$(cat "/sys/class/net/$tap/carrier" 2>/dev/null)" != 1 ] || echo "$tap"; done'
"""A tap has a carrier while a program holds it: one that was made anew under a running guest has none."""
NEWEST_HOSTD = (
    'directory=$1; shift; exec /usr/bin/python3 -I "$(ls -t "$directory"/*.pyz | head -n 1)" health --json "$@"'
)


def health(paths: Paths) -> Query[dict[str, Any]]:
    """The node's own report through whichever hostd is there; without digests while no node runs."""
    return Query(["sh", "-c", NEWEST_HOSTD, "health", paths.hostd_directory, *units.instance_option(paths)], _health)


def reported(health: Mapping[str, Any]) -> Properties:
    """A node's report in the shape of `Desired.properties`: nothing that changes by itself is in it.

    `health` is one that is believed: an older hostd passes on whatever its guest says.
    """
    if not health.get("live"):
        return {**SILENT, "loaded": health.get("loaded") or ""}
    keys = [decode_key(key) for key in health.get("public_keys", [])]
    return {
        "loaded": health.get("loaded") or "",
        "applied": health.get("applied") or "",
        "live": health["live"],
        "node": node_described(keys, health.get("listen_port", 0), health.get("fwmark", 0)),
        "peers": {peer.get("name") or peer["public_key"]: _peer_found(peer) for peer in health.get("peers", [])},
    }


def differences(wanted: Properties, found: Properties) -> list[PropertyChange]:
    """All that is not as wanted, by path. Of a node that does not run, that it doesn't is enough."""
    if not found.get("live"):
        wanted = {name: value for name, value in wanted.items() if name not in ("taps", "node", "peers")}
    return drift(wanted, found)


def node_described(public_keys: Sequence[bytes], listen_port: int, fwmark: int) -> Properties:
    keys = ", next ".join(map(encode_key, public_keys))
    return {"publicKey": keys, "listenPort": str(listen_port), "fwmark": str(fwmark)}


def _peer_wanted(peer: PeerConfig, secrets: NodeSecrets) -> Properties:
    preshared = [hashlib.sha256(key).hexdigest() for key in secrets.preshared_keys.get(peer.public_keys[0], ())]
    return _peer_described(
        [encode_key(key) for key in peer.public_keys], preshared, peer.allowed_ips, peer.persistent_keepalive
    )


def _peer_found(peer: Mapping[str, Any]) -> Properties:
    return _peer_described(
        peer.get("public_keys", []),
        peer.get("preshared_keys", []),
        peer.get("allowed_ips", []),
        peer.get("persistent_keepalive", 0),
    )


def _peer_described(
    keys: Sequence[str], preshared: Sequence[str], allowed_ips: Sequence[str], keepalive: int
) -> Properties:
    """For people to see what differs; pre-shared keys by the beginning of their hash."""
    return {
        "publicKey": ", next ".join(keys),
        "presharedKey": ", next ".join(f"sha256:{digest[:16]}" for digest in preshared) or "none",
        "allowedIPs": sorted(map(networktext.canonical, allowed_ips)),
        "keepalive": keepalive,
    }
