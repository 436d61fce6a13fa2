"""systemd units on a host."""

from __future__ import annotations

from collections.abc import Sequence

from pulumi_wgnode.hosts.host import Host, Result
from pulumi_wgnode.hosts.query import Query, answer

DIRECTORY = "/etc/systemd/system"
RUNNING = "active, enabled"


# Where a person's drop-ins for one unit lie, by hand, by `systemctl edit` or by `systemctl set-property`. Looked for on
# the disk, because systemd tells only of those that it has read.
_OVERRIDES = (DIRECTORY, "/run/systemd/system", "/etc/systemd/system.control", "/run/systemd/system.control")
SHOW = f"""for unit; do for directory in {" ".join(_OVERRIDES)}; do
    ls "$directory/$unit.d/"*.conf 2>/dev/null
done; done
systemctl show --property=Id,LoadState,ActiveState,UnitFileState -- "$@\""""


_OLDER = """pid=$(systemctl show --property=MainPID --value "$1"); shift
[ "$pid" = 0 ] || find "$@" -name '*.conf' ! -newer "/proc/$pid" 2>/dev/null; true"""


def states(host: Host, units: Sequence[str]) -> dict[str, str]:
    """ "active, enabled", "inactive, disabled", "inactive, masked", ... by unit; without those that are not there."""
    return {unit: text.partition("; ")[0] for unit, text in answer(host, query(units)).items()}


def query(units: Sequence[str]) -> Query[dict[str, str]]:
    """As `states`, with what overrides the unit's file: "active, enabled; overridden by /etc/.../override.conf"."""
    return Query(["sh", "-c", SHOW, "show", *units], _states)


def _states(said: Result) -> dict[str, str]:
    lines = said.stdout.splitlines()
    overrides = [line for line in lines if line.startswith("/")]
    found = {}
    for block in "\n".join(lines[len(overrides) :]).strip().split("\n\n"):
        properties = dict(line.split("=", 1) for line in block.splitlines() if "=" in line)
        if (load := properties.get("LoadState", "not-found")) not in ("loaded", "not-found"):
            found[properties["Id"]] = f"{properties['ActiveState']}, {load}"  # masked, or of a file that says nothing
        elif load == "loaded":
            text = f"{properties['ActiveState']}, {properties['UnitFileState'] or 'transient'}"
            own = [path for path in overrides if f"/{properties['Id']}.d/" in path]
            found[properties["Id"]] = f"{text}; overridden by {' '.join(own)}" if own else text
    return found


def mend(host: Host, unit: str, text: str, found: str | None) -> None:
    """Bring a unit that was found in another state to what it should be; one that runs is not restarted."""
    remove_overrides(host, unit)
    host.write_file(f"{DIRECTORY}/{unit}", text.encode())
    host.run(["systemctl", "daemon-reload"])
    if found is None or found.partition("; ")[0] != RUNNING:
        host.run(["systemctl", "--quiet", "enable", unit])
        # Without what it waits for at a boot, which may be minutes, as for a card that has no cable to be online.
        host.run(["systemctl", "start", "--job-mode=ignore-dependencies", unit], timeout=120)


def remove_overrides(host: Host, unit: str) -> None:
    host.run(["rm", "-rf", *(f"{directory}/{unit}.d" for directory in _OVERRIDES)])


def runs_overridden(host: Host, unit: str) -> bool:
    """Whether what runs may have been started with a drop-in: one that is older than the process."""
    directories = [f"{directory}/{unit}.d" for directory in _OVERRIDES]
    return bool(host.run(["sh", "-c", _OLDER, "older", unit, *directories]).stdout.strip())


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
