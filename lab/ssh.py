"""Logging in to a lab host from the runner, its host key pinned."""

from __future__ import annotations

import time
from pathlib import Path

from lab import netns, plan
from lab.plan import Site, bare
from lab.process import run

PORT = 22
PAUSE = 1.0
"""Seconds after a login that a starting host refused: OpenSSH 10 shuts out who fails a few times in a row."""


def argv(lab: str, directory: Path, site: Site, command: str | None = None, *, terminal: bool = False) -> list[str]:
    """The command line of a login as the host's user; without `command` a shell."""
    options = ["BatchMode=yes", "ConnectTimeout=5", "LogLevel=ERROR", "StrictHostKeyChecking=yes"]
    options += ["IdentitiesOnly=yes", f"UserKnownHostsFile={directory / 'ssh' / 'known_hosts'}"]
    line = ["ip", "netns", "exec", plan.namespace(lab, plan.RUNNER), "ssh", "-F", "/dev/null"]
    line += ["-i", str(directory / "ssh" / "id_ed25519"), "-p", str(PORT), *(["-t"] if terminal else [])]
    line += [part for option in options for part in ("-o", option)]
    return [*line, f"{site.user}@{bare(site.public[0])}", *([command] if command else [])]


def answers(lab: str, site: Site, timeout: float = 1.0) -> bool:
    """True where the host's SSH server greets the runner within `timeout` seconds."""
    try:
        with netns.connect(plan.namespace(lab, plan.RUNNER), bare(site.public[0]), PORT, timeout) as connection:
            return connection.recv(4) == b"SSH-"
    except OSError:
        return False


def booted(lab: str, directory: Path, site: Site) -> bool:
    """True once the host lets its user in and has no start-up job left (before that, PAM may refuse a user)."""
    if not answers(lab, site):
        return False
    done = run(argv(lab, directory, site, "systemctl is-system-running --wait"), check=False, timeout=60)
    if done.stdout.strip() in ("running", "degraded"):
        return True
    time.sleep(PAUSE)
    return False


def write_known_hosts(directory: Path) -> None:
    """The pins of all hosts, from the keys that were made for them."""
    lines = [f"{bare(site.public[0])} {public_key(directory, site)}\n" for site in plan.SITES]
    (directory / "ssh" / "known_hosts").write_text("".join(lines))


def public_key(directory: Path, site: Site) -> str:
    """The host's key as in known_hosts: type and base64."""
    text = (directory / "hosts" / site.name / "ssh_host_ed25519_key.pub").read_text()
    return " ".join(text.split()[:2])
