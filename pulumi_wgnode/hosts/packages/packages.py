"""Debian packages: which are there, and installing them."""

from __future__ import annotations

from collections.abc import Sequence

from pulumi_wgnode.call.log import Severity, log
from pulumi_wgnode.hosts.host import Host, HostError, Result
from pulumi_wgnode.hosts.packages import apt
from pulumi_wgnode.hosts.query import Query, answer

# The second letter of dpkg's state: configured, or but for a trigger. The first is only what somebody wants, as "h" for
# a package that is held.
_THERE = "itW"


def query(names: Sequence[str]) -> Query[dict[str, str]]:
    """ "installed" by package name; what is not installed is left out."""
    return Query(["dpkg-query", "-W", "-f", "${Package} ${db:Status-Abbrev}\\n", *names], _states)


def _states(said: Result) -> dict[str, str]:
    lines = [line.split() for line in said.stdout.splitlines()]
    return {parts[0]: "installed" for parts in lines if len(parts) > 1 and _is_there(parts[1])}


def _is_there(state: str) -> bool:
    """ "ii" and the like; a third letter is an error ("iiR": to be installed again)."""
    return len(state) == 2 and state[1] in _THERE


def install(host: Host, missing: Sequence[str]) -> None:
    """Raises HostError when a package cannot be had; one of the host's own that is broken is only warned of."""
    log(f"installing {', '.join(missing)} on {host.name}")
    updated = apt.update(host)
    installed = apt.install(host, missing)
    if installed.code == 0:
        if lists := apt.failure_of(updated):
            log(f"{host.name}: `apt-get update` failed, older lists were enough: {lists}", Severity.INFO)
        return
    there, why = answer(host, query(missing)), apt.explained(installed, updated)
    if still := [name for name in missing if name not in there]:
        raise HostError(f"host {host.name}: apt-get cannot install {', '.join(still)}: {why}")
    log(f"host {host.name}: {', '.join(missing)} installed, but apt-get reports: {why}", Severity.WARNING)
