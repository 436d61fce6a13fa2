"""Who runs a rollout of an environment, as it stands with the mesh's stack: one at a time.

A claim is renewed while its run lives. Clocks of two machines say nothing about each other, so whoever comes second
watches: a claim that is renewed meanwhile is alive, one that is not for LEASE seconds is a dead run's.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from typing import Any

from wgnode.rollout.history import Process

RENEWED = 30.0
"""Seconds between two renewals."""
LEASE = 100.0
"""Seconds without one after which a run is dead: three were missed."""


@dataclass(frozen=True)
class Claim:
    """`run` is random; `who` is user@host; `since` is for people, by the clock of that machine."""

    run: str
    commit: str
    order: str
    who: str
    since: str
    by: str
    beat: int = 0

    def to_text(self) -> str:
        return json.dumps(asdict(self), separators=(",", ":"))

    @classmethod
    def parse(cls, text: str) -> Claim | None:
        """None for what is none, also of another version: nobody can wait for that."""
        try:
            raw: dict[str, Any] = json.loads(text)
            made = cls(**raw)
        except (ValueError, TypeError):
            return None
        return (
            made
            if isinstance(made.beat, int) and all(isinstance(v, str) for k, v in raw.items() if k != "beat")
            else None
        )

    def renewed(self) -> Claim:
        return replace(self, beat=self.beat + 1)

    @property
    def process(self) -> Process | None:
        return Process.parse(self.by)

    def __str__(self) -> str:
        process = self.process
        number = f" (process {process.pid})" if process else ""
        return f"`rollout {self.order}` of commit {self.commit}, by {self.who}{number} since {self.since}"
