"""Which device's address was behind a public one, from when to when: a line a change, kept on the host beside what its
hostd keeps of who had which address."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from ipaddress import ip_address

from pulumi_wgnode.hosts.host import Host
from wgnode.image.paths import Paths

_WRITE = """umask 077; now=$(date +%s)
while read -r public inside; do echo "${2:-$now} ${3:-$now} $public $inside"; done |
    dd of="$1" oflag=append,nofollow conv=notrunc status=none || exit 1
echo "$now\""""
_READ = '[ ! -e "$2" ] || dd if="$2" iflag=nofollow status=none | grep -F " $1 " || true'
"""Root does both in a folder of hostd's user, so neither goes through a link (dd(1), nofollow)."""
_LINE = re.compile(r"(\d{1,12}) (\d{1,12}) (\S{1,45}) (\S{1,45})")
NOBODY = "-"
NOT_KNOWN = 10**12 - 1
"""In place of when a change was done, written before it: the last line of an address has it where we were cut off."""


@dataclass(frozen=True)
class Change:
    """Between `began` and `done` (seconds since 1970, by the host's clock) the public address became that of `inside`,
    or nobody's (None)."""

    began: int
    done: int
    inside: str | None


def announce(host: Host, paths: Paths, behind: Mapping[str, str | None]) -> str:
    """That these public addresses will be given to others, or to nobody, from now on. When that is, by the host's
    clock."""
    return _write(host, paths, "", str(NOT_KNOWN), behind)


def write(host: Host, paths: Paths, began: str, behind: Mapping[str, str | None]) -> None:
    """That since `began` they were; done now."""
    _write(host, paths, began, "", behind)


def _write(host: Host, paths: Paths, began: str, done: str, behind: Mapping[str, str | None]) -> str:
    lines = "".join(f"{public} {inside or NOBODY}\n" for public, inside in sorted(behind.items()))
    return host.run(["sh", "-c", _WRITE, "record", _path(paths), began, done], input=lines.encode()).stdout.strip()


def read(host: Host, paths: Paths, public: str) -> list[Change]:
    """In the order in which they happened; lines that are none are passed over, and those that announce what a later
    one tells."""
    said = host.run(["sh", "-c", _READ, "record", public, _path(paths)]).stdout
    found = list(_changes(said.splitlines(), public))
    return [one for number, one in enumerate(found, 1) if one.done != NOT_KNOWN or number == len(found)]


def behind(changes: list[Change], at: float | None) -> tuple[str | None, ...] | None:
    """Who had it, in order: one, or two where it was given away just then. None where that is not recorded. `at` is
    None for now."""
    if at is None:
        at = float(NOT_KNOWN - 1)
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
