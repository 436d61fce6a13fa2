"""Applying network.sh so that a mistake cannot cut the way in for longer than the undo takes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from infra.hosts import undo, units
from infra.hosts.host import Host, HostError

SCRIPT = "/etc/wgnode/network.sh"
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
NAME = "network"
_CHANGE = "wgnode-network-change"  # the transient unit in which the script runs
_NEW = f"{undo.DIRECTORY}/network-new.sh"
_LEFT = (_NEW, f"{_NEW}.log", f"{_NEW}.code")
Verb = Literal["up", "routes"]
_BEGIN = """set -e; umask 077; new=$1 size=$2; shift 2; rm -f -- "$new.code"; cat >"$new"
[ "$(stat -c %s -- "$new")" = "$size" ] || { echo "its data ended early" >&2; exit 1; }
exec "$@\""""
_WAIT = """for i in $(seq 100); do [ -s "$1.code" ] && break; sleep 0.1; done
cat "$1.log" >&2; exit "$(cat "$1.code")\""""


def apply(
    host: Host,
    reconnect: undo.Connect,
    script: str,
    *,
    before: str | None,
    verb: Verb = "up",
    enable: Callable[[Host], None] = lambda host: None,
) -> None:
    """Bring up links and routes, or routes alone, prove that we still get in, and only then make them permanent.

    `before` is the script that is there; `enable` sees to the unit once the new one is.
    """

    def change(host: Host) -> None:
        # Detached, because it may cut this very connection for a moment.
        detached = ["systemd-run", "--quiet", "--collect", f"--unit={_CHANGE}", "/bin/sh", "-c"]
        detached.append(f"sh {_NEW} {verb} >{_NEW}.log 2>&1; echo $? >{_NEW}.code")
        data = script.encode()
        host.run(["sh", "-c", _BEGIN, "begin", _NEW, str(len(data)), *detached], input=data)

    def persist(host: Host) -> None:
        host.write_file(SCRIPT, script.encode(), mode=0o755)
        enable(host)
        host.run(["rm", "-f", *_LEFT])

    undo.confirmed(host, reconnect, NAME, undo=_undo(before), apply=change, complete=_finished, persist=persist)


def remove(host: Host, script: str) -> None:
    """Take links and routes away, also where the script was lost; the LAN interface gets back what it had."""
    units.uninstall(host, UNIT)
    host.run(["sh", "-s", "down"], input=script.encode())
    host.remove(SCRIPT)


def _finished(host: Host) -> None:
    """Wait for the detached change. Raises HostError with what it said when it failed."""
    done = host.run(["sh", "-c", _WAIT, "wait", _NEW], check=False)
    if done.code != 0:
        raise HostError(f"host {host.name}: the networks could not be brought up: {done.stderr.strip()}")


def _undo(before: str | None) -> str:
    stop, cleanup = f"systemctl stop {_CHANGE}", f"rm -f {' '.join(_LEFT)}"
    if before is None:
        return "\n".join(
            [
                stop,
                f"systemctl disable --now {UNIT}",
                f"sh {_NEW} down",
                f"rm -f {SCRIPT} {units.DIRECTORY}/{UNIT}",
                "systemctl daemon-reload",
                cleanup,
            ]
        )
    return f"{stop}\ncat >{SCRIPT} <<'WGNODE_END'\n{before}WGNODE_END\nsh {SCRIPT} up\n{cleanup}"
