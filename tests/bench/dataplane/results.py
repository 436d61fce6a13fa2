"""What a run found, and nothing else: all reports are made of this, and it is kept as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Sample:
    """One measurement of one implementation in one round.

    `processor` (seconds) and `resident` (MB) have A's and B's figure, and are empty for the bare cable. `foreign` and
    `stolen` are processors in use by others and taken by the hypervisor; `noisy` says that it was too much, twice.
    """

    implementation: str
    test: str
    round: int
    value: float
    more: Mapping[str, float]
    processor: list[float]
    resident: list[float]
    foreign: float
    stolen: float
    noisy: bool

    def figure(self, name: str) -> float | None:
        """`value`, `resident` (of the larger end), `per_gigabyte` (seconds of both ends), or one of `more`."""
        if name == "value":
            return self.value
        if name == "resident":
            return max(self.resident, default=None)
        if name == "per_gigabyte":
            gigabytes = self.more.get("gigabytes")
            return sum(self.processor) / gigabytes if gigabytes and self.processor else None
        return self.more.get(name)


@dataclass(frozen=True)
class Failure:
    """A measurement that came to nothing, or an implementation that did not start (`test` is then empty)."""

    implementation: str
    test: str
    round: int
    reason: str


@dataclass
class Results:
    """`settings` and `machine` are for people; `missing` says by implementation why it could not take part.

    `gateways` has the samples of gateway to gateway, whose implementations are `gateways.Variant` names.
    """

    settings: dict[str, Any]
    machine: dict[str, str]
    samples: list[Sample] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    missing: dict[str, str] = field(default_factory=dict)
    gateways: list[Sample] = field(default_factory=list)

    def implementations(self) -> list[str]:
        """Those that were measured, in the order of the first round."""
        return list(dict.fromkeys(sample.implementation for sample in self.samples))

    def write(self, file: Path) -> None:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(asdict(self), indent=1, ensure_ascii=False) + "\n")


def read(file: Path) -> Results:
    """What `Results.write` wrote. Raises OSError, ValueError, TypeError or KeyError for anything else."""
    content = json.loads(file.read_text())
    for kind in ("samples", "gateways"):
        content[kind] = [Sample(**sample) for sample in content.get(kind, ())]
    content["failures"] = [Failure(**failure) for failure in content["failures"]]
    return Results(**content)
