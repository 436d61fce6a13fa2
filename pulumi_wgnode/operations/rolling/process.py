"""Processes of this machine, told apart from all others that there ever were."""

from __future__ import annotations

import hashlib
import os
import socket
from functools import cache
from pathlib import Path

from wgnode.rollout.history import Process


@cache
def host() -> str:
    """This machine's name, as the engine writes it into its locks."""
    return socket.gethostname()


def here(pid: int | None = None) -> Process:
    """The process of this number, by default this one."""
    number = os.getpid() if pid is None else pid
    machine, boot = f"{_read('/etc/machine-id')} {host()}", _read("/proc/sys/kernel/random/boot_id")
    try:
        pidns = os.readlink("/proc/self/ns/pid").strip("pid:[]")
    except OSError:
        pidns = "0"
    return Process(_short(machine), _short(boot), pidns, number, started(number) or 0)


def started(pid: int) -> int | None:
    """In clock ticks since boot; None where there is no such process, or only what is left of one."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    words = text.rpartition(")")[2].split()
    return None if words[0] in "ZX" else int(words[19])


def _read(path: str) -> str:
    try:
        return Path(path).read_text().strip()
    except OSError:
        return ""


def _short(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:8]
