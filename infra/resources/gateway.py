"""Gateway: the node in its virtual machine, its companion on the host, and what the running node says of itself.

What `read` brings back is what `diff` compares: the files on the host, the state of both units and the two digests
that the node reports, `loaded` (the configuration it booted) and `live` (computed from the device at each request).
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field

from infra.hosts import pool, system
from infra.hosts import units as services
from infra.hosts.host import Connection, File, Host, HostError
from infra.provider.codec import has_unknown
from infra.provider.kind import Diff, Partial, Properties
from infra.provider.log import cancelled, log
from infra.resources.compare import changed_inputs, drift
from infra.resources.inputs import HostInputs, Inputs, Sha256, connection, validated
from wgnode.hostd import bundle, client
from wgnode.image import layers, paths, units
from wgnode.nodeconfig import ConfigError, NodeConfig, NodeSecrets, encode_key, expected_live_digest

BOOT_TIMEOUT = 120.0  # seconds from the start of QEMU until the node reports its digests, under TCG on a loaded host
HOSTD_TIMEOUT = 10.0  # seconds from the start of hostd until it answers for a gateway that runs
HOPELESS_RESTARTS = 3
POLL_INTERVAL = 0.3  # seconds
GATEWAY_DIRECTORY = os.path.dirname(paths.CONFIG_LAYER)
UNITS = (paths.GATEWAY_UNIT, paths.HOSTD_UNIT)
_UNIT_FILES = {"files.gatewayUnit": paths.GATEWAY_UNIT, "files.hostdUnit": paths.HOSTD_UNIT}
_OF_HOSTD = {"files.hostd", "files.hostdUnit", f'units["{paths.HOSTD_UNIT}"]'}
_OF_GATEWAY = {"files.gatewayUnit", "loaded", "live"}  # one that does not run has none of the latter


def _config_text(text: str) -> str:
    NodeConfig.from_json(text.encode())  # raises ConfigError, which is a ValueError, with the reason
    return text


def _secrets_text(text: str) -> str:
    NodeSecrets.from_json(text.encode())  # its ConfigError does not quote the text
    return text


class MachineInputs(Inputs):
    memory: int = Field(128, ge=96, description="MiB")
    cpus: int = Field(1, ge=1)
    accelerator: Literal["kvm", "tcg"] = "tcg"


class ImageInputs(Inputs):
    directory: str
    sha256: Sha256


class GatewayInputs(HostInputs):
    name: str
    image: ImageInputs
    machine: MachineInputs
    config: Annotated[str, AfterValidator(_config_text)] = Field(description="the node's configuration, canonical JSON")
    secrets: Annotated[str, AfterValidator(_secrets_text)] = Field(
        description="its private and pre-shared keys, canonical JSON; a secret"
    )


@dataclass(frozen=True)
class Content:
    """A file as it should be on the host."""

    path: str
    data: bytes
    mode: int = 0o644
    owner: str = "root"

    def describe(self) -> str:
        return _describe(hashlib.sha256(self.data).hexdigest(), self.mode, self.owner)


@dataclass(frozen=True)
class Desired:
    files: Mapping[str, Content]
    loaded: str
    live: str

    def properties(self) -> Properties:
        """The same shape as `observed` gives."""
        return {
            "files": {name: content.describe() for name, content in self.files.items()},
            "units": dict.fromkeys(UNITS, services.RUNNING),
            "loaded": self.loaded,
            "live": self.live,
        }


def desired(inputs: Properties) -> Desired:
    """Everything that should be on the host, from the inputs alone."""
    config = NodeConfig.from_json(inputs["config"].encode())
    secrets = NodeSecrets.from_json(inputs["secrets"].encode())
    hostd = bundle.build()
    hostd_path = paths.hostd_bundle(hashlib.sha256(hostd).hexdigest())
    machine = inputs["machine"]
    unit = units.GatewayUnit(
        name=inputs["name"],
        image=inputs["image"]["directory"],
        lan_mac=config.lan.mac,
        memory=machine["memory"],
        cpus=machine["cpus"],
        accelerator=machine["accelerator"],
    )
    files = {
        "config": Content(paths.CONFIG_LAYER, layers.config_layer(config)),
        "secrets": Content(paths.SECRETS_LAYER, layers.secrets_layer(secrets), 0o600, paths.USER),
        "hostd": Content(hostd_path, hostd),
        "gatewayUnit": Content(f"{services.DIRECTORY}/{paths.GATEWAY_UNIT}", units.gateway_service(unit).encode()),
        "hostdUnit": Content(
            f"{services.DIRECTORY}/{paths.HOSTD_UNIT}", units.hostd_service(inputs["name"], hostd_path).encode()
        ),
    }
    return Desired(files, config.digest, expected_live_digest(config, secrets))


def observed(host: Host, wanted: Desired) -> Properties:
    """What the host has and what the node says, in three round trips."""
    found = host.stat([content.path for content in wanted.files.values()])
    health = read_health(host)
    return {
        "files": {
            name: _describe_file(found[content.path]) for name, content in wanted.files.items() if content.path in found
        },
        "units": services.states(host, UNITS),
        "loaded": health.get("loaded") or "",
        "live": health.get("live") or "",
    }


def read_health(host: Host) -> dict[str, Any]:
    """The node's own report through whichever hostd is there; without digests while no node runs."""
    newest = f'exec /usr/bin/python3 -I "$(ls -t {paths.HOSTD_DIRECTORY}/*.pyz | head -n 1)" health --json'
    answer = host.run(["sh", "-c", newest], check=False, timeout=client.TIMEOUT + 15)
    report: dict[str, Any] = json.loads(answer.stdout) if answer.stdout.startswith("{") else {}
    return report


class Gateway:
    def __init__(self, connect: Callable[[Connection], Host] = pool.connect) -> None:
        self._connect = connect

    def check(self, news: Properties, olds: Properties) -> Properties:
        """Also with what is wanted of the host, so that a preview shows drift against it."""
        checked = validated(GatewayInputs, news)
        return checked if has_unknown(checked) else {**checked, **_planned(checked)}

    def diff(self, state: Properties, old_inputs: Properties, news: Properties) -> Diff:
        changes = changed_inputs(old_inputs, news, GatewayInputs.wire_names(), replace=("connection.address", "name"))
        if not has_unknown(news):
            changes += drift(desired(news).properties(), state)
        return Diff(tuple(changes))

    def create(self, name: str, inputs: Properties, preview: bool) -> tuple[str, Properties]:
        if preview:
            return "", inputs
        return inputs["name"], self._apply(inputs["name"], inputs)

    def read(self, id: str, state: Properties, inputs: Properties) -> tuple[Properties, Properties] | None:
        try:
            found = observed(self._connect(connection(inputs)), desired(inputs))
        except ConfigError:  # of another version of wgnode: this one can't judge what is there, so all of it is drift
            return {**inputs, "files": {}, "units": {}, "loaded": "", "live": ""}, inputs
        if not found["files"] and not found["units"]:
            return None
        return {**inputs, **found}, {**inputs, **_planned(inputs)}

    def update(self, id: str, state: Properties, inputs: Properties, preview: bool) -> Properties:
        return inputs if preview else self._apply(id, inputs)

    def delete(self, id: str, state: Properties) -> None:
        host = self._connect(connection(state))
        for unit in UNITS:
            services.uninstall(host, unit)
        host.run(["rm", "-rf", GATEWAY_DIRECTORY, paths.HOSTD_DIRECTORY, paths.RUN])  # the last has the secrets too

    def _apply(self, id: str, inputs: Properties) -> Properties:
        host = self._connect(connection(inputs))
        wanted = desired(inputs)
        try:
            apply(host, wanted)
            wait_until_healthy(host, wanted)
            return {**inputs, **observed(host, wanted)}
        except HostError as error:
            raise Partial(id, {**inputs, **_observed_if_possible(host, wanted)}, inputs, str(error)) from error


def apply(host: Host, wanted: Desired) -> None:
    """Write what differs, then restart what it concerns; a gateway that runs as wanted is left alone."""
    differing = {change.path for change in drift(wanted.properties(), observed(host, wanted))}
    system.make_directories(host, dict.fromkeys((GATEWAY_DIRECTORY, paths.HOSTD_DIRECTORY), "0755 root:root"))
    for file in differing & _UNIT_FILES.keys():
        # First, because one that runs on by its former file would not show if we were cut off before its restart.
        host.run(["systemctl", "stop", _UNIT_FILES[file]], check=False)
    for content in wanted.files.values():
        host.write_file(content.path, content.data, mode=content.mode, owner=content.owner, group=content.owner)
    if differing & _UNIT_FILES.keys():
        host.run(["systemctl", "daemon-reload"])
    if differing & {f'units["{unit}"]' for unit in UNITS}:
        host.run(["systemctl", "--quiet", "enable", *UNITS])
    if differing & _OF_HOSTD:
        _restart(host, paths.HOSTD_UNIT)
        current = wanted.files["hostd"].path
        host.run(["find", paths.HOSTD_DIRECTORY, "-name", "*.pyz", "!", "-path", current, "-delete"])
        unasked = not differing - _OF_HOSTD - {"loaded", "live"}
        if unasked and (_healthy(host, wanted, HOSTD_TIMEOUT) or cancelled()):
            return  # without its companion the node could not be asked; it ran as wanted all the time
    if differing & _OF_GATEWAY:
        _restart(host, paths.GATEWAY_UNIT)


def wait_until_healthy(host: Host, wanted: Desired) -> None:
    """Until the node reports the wanted digests. Raises HostError with the end of its console when it doesn't."""
    if _healthy(host, wanted, BOOT_TIMEOUT):
        return
    if cancelled():
        raise HostError(f"gateway on {host.name}: interrupted while it boots; the next `pulumi up` goes on from here")
    report = read_health(host)
    console = host.run(
        ["journalctl", "-u", paths.GATEWAY_UNIT, "-n", "15", "-o", "cat", "--no-pager"], check=False
    ).stdout
    instead = report.get("error") or "it does not answer"
    if report.get("status") == "running":
        instead = f"it reports {report['loaded']}, live {report['live']}"
    raise HostError(
        f"gateway on {host.name}: not running configuration {wanted.loaded} ({instead});"
        f" the end of its console (journalctl -u {paths.GATEWAY_UNIT}):\n{console}"
    )


def _healthy(host: Host, wanted: Desired, timeout: float) -> bool:
    """Whether the node reports the wanted digests within `timeout` seconds.

    Gives up early on Ctrl-C, when QEMU ends again and again, and when the guest says why there is no node in it.
    """
    started = said = time.monotonic()
    while (now := time.monotonic()) - started < timeout and not cancelled():
        report = read_health(host)
        if (report.get("loaded"), report.get("live")) == (wanted.loaded, wanted.live):
            return True
        if report.get("status") == "failed":  # it has booted, and says why it can't run
            return False
        if report.get("status") != "running" and _restarts(host) >= HOPELESS_RESTARTS:
            return False
        if now - said > 5:
            log(f"waiting for the gateway on {host.name} to boot ({now - started:.0f} s)")
            said = now
        time.sleep(POLL_INTERVAL)
    return False


def _restarts(host: Host) -> int:
    """How often systemd has started the gateway anew by itself since it was last told to."""
    shown = host.run(["systemctl", "show", "--property=NRestarts", "--value", paths.GATEWAY_UNIT])
    return int(shown.stdout.strip() or 0)


def _restart(host: Host, unit: str) -> None:
    log(f"starting {unit} on {host.name}")
    host.run(["systemctl", "reset-failed", unit], check=False)  # also sets its count of restarts to 0
    host.run(["systemctl", "restart", unit])


def _planned(inputs: Properties) -> Properties:
    """What the host and the node will say once they are as the inputs want them."""
    config = NodeConfig.from_json(inputs["config"].encode())
    return {
        **desired(inputs).properties(),
        "publicKey": encode_key(config.public_keys[0]),
        "addresses": list(config.addresses),
    }


def _observed_if_possible(host: Host, wanted: Desired) -> Properties:
    """What a failure left; nothing, hence all of it drift, where the host cannot be asked any more."""
    try:
        return observed(host, wanted)
    except HostError:
        return {"files": {}, "units": {}, "loaded": "", "live": ""}


def _describe_file(file: File) -> str:
    return _describe(file.sha256, file.mode, file.owner)


def _describe(sha256: str, mode: int, owner: str) -> str:
    return f"sha256:{sha256} {mode:04o} {owner}"
