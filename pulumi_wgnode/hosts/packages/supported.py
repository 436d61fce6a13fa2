"""Which system a host is of, and whether gateways are run on it: the releases of Debian that every change is tried on.

Read before anything else is, from what any Linux has; judged before anything is changed. See
docs/decisions/supported-hosts.md. Pure but for the query.
"""

from __future__ import annotations

import contextlib
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass

from pulumi_wgnode.call.log import Severity, log
from pulumi_wgnode.hosts.host import Result, Unsupported
from pulumi_wgnode.hosts.query import Query

RELEASES = {12: "bookworm", 13: "trixie"}
"""By major version. One more is a lab host of it (lab/plan.py), what that finds, and a line here."""
UNTRIED = "arm64"
"""Taken, and warned of: its guests were tried under emulation only, and a host of it never."""
ARCHITECTURES = ("amd64", UNTRIED)
"""As dpkg calls them: a guest has its host's, which QEMU has to run or to emulate."""
_SUPPORTED = " or ".join(map(str, RELEASES))
_NEEDED = f"needed is a host of Debian {_SUPPORTED} on {' or '.join(ARCHITECTURES)}"

_READ = """echo "architecture $(dpkg --print-architecture 2>/dev/null || uname -m)"
echo "init $([ -d /run/systemd/system ] && echo systemd || cat /proc/1/comm)"
head -c 16384 /etc/os-release 2>/dev/null || head -c 16384 /usr/lib/os-release 2>/dev/null
true"""
_LONGEST = 100  # characters of a value that are shown
_LINE = re.compile(r"[A-Z][A-Z0-9_]*=")


@dataclass(frozen=True)
class Release:
    """`id`, `like`, `version` and `name` are os-release's (5); "" where it does not say.

    `version` is mostly empty for Debian's testing and unstable. `init` is what runs as process 1.
    """

    id: str
    like: str
    version: str
    name: str
    architecture: str
    init: str

    @property
    def major(self) -> int | None:
        return int(found[0]) if (found := re.match(r"\d+", self.version)) else None

    def __str__(self) -> str:
        return self.name or " ".join(word for word in (self.id, self.version) if word) or "a system that does not say"


QUERY: Query[Release] = Query(["sh", "-c", _READ], lambda said: parse(said))


def parse(said: Result) -> Release:
    """From the query's output. A line that is none of os-release's is passed over."""
    values: dict[str, str] = {}
    for line in said.stdout.splitlines():
        if line.startswith(("architecture ", "init ")):
            key, _, values[key] = line.partition(" ")
        elif _LINE.match(line.strip()):
            key, _, value = line.strip().partition("=")
            values[key] = _unquoted(value)
    return Release(
        id=values.get("ID", ""),
        like=values.get("ID_LIKE", ""),
        version=values.get("VERSION_ID", ""),
        name=values.get("PRETTY_NAME") or values.get("NAME", ""),
        architecture=values.get("architecture", ""),
        init=values.get("init", ""),
    )


def require(host: str, release: Release) -> None:
    """Raises Unsupported, which says what the host is and what is needed."""
    if problem := problem_of(release):
        raise Unsupported(f"host {host}: {problem}")


def warn_of(host: str, release: Release) -> None:
    """Of a system that the next change will be refused on, as after an upgrade of the host: what runs goes on."""
    if problem := problem_of(release):
        log(f"host {host}: {problem}; until then nothing but `pulumi destroy` is done there", Severity.WARNING)


def problem_of(release: Release) -> str:
    """Why gateways are not run on it, and the way out; "" where they are."""
    return next(_problems(release), "")


def _problems(release: Release) -> Iterator[str]:
    if not release.id:
        yield f"it does not say what system it is (ID in /etc/os-release or /usr/lib/os-release); {_NEEDED}"
    elif release.id != "debian":
        yield f"it is {_named(release)}; {_NEEDED}: install that there, or take another host for the site"
    elif release.major is None or "/sid" in release.name:
        yield f"it is {release}, which is no release: it changes under what was tried; {_NEEDED}"
    elif release.major < min(RELEASES):
        yield f"it is {release}, which is too old; {_NEEDED}: upgrade it, one release after the other"
    elif release.major not in RELEASES:
        yield f"it is {release}, which this version of wgnode has not been tried on; {_NEEDED}, or a later wgnode"
    if release.architecture not in ARCHITECTURES:
        what = release.architecture or "an unknown architecture"
        yield f"it is {release} on {what}, and gateways are guests of its own kind; {_NEEDED}"
    if release.init != "systemd":
        yield (
            f"it is {release} with {release.init or 'something else'} as process 1, and everything of a gateway is a"
            " unit of systemd; `apt-get install systemd-sysv` there and boot it anew"
        )


def _named(release: Release) -> str:
    """A derivative is told as such: that it is made of Debian does not make it what was tried."""
    kin = release.like.split()
    made_of = next((one.capitalize() for one in ("ubuntu", "debian") if one in kin), None)
    return f"{release} ({release.id}, made of {made_of})" if made_of else f"{release} ({release.id})"


def _unquoted(value: str) -> str:
    """As a shell reads it, without running anything; what it cannot read, as it stands."""
    with contextlib.suppress(ValueError):
        value = " ".join(shlex.split(value)[:1])
    return "".join(sign for sign in value if sign.isprintable())[:_LONGEST]
