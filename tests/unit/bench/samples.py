"""Runs made up for tests of what is made of them."""

from __future__ import annotations

from typing import Any

from tests.bench.dataplane.results import Results, Sample

MACHINE = {
    "date": "2026-01-02",
    "processor": "Some CPU, 2 processors",
    "avx512": "yes",
    "kernel": "6.1",
    "python": "3.11.2",
    "wgnode": "abcdef0",
    "wireguard-go": "1",
    "boringtun": "2",
    "gotatun": "3",
}
NAMES = ["none", "wireguard-go", "boringtun", "gotatun", "python", "fast", "fast-ring"]
SETTINGS = {"implementations": NAMES, "rounds": 3, "seconds": 2, "inner": 4, "outer": 6}


def sample(implementation: str, test: str, number: int, value: float, **more: Any) -> Sample:
    """A quiet one of both ends' 1 and 2 seconds and 10 and 20 MB, unless told otherwise."""
    given = {
        "more": {},
        "processor": [1.0, 2.0],
        "resident": [10.0, 20.0],
        "foreign": 0.0,
        "stolen": 0.0,
        "noisy": False,
    }
    return Sample(implementation, test, number, value, **{**given, **more})


def run(*samples: Sample, **machine: str) -> Results:
    return Results(dict(SETTINGS), {**MACHINE, **machine}, list(samples))
