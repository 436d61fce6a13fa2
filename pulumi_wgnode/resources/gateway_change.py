"""How a gateway becomes as wanted: live where it can, else by a new guest, and back to the old one if that fails.

The order of a live change is baked layer, running node, read-back: a crash between leaves a difference that the next
update finds. A guest is replaced by one command on the host, which goes on if we are cut off.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from pulumi_wgnode.call.kind import Properties
from pulumi_wgnode.call.log import Severity, cancelled, log
from pulumi_wgnode.contracts.node import config_of
from pulumi_wgnode.hosts import system
from pulumi_wgnode.hosts import units as services
from pulumi_wgnode.hosts.host import Host, HostError
from pulumi_wgnode.hosts.query import answer
from pulumi_wgnode.resources import host_checks
from pulumi_wgnode.resources.gateway_state import ATTACHED, CHANGED, Desired, differences, health, observed
from wgnode.hostd import client
from wgnode.image import layers, units
from wgnode.io import strict
from wgnode.nodeconfig import NodeConfig, fixed_differences

HOSTD_TIMEOUT = 10.0  # seconds from the start of hostd until it has found a guest that runs
HOPELESS_RESTARTS = 3
OTHER_UNIT = "its unit on the host is another than is wanted"
SLICE = 3.0  # seconds of waiting in one command on the host
_LAYERS = ("config", "secrets")

# $1 where to, then what: complete before it takes the name.
_KEEP = """set -e; to=$1; shift; rm -rf "$to.new"; mkdir -m 0700 "$to.new"; cp -a -- "$@" "$to.new/"
rm -rf "$to"; mv -T "$to.new" "$to"; sync -f "$to"
"""
# $1 unit. What the guest said, without the registers and stacks of its kernel, which tell a person nothing.
CONSOLE = r"""journalctl -u "$1" _TRANSPORT=stdout -o cat --no-pager -n 150 |
grep -avE '^\[ *[0-9.]+\] ( |R[A-Z0-9]+:|Code:|CPU:|Call Trace|---)' | tail -n 15"""
_RESTART = """systemctl daemon-reload; systemctl reset-failed "$1" 2>/dev/null; exec systemctl restart "$1\""""
# $1 unit, $2 its new file. The old guest ends first: were we cut off after that, it would be seen as not running.
# One that can't be started is found out when it is waited for.
_SWITCH = """set -e; unit=/etc/systemd/system/$1; [ ! -e "$unit" ] || systemctl stop "$1"; mv -fT -- "$2" "$unit"
systemctl daemon-reload; systemctl reset-failed "$1" 2>/dev/null || true; systemctl start --no-block "$1"
"""
# $1 where the former gateway is kept, $2 its unit, $3 where layers belong.
_RESTORE = """set -e; systemctl stop "$2"; for layer in config.cpio secrets.cpio; do
cp -a -- "$1/$layer" "$3/$layer.new"; mv -fT -- "$3/$layer.new" "$3/$layer"; done
cp -a -- "$1/$2" "$1/unit.new"; mv -fT -- "$1/unit.new" "/etc/systemd/system/$2"
systemctl daemon-reload; systemctl reset-failed "$2" 2>/dev/null || true; systemctl start --no-block "$2"
"""


def apply(host: Host, wanted: Desired) -> None:
    """Do what is missing and no more; a gateway that runs as wanted is left alone. Raises HostError."""
    found = observed(host, wanted)
    if found["directories"] != wanted.directories:
        system.make_directories(host, wanted.directories)
    if _differing(wanted, found) & _of_hostd(wanted):
        install_hostd(host, wanted, found)
        found = observed(host, wanted)  # without its companion the node could not be asked
    differing = _differing(wanted, found)
    _write(host, wanted, *(name for name in ("bundle", *wanted.programs) if f"files.{name}" in differing))
    if why := _why_no_guest(host, wanted, found):
        log(f"gateway on {host.name}: a new guest: {why}", Severity.INFO)
        return replace(host, wanted, found)
    if wanted.paths.previous in found["directories"]:  # kept by a run that was killed before it saw the new guest
        host.run(["rm", "-rf", wanted.paths.previous])
    if differing & _of_machine(wanted):  # its mode or name, or not enabled: nothing that the running guest would notice
        services.remove_overrides(host, wanted.paths.gateway_unit)
        _write(host, wanted, "gatewayUnit")
        host.run(["systemctl", "daemon-reload"])
        host.run(["systemctl", "--quiet", "enable", *wanted.units])
    if _of_node(differing):
        change_node(host, wanted, found)
    return None


def why_new_guest(host: Host, wanted: Desired, found: Properties) -> str | None:
    """Why the running guest will not do, or None; of what is known before the node is asked to change."""
    if why := _why_no_guest(host, wanted, found):
        return why
    return _why_not_live(host, wanted) if _of_node(_differing(wanted, found)) else None


def _why_no_guest(host: Host, wanted: Desired, found: Properties) -> str | None:
    """None runs, or one by another unit."""
    unit = found["units"].get(wanted.paths.gateway_unit, "")
    if not unit.startswith("active"):
        return f"{wanted.paths.gateway_unit} is {unit or 'not there'}"
    if not found["live"]:
        return "its node does not answer"
    if _other_machine(host, wanted, found):
        return OTHER_UNIT
    if loose := [tap for tap, state in found["taps"].items() if state != ATTACHED]:
        return f"nothing is attached to {' and '.join(loose)}"
    if CHANGED in unit:
        return f"{CHANGED}{unit.partition(CHANGED)[2]}"
    if "overridden" in unit and services.runs_overridden(host, wanted.paths.gateway_unit):
        return f"{wanted.paths.gateway_unit} runs with somebody's override"
    return None


def _why_not_live(host: Host, wanted: Desired) -> str | None:
    on_disk = _config_on(host, wanted)
    return fixed_differences(on_disk, wanted.config) if on_disk else None


def _other_machine(host: Host, wanted: Desired, found: Properties) -> bool:
    """Whether the unit starts another machine than the one on the host; another name alone is none."""
    if not _other_content(wanted, found, "gatewayUnit"):
        return False
    unit = wanted.files["gatewayUnit"]
    return not wanted.backend.same_machine(
        (host.read_file(unit.path) or b"").decode(errors="replace"), unit.data.decode()
    )


def _of_node(differing: set[str]) -> bool:
    """Whether anything but files and units differs, or the layers that the node has its configuration from."""
    return any(not path.startswith(("files.", "directories", "taps", "units[")) for path in differing) or bool(
        differing & {"files.config", "files.secrets"}
    )


def change_node(host: Host, wanted: Desired, found: Properties) -> None:
    """Live where the node can take it; known beforehand where it can't, so that there is a gateway to go back to."""
    reason = _why_not_live(host, wanted)
    if not reason:
        _write(host, wanted, *_LAYERS)
        reason = change_live(host, wanted)
    if reason:
        log(f"gateway on {host.name}: a new guest is needed: {reason}", Severity.INFO)
        replace(host, wanted, found)


def _config_on(host: Host, wanted: Desired) -> NodeConfig | None:
    """The configuration in the baked layer, None where there is none that can be read."""
    layer = host.read_file(wanted.paths.config_layer)
    try:
        return config_of(layers.config_json(layer or b"").decode())  # most often what the state has
    except ValueError:
        return None


def install_hostd(host: Host, wanted: Desired, found: Properties) -> None:
    """The companion of this version; the guest never notices."""
    _write(host, wanted, "hostd", "hostdUnit")
    host.run(["systemctl", "--quiet", "enable", wanted.paths.hostd_unit])
    state = found["units"].get(wanted.paths.hostd_unit, "")
    services.remove_overrides(host, wanted.paths.hostd_unit)
    if (
        not state.startswith("active")
        or "overridden" in state
        or _other_content(wanted, found, "hostd")
        or _other_content(wanted, found, "hostdUnit")
    ):
        log(f"starting {wanted.paths.hostd_unit} on {host.name}")
        host.run(["sh", "-c", _RESTART, "restart", wanted.paths.hostd_unit])
    current = wanted.files["hostd"].path
    host.run(["find", wanted.paths.hostd_directory, "-name", "*.pyz", "!", "-path", current, "-delete"])
    if found["units"].get(wanted.paths.gateway_unit, "").startswith("active"):
        _wait(host, wanted, {"status": "running"}, HOSTD_TIMEOUT)


def change_live(host: Host, wanted: Desired) -> str | None:
    """Bring the baked layers to the running node. Why only a new guest can have them, or None. Raises HostError."""
    log(f"changing the running node on {host.name}")
    said = _ask_hostd(
        host,
        wanted,
        "apply",
        f"--patience={SLICE:g}",
        *_pairs(wanted.running),
        timeout=client.APPLY_TIMEOUT + client.TIMEOUT + 15,
    )
    if "restart" in said:
        return str(said["restart"])
    if "status" not in said:  # it is no report, so there was nothing to report on
        raise HostError(
            f"gateway on {host.name}: the running node did not take the new configuration: {said.get('error')}."
            " It goes on with the former one; the next `pulumi up` tries again"
        )
    if not _reports(said, wanted.running):
        raise _unhealthy(host, wanted)
    return None


def replace(host: Host, wanted: Desired, found: Properties) -> None:
    """A new guest, with the layers and the unit that are wanted; the former one again if this one does not run.

    Raises HostError, saying why and what runs now.
    """
    host_checks.require_memory(host, wanted.memory, wanted.paths.gateway_unit)
    host_checks.require_own_address(host, wanted.config.lan.addresses)
    if found["live"]:
        keep(host, wanted, found)
    _write(host, wanted, *_LAYERS)
    unit, content = wanted.paths.gateway_unit, wanted.files["gatewayUnit"]
    new = f"{wanted.paths.gateway}/{unit}"
    host.write_file(new, content.data, mode=content.mode)
    services.remove_overrides(host, unit)
    log(f"starting {unit} on {host.name}")
    host.run(["sh", "-c", _SWITCH, "switch", unit, new], timeout=90)
    host.run(["systemctl", "--quiet", "enable", *wanted.units])
    if _wait(host, wanted, wanted.running, wanted.boot_timeout):
        host.run(["rm", "-rf", wanted.paths.previous])
        return
    if cancelled():
        raise HostError(f"gateway on {host.name}: interrupted while it boots; the next `pulumi up` goes on from here")
    failure = _unhealthy(host, wanted)
    if host.run(["test", "-d", wanted.paths.previous], check=False).code != 0:
        raise failure
    raise HostError(f"{failure}\n{roll_back(host, wanted)}")


def keep(host: Host, wanted: Desired, found: Properties) -> None:
    """What runs now, to come back to, if what lies on the disk is what runs and not the half of a change."""
    on_disk = _config_on(host, wanted)
    if on_disk is not None and on_disk.digest == found["applied"]:
        paths = wanted.paths
        unit = f"/etc/systemd/system/{paths.gateway_unit}"
        host.run(["sh", "-c", _KEEP, "keep", paths.previous, paths.config_layer, paths.secrets_layer, unit])


def roll_back(host: Host, wanted: Desired) -> str:
    """Start the former gateway again; a sentence on what came of it."""
    log(f"the new guest on {host.name} does not run: going back to the former one", Severity.WARNING)
    paths = wanted.paths
    host.run(["sh", "-c", _RESTORE, "restore", paths.previous, paths.gateway_unit, paths.gateway], timeout=90)
    if not _wait(host, wanted, {"status": "running"}, wanted.boot_timeout):
        return "Its former files are back in place, but that gateway does not run either."
    host.run(["rm", "-rf", wanted.paths.previous])
    return "The former gateway runs again, with its former image and configuration."


def _write(host: Host, wanted: Desired, *names: str) -> None:
    for name in names:
        content = wanted.files[name]
        host.write_file(content.path, content.data, mode=content.mode, owner=content.owner, group=content.owner)


def _other_content(wanted: Desired, found: Properties, name: str) -> bool:
    """Another digest; a wrong mode or owner is no other content."""
    return bool(wanted.files[name].describe().split()[0] != found["files"].get(name, "").split(" ")[0])


def _of_hostd(wanted: Desired) -> set[str]:
    return {"files.hostd", "files.hostdUnit", f'units["{wanted.paths.hostd_unit}"]'}


def _of_machine(wanted: Desired) -> set[str]:
    return {"files.gatewayUnit", f'units["{wanted.paths.gateway_unit}"]'}


def _differing(wanted: Desired, found: Properties) -> set[str]:
    return {change.path for change in differences(wanted.properties(), found)}


def _ask_hostd(host: Host, wanted: Desired, *arguments: str, timeout: float) -> dict[str, Any]:
    """The answer of the wanted hostd, {} for none."""
    argv = ["/usr/bin/python3", "-I", wanted.files["hostd"].path, *arguments, *units.instance_option(wanted.paths)]
    said = host.run(argv, check=False, timeout=timeout).stdout
    try:
        report = strict.loads(said.encode("utf-8", "replace"))
    except strict.Malformed:
        report = None
    return report if isinstance(report, dict) else {"error": "hostd does not answer"}


def _wait(host: Host, wanted: Desired, until: dict[str, str], timeout: float) -> bool:
    """Whether the gateway reports all that within `timeout` seconds.

    Gives up early on Ctrl-C, when QEMU ends again and again, and when the guest says why there is no node in it.
    """
    started = time.monotonic()
    while (waited := time.monotonic() - started) < timeout and not cancelled():
        patience = min(SLICE, timeout)
        pairs = _pairs(until)
        report = _ask_hostd(host, wanted, "wait", f"--patience={patience:g}", *pairs, timeout=client.TIMEOUT + 15)
        if _reports(report, until):
            return True
        if report.get("status") == "failed":  # it has booted, and says why it can't run
            return False
        if report.get("status") != "running" and _restarts(host, wanted) >= HOPELESS_RESTARTS:
            return False
        log(f"waiting for the gateway on {host.name} to boot ({waited + patience:.0f} s)")
    return False


def _pairs(until: Mapping[str, str]) -> list[str]:
    return [f"{name}={value}" for name, value in until.items()]


def _reports(report: Mapping[str, Any], until: Mapping[str, str]) -> bool:
    return all(report.get(name) == value for name, value in until.items())


def _unhealthy(host: Host, wanted: Desired) -> HostError:
    """What is wrong, with the end of the console."""
    report = answer(host, health(wanted.paths))
    console = host.run(["sh", "-c", CONSOLE, "console", wanted.paths.gateway_unit], check=False).stdout
    instead = report.get("error") or "it does not answer"
    if report.get("status") == "running":
        instead = f"it reports {report.get('applied')}, live {report['live']}"
    return HostError(
        f"gateway on {host.name}: not running configuration {wanted.applied} ({instead});"
        f" the end of its console (journalctl -u {wanted.paths.gateway_unit}):\n{console}"
    )


def _restarts(host: Host, wanted: Desired) -> int:
    """How often systemd has started the gateway anew by itself since it was last told to."""
    shown = host.run(["systemctl", "show", "--property=NRestarts", "--value", wanted.paths.gateway_unit])
    return int(shown.stdout.strip() or 0)
