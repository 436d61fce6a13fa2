"""Applying network.sh so that a mistake cannot cut the way in for longer than the undo takes."""

from __future__ import annotations

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
_WAIT = """for i in $(seq 100); do [ -s "$1.code" ] && break; sleep 0.1; done
cat "$1.log" >&2; exit "$(cat "$1.code")\""""


def apply(host: Host, reconnect: undo.Connect, script: str) -> None:
    """Bring up links and routes, prove that we still get in, and only then make them permanent."""
    before = host.read_file(SCRIPT)

    def change(host: Host) -> None:
        host.write_file(_NEW, script.encode(), mode=0o700)
        # Detached, because it may cut this very connection for a moment.
        host.run(
            [
                *("systemd-run", "--quiet", "--collect", f"--unit={_CHANGE}", "/bin/sh", "-c"),
                f"sh {_NEW} up >{_NEW}.log 2>&1; echo $? >{_NEW}.code",
            ]
        )

    def persist(host: Host) -> None:
        host.write_file(SCRIPT, script.encode(), mode=0o755)
        units.install(host, UNIT, UNIT_TEXT)
        for path in _LEFT:
            host.remove(path)

    undo.confirmed(host, reconnect, NAME, undo=_undo(before), apply=change, complete=_finished, persist=persist)


def remove(host: Host) -> None:
    """Take links and routes away; the LAN interface gets back what it had."""
    units.uninstall(host, UNIT)
    host.remove(SCRIPT)


def _finished(host: Host) -> None:
    """Wait for the detached change. Raises HostError with what it said when it failed."""
    done = host.run(["sh", "-c", _WAIT, "wait", _NEW], check=False)
    if done.code != 0:
        raise HostError(f"host {host.name}: the networks could not be brought up: {done.stderr.strip()}")


def _undo(before: bytes | None) -> str:
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
    return f"{stop}\ncat >{SCRIPT} <<'WGNODE_END'\n{before.decode()}WGNODE_END\nsh {SCRIPT} up\n{cleanup}"
