"""Running other programs: errors that say what failed, and orphans that hold the lab's lock."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence

from lab.errors import LabError

PACKAGES = {
    "systemd-nspawn": "systemd-container",
    "mmdebstrap": "mmdebstrap",
    "ip": "iproute2",
    "nft": "nftables",
    "ssh": "openssh-client",
    "ssh-keygen": "openssh-client",
    "ping": "iputils-ping",
    "unshare": "util-linux",
    "setpriv": "util-linux",
    "setsid": "util-linux",
    "mount": "mount",
}


def ours(arguments: str) -> str:
    """A command line of the lab's, as who reads about it can type it in the clone."""
    return f"{'sudo ' if 'SUDO_UID' in os.environ else ''}.venv/bin/python -m lab {arguments}"


def disk_full(error: OSError) -> str | None:
    """What to say where the disk is full; None for any other error, which nobody foresaw."""
    if error.errno not in (errno.ENOSPC, errno.EDQUOT):
        return None
    return f"{error.strerror}: {error.filename or 'no file named'}; free some and run the same again"


def without_bytecode() -> dict[str, str]:
    """What a child needs in its environment to leave no byte code behind either, where we are told to leave none.

    Root's would lie in a clone whose owner couldn't remove it.
    """
    return {"PYTHONDONTWRITEBYTECODE": "1"} if sys.dont_write_bytecode else {}


def run(
    argv: Sequence[str], *, stdin: str | None = None, check: bool = True, timeout: float | None = None
) -> subprocess.CompletedProcess[str]:
    """Run `argv` and return its output as text; a failure is a LabError with the command and what it said.

    Inheritable descriptors (the lab's lock) go to the child: if this process is killed, the lock is only free once
    everything that it started has ended, so the next `up` or `down` never works beside a left-over command.
    """
    try:
        done = subprocess.run(
            argv, input=stdin, text=True, capture_output=True, timeout=timeout, check=False, close_fds=False
        )
    except FileNotFoundError as error:
        raise LabError(f"{argv[0]} is missing; install the Debian package {PACKAGES.get(argv[0], argv[0])}") from error
    except subprocess.TimeoutExpired as error:
        raise LabError(f"`{' '.join(argv)}` did not end within {timeout:g} s") from error
    if check and done.returncode:
        raise LabError(f"`{' '.join(argv)}` failed ({done.returncode}): {(done.stderr or done.stdout).strip()}")
    return done


def missing_packages() -> list[str]:
    """Debian packages whose commands the lab needs and does not find."""
    return sorted({package for command, package in PACKAGES.items() if not shutil.which(command)})
