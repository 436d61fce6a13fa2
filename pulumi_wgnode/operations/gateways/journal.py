"""What a gateway's host has in its journal of it: the guest's serial console, and the node's log as hostd passed it on.

It is read in pages, each after the last one's cursor, also while it is followed: nothing stays behind on the host when
we go, and a connection that broke loses no line.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from pulumi_wgnode.hosts.host import Host, HostError
from wgnode.hostd.said import printable
from wgnode.image.paths import Paths

Kind = Literal["console", "logs"]
PAGE = 1000
"""Lines in one answer."""
LONGEST = 8192
"""Characters of a line."""
_READ = """page=$1; shift
journalctl -o json --all --quiet --no-pager --output-fields=MESSAGE,PRIORITY,_PID "$@" | head -n "$page"
"""
_AGE = re.compile(r"(\d{1,6})(s|min|m|h|d)")
_SECONDS = {"s": 1, "m": 60, "min": 60, "h": 3600, "d": 86400}
_GUEST = "guest: "


@dataclass(frozen=True)
class Line:
    """`at` is seconds since 1970 by the host's clock, `level` "error", "warning" or "info".

    `source` is "console", "guest" (the node), "hostd" or "systemd". `text` is safe to print, whatever a guest wrote.
    """

    at: float
    level: str
    source: str
    text: str
    cursor: str


def matches(kind: Kind, paths: Paths) -> list[str]:
    """Of journalctl: QEMU's output, which is the console; or hostd's, with what systemd says of both units. Fields with
    an underscore are the journal's own, which nobody else can write (systemd.journal-fields(7))."""
    if kind == "console":
        return [f"_SYSTEMD_UNIT={paths.gateway_unit}"]
    by_systemd = [f"+ _PID=1 UNIT={unit}" for unit in (paths.hostd_unit, paths.gateway_unit)]
    return [f"_SYSTEMD_UNIT={paths.hostd_unit}", *" ".join(by_systemd).split(" ")]


def since(text: str, now: datetime) -> str:
    """journalctl's word for "10min", "2h", "3d" before `now` on the host, or a date and time (ISO 8601) in the zone of
    `now`. Raises ValueError."""
    if age := _AGE.fullmatch(text):
        return f"--since=-{int(age[1]) * _SECONDS[age[2]]}s"
    try:
        given = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{text!r} is neither an age, such as 10min, 2h or 3d, nor a date and time") from None
    return f"--since=@{(given if given.tzinfo else given.replace(tzinfo=now.tzinfo)).timestamp():.0f}"


class Reader:
    """Goes on where it was; `begin` is where it starts, in journalctl's words."""

    def __init__(self, kind: Kind, paths: Paths, begin: Sequence[str]) -> None:
        self._kind, self._matches = kind, matches(kind, paths)
        self._position = list(begin)

    def read(self, host: Host) -> Iterator[Line]:
        """What is there now and was not read yet. Raises HostError."""
        while True:
            words = [*self._position, *self._matches]
            said = host.run(["sh", "-c", _READ, "journal", str(PAGE), *words], timeout=60)
            if said.stderr.strip() and not said.stdout:
                raise HostError(f"host {host.name}: journalctl: {printable(said.stderr.strip(), LONGEST)}")
            page = said.stdout.split("\n")[:-1]
            for line in filter(None, (parse(raw, self._kind) for raw in page)):
                self._position = [f"--after-cursor={line.cursor}"]
                yield line
            if len(page) < PAGE or self._position == words[: len(self._position)]:
                return


def parse(raw: str, kind: Kind) -> Line | None:
    """A line of `journalctl -o json` (https://systemd.io/JOURNAL_EXPORT_FORMATS); None for what is none."""
    try:
        entry = json.loads(raw)
        at, cursor = int(entry["__REALTIME_TIMESTAMP"]) / 1e6, str(entry["__CURSOR"])
    except (ValueError, TypeError, KeyError):
        return None
    text = printable(_text(entry.get("MESSAGE")), LONGEST)
    source = "console" if kind == "console" else "systemd" if str(entry.get("_PID")) == "1" else "hostd"
    if source == "hostd" and text.startswith(_GUEST):
        source, text = "guest", text.removeprefix(_GUEST)
    return Line(at, _level(entry.get("PRIORITY")), source, text, cursor)


def _text(message: Any) -> str:
    """Bytes that are no text come as a list of numbers."""
    if isinstance(message, list):
        return bytes(one & 0xFF for one in message if isinstance(one, int)).decode(errors="backslashreplace").rstrip()
    return str(message or "").rstrip()


def _level(priority: Any) -> str:
    number = int(priority) if str(priority).isdecimal() else 6
    return "error" if number <= 3 else "warning" if number == 4 else "info"
