"""Which device's address was behind a public one, from when to when: a line a change, kept on the host beside what its
hostd keeps of who had which address."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from ipaddress import ip_address

from pulumi_wgnode.hosts.host import Host
from wgnode.image.paths import Paths

_WRITE = """umask 077; file=$1 began=$2; shift 2; now=$(date +%s)
while [ $# -gt 0 ]; do echo "${began:-$now} $now $1 $2"; shift 2; done >>"$file\""""
_READ = 'grep -sF " $1 " "$2" || true'
_LINE = re.compile(r"(\d{1,12}) (\d{1,12}) (\S{1,45}) (\S{1,45})")
NOBODY = "-"


@dataclass(frozen=True)
class Change:
    """Between `began` and `done` (seconds since 1970, by the host's clock) the public address became that of `inside`,
    or nobody's (None)."""

    began: int
    done: int
    inside: str | None


def now(host: Host) -> str:
    """Seconds since 1970 by the host's clock."""
    return host.run(["date", "+%s"]).stdout.strip()


def write(host: Host, paths: Paths, began: str, behind: Mapping[str, str | None]) -> None:
    """That since `began` these public addresses were given to others, or to nobody; done now."""
    words = [word for public, inside in sorted(behind.items()) for word in (public, inside or NOBODY)]
    if words:
        host.run(["sh", "-c", _WRITE, "record", _path(paths), began, *words])


def read(host: Host, paths: Paths, public: str) -> list[Change]:
    """In the order in which they happened; lines that are none are passed over."""
    said = host.run(["sh", "-c", _READ, "record", public, _path(paths)]).stdout
    return list(_changes(said.splitlines(), public))


def behind(changes: list[Change], at: float | None) -> tuple[str | None, ...] | None:
    """Who had it, in order: one, or two where it was given away just then. None where that is not recorded."""
    if at is None:
        return (changes[-1].inside,) if changes else None
    before = [one for one in changes if one.done <= at]
    if later := next((one for one in changes if one.began < at < one.done), None):
        return (before[-1].inside if before else None, later.inside)
    return (before[-1].inside,) if before else None


def _changes(lines: Iterable[str], public: str) -> Iterable[Change]:
    for line in lines:
        if (found := _LINE.fullmatch(line)) and found[3] == public:
            try:
                inside = None if found[4] == NOBODY else str(ip_address(found[4]))
            except ValueError:
                continue
            yield Change(int(found[1]), int(found[2]), inside)


def _path(paths: Paths) -> str:
    return f"{paths.hostd_state}/egress"
