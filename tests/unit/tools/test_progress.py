"""Long steps say that they go on, end in time, and show why they failed."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

from tools import ROOT
from tools.progress import StepFailed, run_with_progress


def test_progress_counts_lines_while_the_program_runs(capfd: pytest.CaptureFixture[str]) -> None:
    run_with_progress(["sh", "-c", "echo a; echo b; sleep 0.5"], "building", unit="packages", interval=0.2)
    assert "building: 0 s, 2 packages" in capfd.readouterr().err


def test_failure_shows_the_exit_code_and_the_end_of_the_output() -> None:
    with pytest.raises(StepFailed, match=r"building: exit code 3\n +why it failed"):
        run_with_progress(["sh", "-c", "echo why it failed >&2; exit 3"], "building", unit="packages")


def test_program_over_its_limit_is_killed_with_its_children(tmp_path: Path) -> None:
    started = time.monotonic()
    with pytest.raises(StepFailed, match="downloading: stopped after 1 s"):
        run_with_progress(
            ["sh", "-c", f"(sleep 3; touch {tmp_path}/alive) & wait"], "downloading", unit="lines", limit=1
        )
    assert time.monotonic() - started < 2.5
    time.sleep(max(0, started + 3.5 - time.monotonic()))
    assert not (tmp_path / "alive").exists()


def test_terminated_set_up_ends_the_program_that_it_runs(tmp_path: Path) -> None:
    program = (
        "from tools.progress import *\n"
        "stop_on_signals()\n"
        f"run_with_progress(['sh', '-c', 'touch {tmp_path}/started; sleep 2; touch {tmp_path}/alive'], 'x', unit='y')"
    )
    set_up = subprocess.Popen([sys.executable, "-c", program], cwd=ROOT)
    while not (tmp_path / "started").exists():
        time.sleep(0.02)
    set_up.terminate()
    assert set_up.wait(5) == 128 + 15
    time.sleep(2.5)
    assert not (tmp_path / "alive").exists()
