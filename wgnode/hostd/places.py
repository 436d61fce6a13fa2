"""Where things of a gateway lie on its host."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Places:
    """`run` holds hostd's sockets, `state` what is kept; `baked` the gateway's layers.

    `machine` is QEMU's own directory; a machine that an older version started has its socket among hostd's.
    """

    name: str
    run: Path
    state: Path
    baked: Path
    machine: Path | None = None

    @property
    def controls(self) -> list[Path]:
        """Where the control socket may be; the first that answers is it."""
        return [directory / "control.sock" for directory in (self.machine, self.run) if directory]

    @property
    def config(self) -> Path:
        return self.baked / "config.cpio"

    @property
    def secrets(self) -> Path:
        return self.baked / "secrets.cpio"
