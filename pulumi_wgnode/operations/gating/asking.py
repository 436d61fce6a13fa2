"""One look at a site for a gate: what its host says of the gateway's process and its clock, and the node of itself."""

from __future__ import annotations

import json
import time
from typing import Literal

from pulumi_wgnode.hosts import owners
from pulumi_wgnode.hosts.host import Host
from pulumi_wgnode.hosts.query import answer
from wgnode.hostd.said import answered
from wgnode.image.units import instance_option
from wgnode.rollout.gate import Told

_LOOK = r"""exec 2>/dev/null; hostd=$1 unit=$2 fresh=$3; shift 3
clock() { /usr/bin/python3 -I -c 'import time; print(time.time(), time.monotonic())'; }
hostd() { verb=$1; shift; /usr/bin/python3 -I "$bundle" "$verb" "$@"; }
bundle=$(ls -t "$hostd"/*.pyz | head -n 1)
clock; hostd health --json "$@" | head -n 1; clock
main=$(systemctl show --property=MainPID --value "$unit")
systemctl show --property=ExecMainStartTimestampMonotonic --value "$unit"
[ "${main:-0}" = 0 ] || tr '\0' '\n' <"/proc/$main/cmdline" | grep -oE 'images/[0-9a-f]{64}' | head -n 1; echo
[ "$fresh" != no ] || exit 0
asked=$(hostd probe $fresh "$@" | head -n 1)
[ -n "$asked" ] || [ -z "$fresh" ] || asked=$(hostd probe "$@" | head -n 1)
echo "$asked"; clock
"""
"""An older hostd knows no --fresh."""
Ask = Literal["--fresh", "", "no"]
"""For another search: after handshakes, without, or not at all, since the last one is still under way."""
PATIENCE = 40


def look(host: Host, site: str, ask: Ask, probed_at: float | None) -> tuple[Told, float | None]:
    """What is told, with the result of the search that was asked for at `probed_at`; and when (by the host's clock) the
    next one was asked for, None where it was not. Raises HostError."""
    paths = owners.paths_of(answer(host, owners.QUERY), site)
    arguments = [paths.hostd_directory, paths.gateway_unit, ask, *instance_option(paths)]
    said = host.run(["sh", "-c", _LOOK, "look", *arguments], check=False, timeout=PATIENCE).stdout
    return read(said, time.time(), probed_at)


def read(said: str, at: float, probed_at: float | None) -> tuple[Told, float | None]:
    """Of what the script says, whatever of it is missing."""
    lines = [line.strip() for line in said.split("\n")]
    clocks = [at for at, line in enumerate(lines) if _clock(line)]
    if len(clocks) < 2:
        return Told(at, (at, at), None, "", {"status": "unreachable", "error": "its host tells no time"}), None
    first, second = _clock(lines[clocks[0]]), _clock(lines[clocks[1]])
    assert first
    assert second
    health = answered("\n".join(lines[clocks[0] + 1 : clocks[1]]))
    rest = [*lines[clocks[1] + 1 :], *[""] * 4]
    unit_age = second[1] - int(rest[0]) / 1e6 if rest[0].isdecimal() and rest[1] else None
    told = Told(at, (first[0], second[0]), unit_age, rest[1].removeprefix("images/"), health, probed_at)
    last = _clock(lines[clocks[-1]])
    return told, last[0] if last and len(clocks) > 2 and _probing(lines[clocks[-1] - 1]) else None


def _clock(line: str) -> tuple[float, float] | None:
    """(seconds since 1970, seconds of the monotonic clock)."""
    words = line.split()
    try:
        return (float(words[0]), float(words[1])) if len(words) == 2 else None
    except ValueError:
        return None


def _probing(line: str) -> bool:
    try:
        return bool(json.loads(line).get("probing"))
    except (ValueError, AttributeError):
        return False
