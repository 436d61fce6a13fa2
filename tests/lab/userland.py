"""The programs of a Debian release, each command in a throw-away layer over a lab host's root file system.

No systemd runs there, and no packet leaves: the network is a namespace with nothing but its loopback.
"""

from __future__ import annotations

import secrets
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from lab import rootfs
from pulumi_wgnode.hosts.host import HostError, Result
from tests.lab.interop import Namespace

_ENTER = """mount -t tmpfs tmpfs /mnt && mkdir /mnt/upper /mnt/work /mnt/root
mount -t overlay overlay -o lowerdir="$1",upperdir=/mnt/upper,workdir=/mnt/work /mnt/root
mount -t proc proc /mnt/root/proc && mount --bind /dev /mnt/root/dev
before=$2; shift 2
exec chroot /mnt/root sh -c "$before"'
exec "$@"' sh "$@\""""


@dataclass
class Userland:
    """As much of `Host` as commands need. `before` is what a shell does there ahead of each, in the same layer."""

    space: Namespace
    suite: str
    root: Path
    before: str = ""
    name: str = "root@userland"

    def argv(self, argv: Sequence[str]) -> list[str]:
        return [
            "ip",
            "netns",
            "exec",
            self.space.name,
            "sh",
            "-ec",
            _ENTER,
            "enter",
            str(self.root),
            self.before,
            *argv,
        ]

    def run(
        self, argv: Sequence[str], *, input: bytes = b"", check: bool = True, timeout: float = 60, secret: bool = False
    ) -> Result:
        environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive"}
        done = subprocess.run(
            self.argv(argv), input=input, env=environment, capture_output=True, timeout=timeout, check=False
        )
        result = Result(done.returncode, done.stdout.decode(), done.stderr.decode())
        if check and result.code:
            raise HostError(f"{argv}: {result.code}: {result.stderr}")
        return result


@contextmanager
def userland(suite: str) -> Iterator[Userland]:
    """Of a release by its code name, "bookworm" or "trixie"."""
    space = Namespace(f"wgu-{secrets.token_hex(3)}")
    try:
        yield Userland(space, suite, rootfs.ensure(print)[suite])
    finally:
        space.close()
