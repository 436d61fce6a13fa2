"""Renew image.lock: what the distribution's signed release files offer now, with dependencies resolved by apt."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

from wgnode.image import apt, lock
from wgnode.image.architecture import AMD64, Architecture

ROOTS = ("python3.13-minimal", "libpython3.13-stdlib", "libffi8")
"""apt adds what these depend on; tracing then takes only what the node imports."""
UNUSED = frozenset(
    {
        "debconf",
        "gcc-14-base",
        "libdb5.3t64",
        "libncursesw6",
        "libreadline8t64",
        "libsqlite3-0",
        "libssl3t64",
        "libtinfo6",
        "libuuid1",
        "media-types",
        "netbase",
        "openssl-provider-legacy",
        "readline-common",
        "tzdata",
    }
)
"""Dependencies of parts of Python's library that the node never imports; a build fails if one were missing."""


def renewed(
    cache: Path, mirrors: apt.Mirrors, report: Callable[[str], None], architecture: Architecture = AMD64
) -> list[lock.Package]:
    """The newest trixie packages of the image. Raises ImageError."""
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="apt-", dir=cache) as directory:
        private = apt.PrivateApt(Path(directory), mirrors, architecture)
        report(f"image: reading the signed package lists of {apt.SUITE} for {architecture.name}")
        private.update()
        names = [name for name in private.closure(ROOTS) if name not in UNUSED]
        return private.packages([*names, private.newest_kernel()])
