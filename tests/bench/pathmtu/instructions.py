"""Instructions of the compiled plane's engine for a lone packet, with a limit and a search and without: the same on a
busy machine. The kernel's share is not in them."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from tools.fastpath.wheel import CRATE

PROGRAM = CRATE / "target" / "release" / "examples" / "engine_bench"
FEW, MANY = 500, 1500
SIZES = 64, 1420
WAYS = "send", "receive"
REFERENCES = re.compile(r"I\s+refs:\s+([\d,]+)")


def measure() -> dict[str, tuple[float, float]]:
    """By way and size: a packet's instructions with a limit, and without. Empty where valgrind or Cargo is missing."""
    valgrind, cargo = shutil.which("valgrind"), shutil.which("cargo")
    if valgrind is None or cargo is None:
        return {}
    made = (cargo, "build", "--quiet", "--release", "--locked", "--no-default-features", "--example", PROGRAM.name)
    subprocess.run(made, cwd=CRATE, check=True)
    counted = {}
    for way in WAYS:
        for size in SIZES:
            # The message that is received has to be made, which is the other end's affair.
            other = _of_a_packet(valgrind, PROGRAM, ["seal", str(size)]) if way == "receive" else 0.0
            each = [_of_a_packet(valgrind, PROGRAM, [*words, way, str(size)]) for words in (["limited"], [])]
            counted[f"{way} {size}"] = (each[0] - other, each[1] - other)
    return counted


def _of_a_packet(valgrind: str, program: Path, words: Sequence[str]) -> float:
    """What more packets cost more: the beginning is left out."""
    *before, way, size = words
    total = []
    for runs in (FEW, MANY):
        command = [valgrind, "--tool=callgrind", "--callgrind-out-file=/dev/null", str(program)]
        done = subprocess.run(
            [*command, *before, "count", str(runs), way, size], capture_output=True, text=True, check=True
        )
        total.append(references(done.stderr))
    return (total[1] - total[0]) / (MANY - FEW)


def references(said: str) -> int:
    """Of what callgrind writes. Raises ValueError."""
    found = REFERENCES.search(said)
    if found is None:
        raise ValueError(f"callgrind counts nothing: {said[-500:]}")
    return int(found[1].replace(",", ""))
