"""systemd units on a host."""

from __future__ import annotations

from collections.abc import Sequence

from infra.hosts.host import Host

DIRECTORY = "/etc/systemd/system"
RUNNING = "active, enabled"


def states(host: Host, units: Sequence[str]) -> dict[str, str]:
    """ "active, enabled", "inactive, disabled", ... by unit; units that are not there are left out."""
    shown = host.run(
        ["systemctl", "show", "--property=Id,LoadState,ActiveState,UnitFileState", *units], check=False
    ).stdout
    found = {}
    for block in shown.strip().split("\n\n"):
        properties = dict(line.split("=", 1) for line in block.splitlines() if "=" in line)
        if properties.get("LoadState") == "loaded":
            found[properties["Id"]] = f"{properties['ActiveState']}, {properties['UnitFileState'] or 'transient'}"
    return found


def install(host: Host, unit: str, text: str) -> None:
    """Write and enable a unit, and start it where it does not run."""
    if host.write_file(f"{DIRECTORY}/{unit}", text.encode()):
        host.run(["systemctl", "daemon-reload"])
    host.run(["systemctl", "--quiet", "enable", unit])
    host.run(["systemctl", "start", unit], timeout=120)


def uninstall(host: Host, unit: str) -> None:
    """Stop, disable and remove a unit, if it is there."""
    host.run(["systemctl", "disable", "--now", "--quiet", unit], check=False, timeout=120)
    host.remove(f"{DIRECTORY}/{unit}")
    host.run(["systemctl", "daemon-reload"])
    host.run(["systemctl", "reset-failed", unit], check=False)
