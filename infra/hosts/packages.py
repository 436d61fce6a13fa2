"""Debian packages: which are there, and installing them."""

from __future__ import annotations

import time
from collections.abc import Sequence

from infra.hosts.host import Host, HostError, Result
from infra.hosts.query import Query
from infra.provider.log import log

LOCK_TIMEOUT = 120  # seconds that we wait for another apt on the host
LISTS_RETRY = 5.0  # seconds between attempts to get the lists' lock, for which apt itself does not wait
TIMEOUT = 900.0  # seconds for downloading and unpacking


def query(names: Sequence[str]) -> Query[dict[str, str]]:
    """ "installed" by package name; what is not installed is left out."""
    return Query(["dpkg-query", "-W", "-f", "${Package} ${db:Status-Abbrev}\\n", *names], _states)


def _states(said: Result) -> dict[str, str]:
    lines = [line.split() for line in said.stdout.splitlines()]
    return {parts[0]: "installed" for parts in lines if len(parts) > 1 and parts[1].startswith("ii")}


def install(host: Host, missing: Sequence[str]) -> None:
    """Raises HostError when a package cannot be had."""
    log(f"installing {', '.join(missing)} on {host.name}")
    apt = [
        *("apt-get", "--quiet", "--yes", "--no-install-recommends", "-o", f"DPkg::Lock::Timeout={LOCK_TIMEOUT}"),
        *("-o", "Acquire::Retries=1", "-o", "Acquire::http::Timeout=20"),
    ]
    updated = _update(host, [*apt, "update"])
    installed = host.run([*apt, "install", *missing], check=False, timeout=TIMEOUT)
    if installed.code != 0:
        said = (installed.stderr.strip() or updated.stderr.strip())[-1000:]
        raise HostError(f"host {host.name}: apt-get cannot install {', '.join(missing)}: {said}")


def _update(host: Host, update: Sequence[str]) -> Result:
    """What the last attempt said; one that fails for another reason than the lock is the last."""
    deadline = time.monotonic() + LOCK_TIMEOUT
    while True:
        updated = host.run(update, check=False, timeout=TIMEOUT)
        if updated.code == 0 or "Could not get lock" not in updated.stderr or time.monotonic() > deadline:
            return updated
        log(f"waiting for another apt on {host.name}")
        time.sleep(LISTS_RETRY)
