"""Applying network.sh so that a mistake cannot cut the way in for longer than the undo takes."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping
from typing import Literal

from pulumi_wgnode.hosts import undo, units
from pulumi_wgnode.hosts.host import Host, HostError
from wgnode.firewall.rules import CLOSED_TABLE
from wgnode.image.paths import Paths


def unit_text(paths: Paths) -> str:
    script = paths.network_script
    return f"""[Unit]
Description=Links and routes of the wgnode gateway
Wants=network-online.target
After=network-online.target networking.service systemd-networkd.service NetworkManager.service

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/sh {script} up
ExecReload=/bin/sh {script} up
ExecStop=/bin/sh {script} down
# At boot one route that the host has itself by then keeps no other from its site.
SuccessExitStatus={UNSET_ROUTES}

[Install]
WantedBy=multi-user.target
"""


def change_of(paths: Paths) -> str:
    """What the undo of a gateway's networks is called."""
    return f"network-{paths.instance}" if paths.instance else "network"


UNSET_ROUTES = 4  # the exit code of network.sh where all is up but routes that it has named
Verb = Literal["up", "routes"]
_KNOWS_MANAGERS = "\nlet_go() {"
_BEGIN = """set -e; umask 077; new=$1 size=$2; shift 2; rm -f -- "$new.code"; cat >"$new"
[ "$(stat -c %s -- "$new")" = "$size" ] || { echo "its data ended early" >&2; exit 1; }
exec "$@\""""
_WAIT = """for i in $(seq 100); do [ -s "$1.code" ] && break; sleep 0.1; done
cat "$1.log" >&2; exit "$(cat "$1.code")\""""


def apply(
    host: Host,
    reconnect: undo.Connect,
    script: str,
    paths: Paths,
    *,
    before: str | None,
    verb: Verb = "up",
    enable: Callable[[Host], None] = lambda host: None,
    settings: Mapping[str, str] | None = None,
) -> None:
    """Bring up links and routes, or routes alone, prove that we still get in, and only then make them permanent.

    `before` is the script that is there; `enable` sees to the unit once the new one is. `settings` are the kernel's, by
    name with slashes, that a first one has changed already, as they were: they go with it.
    """
    name, new = change_of(paths), _new(paths)

    def change(host: Host) -> None:
        # Detached, because it may cut this very connection for a moment.
        detached = ["systemd-run", "--quiet", "--collect", f"--unit={_unit(paths)}", "/bin/sh", "-c"]
        detached.append(f"sh {new} {verb} >{new}.log 2>&1; echo $? >{new}.code")
        data = script.encode()
        host.run(["sh", "-c", _BEGIN, "begin", new, str(len(data)), *detached], input=data)

    def complete(host: Host) -> None:
        _finished(host, new)

    def persist(host: Host) -> None:
        host.write_file(paths.network_script, script.encode(), mode=0o755)
        enable(host)
        host.run(["rm", "-f", *_left(paths)])

    back = _undo(before, paths, settings or {})
    undo.confirmed(host, reconnect, name, undo=back, apply=change, complete=complete, persist=persist)


def remove(host: Host, script: str, paths: Paths) -> None:
    """Take links and routes away, also where the script was lost; the LAN interface gets back what it had."""
    units.uninstall(host, paths.network_unit)
    host.run(["sh", "-s", "down"], input=script.encode())
    host.remove(paths.network_script)


def _finished(host: Host, new: str) -> None:
    """Wait for the detached change. Raises HostError with what it said when it failed."""
    done = host.run(["sh", "-c", _WAIT, "wait", new], check=False)
    if done.code != 0:
        raise HostError(f"host {host.name}: the networks could not be brought up: {done.stderr.strip()}")


def _undo(before: str | None, paths: Paths, settings: Mapping[str, str]) -> str:
    script, new = paths.network_script, _new(paths)
    stop, cleanup = f"systemctl stop {_unit(paths)}", f"rm -f {' '.join(_left(paths))}"
    if before is None:
        return "\n".join(
            [
                stop,
                f"systemctl disable --now {paths.network_unit}",
                f"sh {new} down",
                f"rm -f {script} {units.DIRECTORY}/{paths.network_unit}",
                "systemctl daemon-reload",
                f"rm -f {paths.sysctl_file}",
                *(f"sysctl --quiet --write {shlex.quote(f'{name}={value}')}" for name, value in settings.items()),
                *([f"nft delete table inet {CLOSED_TABLE}"] if settings else []),
                cleanup,
            ]
        )
    forget = "" if _KNOWS_MANAGERS in before else f"sh {new} forget\n"
    return f"{stop}\n{forget}cat >{script} <<'WGNODE_END'\n{before}WGNODE_END\nsh {script} up\n{cleanup}"


def _unit(paths: Paths) -> str:
    """The transient unit in which the script runs."""
    return f"wgnode-{change_of(paths)}-change"


def _new(paths: Paths) -> str:
    return f"{undo.DIRECTORY}/{change_of(paths)}-new.sh"


def _left(paths: Paths) -> tuple[str, ...]:
    return (_new(paths), f"{_new(paths)}.log", f"{_new(paths)}.code")
