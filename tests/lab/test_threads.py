"""How many threads help in a control group that a real kernel limits. Needs no network namespace."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from wgnode.dataplane.threads import CGROUPS

pytestmark = pytest.mark.lab

PROGRAM = """
import os, sys
from pathlib import Path
from wgnode.dataplane import threads
(Path(sys.argv[1]) / "cgroup.procs").write_text(str(os.getpid()))
os.sched_getaffinity = lambda _: set(range(8))
print(threads.quota(), threads.here())
"""
PERIOD = 100_000


@pytest.fixture
def group() -> Iterator[Path]:
    """A group of this test's own, of whichever version the processors' controller is in."""
    root = CGROUPS / "cpu" if (CGROUPS / "cpu").is_dir() else CGROUPS
    path = root / f"wgnode-test-{os.getpid()}"
    try:
        path.mkdir()
    except OSError as error:
        pytest.skip(f"no control group can be made here: {error}")
    try:
        if not any((path / file).exists() for file in ("cpu.max", "cpu.cfs_quota_us")):
            pytest.skip(f"{path}: the processors' controller is not given to it")
        yield path
    finally:
        path.rmdir()


def limit(group: Path, microseconds: int) -> None:
    """In each PERIOD; less than none: without a limit."""
    if (group / "cpu.max").exists():
        (group / "cpu.max").write_text(f"{'max' if microseconds < 0 else microseconds} {PERIOD}")
    else:
        (group / "cpu.cfs_period_us").write_text(f"{PERIOD}")
        (group / "cpu.cfs_quota_us").write_text(f"{microseconds}")


@pytest.mark.parametrize(
    ("microseconds", "expected"), [(150_000, "1.5 1"), (299_000, "2.99 1"), (300_000, "3.0 2"), (-1, "None 2")]
)
def test_a_limit_of_the_kernels_decides_how_many_threads_help(group: Path, microseconds: int, expected: str) -> None:
    limit(group, microseconds)
    asked = subprocess.run(
        [sys.executable, "-c", PROGRAM, group], capture_output=True, text=True, check=False, timeout=60
    )
    assert asked.stdout == f"{expected}\n", asked.stderr
