"""The benchmark of path MTUs, a part of it: it measures, and judges its goals."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tools import ROOT

pytestmark = pytest.mark.lab


def test_a_short_run_finds_sizes_on_the_ladder_and_between(tmp_path: Path) -> None:
    file = tmp_path / "json"
    words = ("--rounds", "1", "--parts", "converge", "--plane", "python", "--json", str(file))
    command = [sys.executable, "-m", "tests.bench.pathmtu", *words]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=True)
    measured = json.loads(file.read_text())
    for found, truth in ((measured["on_ladder"][0], 1280), (measured["between"][0], 1293)):
        assert truth - 4 < found["size"] <= truth
        assert 0 <= found["near"] <= found["exact"]
        assert found["spent"] <= 40 * truth
    goals = {line.split("  ")[0]: line.split()[-1] for line in done.stdout.partition("\n\n")[2].splitlines()}
    assert goals["within 4 bytes, anywhere"] in ("met", "MISSED")
    assert goals["goodput up, of what is tuned by hand"] == "-"
