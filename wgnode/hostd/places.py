"""Where things of a gateway lie on its host."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Places:
    """`run` holds the sockets, `state` what is kept; `baked` the gateway's layers."""

    name: str
    run: Path
    state: Path
    baked: Path

    @property
    def config(self) -> Path:
        return self.baked / "config.cpio"

    @property
    def secrets(self) -> Path:
        return self.baked / "secrets.cpio"
