"""HypervisorHost: what a gateway needs of its host, and what the host is.

Packages, a user, directories, forwarding, the links and routes of network.sh and the unit that sets them up at boot.
Deleting it leaves the host as it was found; packages stay.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import Field

from infra.hosts import facts, network, packages, pool, undo, units
from infra.hosts.host import Connection, Host, HostError
from infra.hosts.network import MissingInterface, Network
from infra.provider.codec import has_unknown
from infra.provider.kind import UNKNOWN, Diff, Partial, Properties, PropertyChange
from infra.provider.log import log
from infra.resources.compare import changed_inputs, drift
from infra.resources.inputs import HostInputs, Inputs, connection, validated
from infra.resources.nat_firewall import NetworkText, TransitInputs
from wgnode.firewall.rules import TRANSIT_INTERFACE
from wgnode.topology.transit import Transit

PACKAGES = ("conntrack", "iproute2", "nftables", "procps", "python3", "qemu-system-x86", "wireguard-tools")
USER = network.USER
SCRIPT = "/etc/wgnode/network.sh"
FOUND = "/etc/wgnode/found.json"  # what deletion puts back
SYSCTL_FILE = "/etc/sysctl.d/60-wgnode.conf"
UNIT = "wgnode-network.service"
UNIT_TEXT = f"""[Unit]
Description=Links and routes of the wgnode gateway
Wants=network-online.target
After=network-online.target networking.service systemd-networkd.service NetworkManager.service

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/sh {SCRIPT} up
ExecReload=/bin/sh {SCRIPT} up
ExecStop=/bin/sh {SCRIPT} down

[Install]
WantedBy=multi-user.target
"""
DIRECTORIES = {
    "/etc/wgnode": "0755 root:root",
    "/var/lib/wgnode": "0755 root:root",
    "/var/lib/wgnode/gateway": "0755 root:root",
    "/var/lib/wgnode/hostd": "0755 root:root",
    "/var/lib/wgnode/images": "0755 root:root",
    "/var/lib/wgnode/state": f"0700 {USER}:{USER}",
}


class RouteInputs(Inputs):
    to: NetworkText
    via: str


class NetworksInputs(Inputs):
    uplink: str = Field(min_length=1, max_length=15)
    lan_interface: str = Field(min_length=1, max_length=15)
    transit: TransitInputs = TransitInputs()
    routes: list[RouteInputs] = Field([])


class HypervisorHostInputs(HostInputs):
    packages: list[str] = Field(list(PACKAGES))
    networks: NetworksInputs


@dataclass(frozen=True)
class Wanted:
    network: Network
    packages: tuple[str, ...]
    files: Mapping[str, str]
    outputs: Properties


def desired(inputs: Properties, bridge: str = network.BRIDGE) -> Wanted:
    """Everything that should be on the host, and as `observed` describes it."""
    given = inputs["networks"]
    transit = Transit.of(given["transit"].get("v4"), given["transit"].get("v6"))
    routes = {route["to"]: route["via"] for route in given["routes"]}
    net = Network(given["uplink"], given["lanInterface"], transit.host, routes)
    values = sysctls(net.uplink)
    files = {
        SCRIPT: network.script(net),
        SYSCTL_FILE: "".join(f"{name} = {value}\n" for name, value in values.items()),
        f"{units.DIRECTORY}/{UNIT}": UNIT_TEXT,
    }
    outputs = {
        "packageStates": dict.fromkeys(inputs["packages"], "installed"),
        "users": {USER: "present"},
        "directories": DIRECTORIES,
        "sysctls": values,
        "files": {path: _sha256(text) for path, text in files.items()},
        "units": {UNIT: units.RUNNING},
        **network.described(net, bridge),
    }
    return Wanted(net, tuple(inputs["packages"]), files, outputs)


def sysctls(uplink: str) -> dict[str, str]:
    """A host that forwards stops listening to router advertisements, unless accept_ra is 2 before it starts to."""
    return {
        f"net/ipv6/conf/{uplink}/accept_ra": "2",
        "net/ipv4/ip_forward": "1",
        "net/ipv6/conf/all/forwarding": "1",
        "net/ipv4/conf/all/send_redirects": "0",
    }


def observed(host: Host, wanted: Wanted) -> Properties:
    """What the host has of all that, in the same shape."""
    links = host.run(network.READ_LINKS).stdout
    routes = host.run(network.READ_ROUTES).stdout
    found = host.stat(list(wanted.files))
    return {
        "packageStates": packages.states(host, wanted.packages),
        "users": _users(host),
        "directories": _directories(host),
        "sysctls": _sysctls(host, list(wanted.outputs["sysctls"])),
        "files": {path: file.sha256 for path, file in found.items()},
        "units": units.states(host, [UNIT]),
        **network.observed(links, routes, wanted.network.lan),
    }


def plan(wanted: Wanted, found: Properties) -> list[PropertyChange]:
    return drift(wanted.outputs, {**{name: {} for name in wanted.outputs}, **found})


class HypervisorHost:
    def __init__(
        self,
        connect: Callable[[Connection], Host] = pool.connect,
        reconnect: Callable[[Connection], Any] = pool.new_connection,
    ) -> None:
        self._connect, self._reconnect = connect, reconnect

    def check(self, news: Properties, olds: Properties) -> Properties:
        return validated(HypervisorHostInputs, news)

    def diff(self, state: Properties, old_inputs: Properties, news: Properties) -> Diff:
        changes = changed_inputs(old_inputs, news, replace=("connection.address",))
        if not has_unknown(news):
            changes += plan(desired(news, state.get("bridge", network.BRIDGE)), state)
        return Diff(tuple(changes))

    def create(self, name: str, inputs: Properties, preview: bool) -> tuple[str, Properties]:
        if preview:
            return "", {**inputs, **desired(inputs).outputs, "facts": UNKNOWN, "bridge": UNKNOWN}
        id = inputs["connection"]["address"]
        return id, self._apply(id, inputs)

    def read(self, id: str, state: Properties, inputs: Properties) -> tuple[Properties, Properties] | None:
        host = self._connect(connection(inputs))
        found = observed(host, desired(inputs, state.get("bridge", network.BRIDGE)))
        if not found["files"] and not found["users"]:
            return None
        return self._state(host, inputs, state.get("bridge", network.BRIDGE), found), inputs

    def update(self, id: str, state: Properties, inputs: Properties, preview: bool) -> Properties:
        if not preview:
            return self._apply(id, inputs)
        if has_unknown(inputs):
            return {**dict.fromkeys(state, UNKNOWN), **inputs}
        return {**state, **inputs, **desired(inputs, state.get("bridge", network.BRIDGE)).outputs}

    def delete(self, id: str, state: Properties) -> None:
        host = self._connect(connection(state))
        undo.settle(host, "network")
        units.uninstall(host, UNIT)
        _restore_sysctls(host)
        for path in (SCRIPT, FOUND):
            host.remove(path)
        host.run(["rm", "-rf", "/var/lib/wgnode/state"])
        for path in sorted(DIRECTORIES, reverse=True):
            host.remove(path)
        if _users(host):
            host.run(["userdel", USER])

    def _apply(self, id: str, inputs: Properties) -> Properties:
        to = connection(inputs)
        host = self._connect(to)
        undo.settle(host, "network")
        bridge = require_usable(host, inputs)
        wanted = desired(inputs, bridge)
        try:
            prepare(host, wanted)
            apply_network(host, lambda: self._reconnect(to), wanted)
        except HostError as error:
            host = self._connect(to)
            raise Partial(id, self._state(host, inputs, bridge, observed(host, wanted)), inputs, str(error)) from error
        host = self._connect(to)
        return self._state(host, inputs, bridge, observed(host, wanted))

    def _state(self, host: Host, inputs: Properties, bridge: str, found: Properties) -> Properties:
        return {**inputs, **found, "bridge": bridge, "facts": facts.read(host).outputs()}


def require_usable(host: Host, inputs: Properties) -> str:
    """The bridge that the gateway will join. Raises HostError, before anything is changed, for what cannot work."""
    given = inputs["networks"]
    net = Network(given["uplink"], given["lanInterface"], (), {})
    try:
        bridge = network.lan_bridge(host.run(network.READ_LINKS).stdout, net)
    except MissingInterface as error:
        raise HostError(f"host {host.name}: {error}; correct it in the site's stack file") from None
    blocking = [one for one in facts.read(host).foreign_firewalls if one.hook == "forward" and not one.passes_us]
    if blocking:
        ways = "\n".join(f"  {one}: {one.way_out}" for one in blocking)
        raise HostError(
            f"host {host.name}: another firewall drops what the gateway needs forwarded. Let it through, permanently,"
            f" then run it again:\n{ways}"
        )
    return bridge


def prepare(host: Host, wanted: Wanted) -> None:
    """Packages, user, directories and sysctls: all that cannot cut the way in."""
    packages.install(host, wanted.packages)
    if not _users(host):
        host.run(
            [
                *("useradd", "--system", "--user-group", "--no-create-home", "--home-dir", "/var/lib/wgnode"),
                *("--shell", "/usr/sbin/nologin", "--comment", "wgnode gateway", USER),
            ]
        )
    have = _directories(host)
    for path, mode_and_owner in DIRECTORIES.items():
        if have.get(path) != mode_and_owner:
            mode, owner = mode_and_owner.split()
            group = owner.split(":")[1]
            host.run(["install", "-d", "-m", mode, "-o", group, "-g", group, path])
    values = wanted.outputs["sysctls"]
    if host.read_file(FOUND) is None:
        found = {"sysctls": _sysctls(host, list(values))}
        host.write_file(FOUND, (json.dumps(found, indent=1, sort_keys=True) + "\n").encode())
    host.write_file(SYSCTL_FILE, wanted.files[SYSCTL_FILE].encode())
    if _sysctls(host, list(values)) != values:
        host.run(["sysctl", "--quiet", f"--load={SYSCTL_FILE}"])


def apply_network(host: Host, reconnect: undo.Connect, wanted: Wanted) -> None:
    """Bring up links and routes, prove that we still get in, and only then make them permanent."""
    found = observed(host, wanted)
    script = wanted.files[SCRIPT].encode()
    unit_file = f"{units.DIRECTORY}/{UNIT}"
    different = [change for change in plan(wanted, found) if change.path.split(".")[0].split("[")[0] in _NETWORK]
    if not different:
        return
    log(f"bringing up the networks of {host.name}")
    new = f"{undo.DIRECTORY}/network-new.sh"

    def change(host: Host) -> None:
        host.write_file(new, script, mode=0o700)
        # Detached, because it may cut this very connection for a moment.
        host.run(
            [
                *("systemd-run", "--quiet", "--collect", "--unit=wgnode-network-change", "/bin/sh", "-c"),
                f"sh {new} up >{new}.log 2>&1; echo $? >{new}.code",
            ]
        )

    def persist(host: Host) -> None:
        _finished(host, new)
        host.write_file(SCRIPT, script, mode=0o755)
        units.install(host, UNIT, UNIT_TEXT)
        for path in (new, f"{new}.log", f"{new}.code"):
            host.remove(path)

    before = host.read_file(SCRIPT)
    script_of_undo = _undo(before, new, unit_file)
    undo.confirmed(host, reconnect, "network", undo=script_of_undo, apply=change, persist=persist)


_NETWORK = ("links", "routes", "units", "files")


def _finished(host: Host, new: str) -> None:
    """Wait for the detached change. Raises HostError with what it said when it failed."""
    wait = (
        'for i in $(seq 100); do [ -s "$1.code" ] && break; sleep 0.1; done; cat "$1.log" >&2; exit "$(cat "$1.code")"'
    )
    done = host.run(["sh", "-c", wait, "wait", new], check=False)
    if done.code != 0:
        raise HostError(f"host {host.name}: the networks could not be brought up: {done.stderr.strip()}")


def _undo(before: bytes | None, new: str, unit_file: str) -> str:
    remove = f"rm -f {new} {new}.log {new}.code"
    if before is None:
        return "\n".join(
            [
                f"systemctl disable --now {UNIT}",
                f"sh {new} down",
                f"rm -f {SCRIPT} {unit_file}",
                "systemctl daemon-reload",
                remove,
            ]
        )
    return f"cat >{SCRIPT} <<'WGNODE_END'\n{before.decode()}WGNODE_END\nsh {SCRIPT} up\n{remove}"


def _users(host: Host) -> dict[str, str]:
    return {USER: "present"} if host.run(["getent", "passwd", USER], check=False).code == 0 else {}


def _directories(host: Host) -> dict[str, str]:
    """Mode and owner of those of our directories that exist."""
    listed = host.run(["stat", "-c", "%F|%n|%04a %U:%G", *DIRECTORIES], check=False).stdout
    lines = [line.split("|") for line in listed.splitlines()]
    return {path: mode for kind, path, mode in lines if kind == "directory"}


def _sysctls(host: Host, names: list[str]) -> dict[str, str]:
    """The values of those that exist."""
    read = 'for n; do [ -r "/proc/sys/$n" ] && printf "%s=%s\\n" "$n" "$(cat "/proc/sys/$n")"; done; true'
    return dict(line.split("=", 1) for line in host.run(["sh", "-c", read, "read", *names]).stdout.splitlines())


def _restore_sysctls(host: Host) -> None:
    found = host.read_file(FOUND)
    host.remove(SYSCTL_FILE)
    for name, value in json.loads(found)["sysctls"].items() if found else ():
        host.run(["sysctl", "--quiet", "--write", f"{name}={value}"], check=False)


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


__all__ = ["TRANSIT_INTERFACE", "HypervisorHost", "apply_network", "desired", "observed", "plan", "prepare"]
