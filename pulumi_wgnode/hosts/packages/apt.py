"""apt-get as it behaves on a host that is not ours: it removes nothing, keeps files that were there first, asks nobody,
restarts nothing, waits for whoever holds its locks, and its failures are told with their reason and the way out."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence

from pulumi_wgnode.call.log import Severity, cancelled, log
from pulumi_wgnode.hosts.host import Host, HostError, Result

LOCK_TIMEOUT = 3600.0  # seconds that we wait for another apt: unattended-upgrades on a slow host takes that long
RETRY = 5.0  # seconds between attempts; apt itself would wait silently, and for the lists' lock not at all
TIMEOUT = 900.0  # seconds for downloading and unpacking

# What asks although debconf's frontend is noninteractive, or restarts services of the host (needrestart).
_SILENT = (
    "NEEDRESTART_SUSPEND=1",
    "APT_LISTCHANGES_FRONTEND=none",
    "APT_LISTBUGS_FRONTEND=none",
    "UCF_FORCE_CONFFOLD=1",
)
# Of a file that was there first, or was changed since: the present one. A host's own --force-confnew would win.
_KEEP_FILES = ("--no-force-confnew", "--force-confdef", "--force-confold")
_APT = (
    *("env", *_SILENT, "apt-get", "--quiet", "--yes", "--no-install-recommends", "--no-remove"),
    *("-o", "APT::Get::AutomaticRemove=false", "-o", "DPkg::Lock::Timeout=0"),
    *("-o", "DPkg::Use-Pty=0"),  # so that what dpkg says of its errors comes as such
    *("-o", "Acquire::Retries=1", "-o", "Acquire::http::Timeout=20"),
    *(word for option in _KEEP_FILES for word in ("-o", f"Dpkg::Options::={option}")),
)
_CONFIGURE = ("env", *_SILENT, "dpkg", *_KEEP_FILES, "--configure", "-a")
_INTERRUPTED = "dpkg was interrupted"
# apt's three locks, and dpkg's own; not one that cannot be opened (a read-only file system), which no time mends.
_BUSY = re.compile(
    r"Could not get lock [^\n]*(?:held by process|Resource temporarily unavailable)|locked by another process"
)
_HOLDER = re.compile(r"held by process (\d+)(?: \(([^)]*)\))?")
_REMOVED = re.compile(r"^The following packages will be REMOVED:\n((?: .*\n?)+)", re.MULTILINE)
_UNMET = re.compile(r"^The following packages have unmet dependencies:\n(?: .*\n?)+", re.MULTILINE)
_NO_SOURCE = "no package source of the host has it: add one to /etc/apt/sources.list.d, or name another package"
_WAYS_OUT = (
    ("Unable to locate package", _NO_SOURCE),
    ("has no installation candidate", _NO_SOURCE),
    ("eld packages were changed", "`apt-mark showhold` there names what is held; release it by `apt-mark unhold`"),
    ("held broken packages", "`apt-mark showhold` there names what is held; release it, or mend what is unmet"),
    ("Errors were encountered while processing", "`dpkg --audit` there says more; mend that package or remove it"),
)


def update(host: Host) -> Result:
    """Fetch the lists. What it said: a source that fails is for `explained`, what is there may do without it."""
    return _patiently(host, [*_APT, "update"])


def install(host: Host, names: Sequence[str]) -> Result:
    """A dpkg that was cut short, as by a reboot, is first brought to its end: apt refuses anything else."""
    installed = _patiently(host, [*_APT, "install", *names])
    if _INTERRUPTED in installed.stderr:
        log(f"dpkg was interrupted on {host.name}: finishing what it had begun", Severity.INFO)
        _patiently(host, _CONFIGURE)
        installed = _patiently(host, [*_APT, "install", *names])
    return installed


def explained(installed: Result, updated: Result) -> str:
    """Why packages could not be installed, and the way out. Pure."""
    if removed := _REMOVED.search(installed.stdout):
        names = ", ".join(removed[1].replace("*", "").split())
        return (
            f"it would have to remove {names}, and nothing is removed from a host. Decide there what is to go (`apt-get"
            " install` with the same names shows why), then run it again"
        )
    unmet = match[0] if (match := _UNMET.search(installed.stdout)) else ""
    reason = f"{unmet}{_without_warnings(installed.stderr)}"[-1500:].strip() or f"exit code {installed.code}"
    ways = dict.fromkeys(way for sign, way in _WAYS_OUT if sign in installed.stderr)
    said = [reason, *(f"{way}, then run it again" for way in ways)]
    if lists := failure_of(updated):
        said.append(f"`apt-get update` had failed before: {lists}")
    return "\n".join(said)


def failure_of(updated: Result) -> str:
    """Why lists could not be fetched, or only in part; apt exits with 0 where it has older ones."""
    failed = updated.code != 0 or re.search(r"^[EW]: .*(?:Failed to fetch|failed to download)", updated.stderr, re.M)
    return updated.stderr.strip()[-1500:] if failed else ""


def _without_warnings(errors: str) -> str:
    return "".join(line + "\n" for line in errors.splitlines() if not line.startswith(("W: ", "N: ")))


def _patiently(host: Host, argv: Sequence[str]) -> Result:
    """What the last attempt said; one that fails for another reason than a lock is the last. Raises HostError."""
    started, told = time.monotonic(), False
    while True:
        said = host.run(argv, check=False, timeout=TIMEOUT)
        if said.code == 0 or not _BUSY.search(said.stderr):
            return said
        waited = time.monotonic() - started
        if waited > LOCK_TIMEOUT or cancelled():
            raise HostError(_gave_up(host, said.stderr, waited))
        limit = f"{waited:.0f} s" if told else f"for at most {LOCK_TIMEOUT / 60:.0f} min"
        # The first line stays, for a terminal or log that shows no progress.
        log(
            f"waiting for another apt on {host.name}, {_holder(said.stderr)} ({limit})",
            Severity.STATUS if told else Severity.INFO,
        )
        told = True
        time.sleep(RETRY)


def _gave_up(host: Host, errors: str, waited: float) -> str:
    return (
        f"host {host.name}: another apt, {_holder(errors)}, holds its lock, after {waited:.0f} s of waiting; nothing"
        " was installed. Let it come to its end there (`systemctl status unattended-upgrades apt-daily-upgrade`), then"
        " run it again"
    )


def _holder(errors: str) -> str:
    match = _HOLDER.search(errors)
    if not match:
        return "of which nothing is known"
    return f"{match[2]} (pid {match[1]})" if match[2] else f"pid {match[1]}"
