"""The benchmark of the data plane, for a second: it measures, writes, and leaves nothing behind however it ends."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.bench.dataplane import results
from tests.lab.interop import run, wait_for
from tools import ROOT
from wgnode.image import extension

pytestmark = pytest.mark.lab

SHORT = ("--implementations", "python", "--rounds", "1", "--seconds", "1", "--patience", "0")


def command(directory: Path, tests: str) -> list[str]:
    files = (f"--{kind}={directory / kind}" for kind in ("json", "markdown", "svg"))
    return [sys.executable, "-m", "tests.bench.dataplane", *SHORT, "--tests", tests, *files]


def namespaces(said: str) -> set[str]:
    """Those that its progress names."""
    return set(re.findall(r"wgi-[0-9a-f]{6}-[ab]", said))


def test_a_short_run_has_a_figure_for_everything_and_leaves_nothing(tmp_path: Path) -> None:
    words = command(tmp_path, "tcp,udp-overload,ping-idle")
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=120, check=True)
    found = results.read(tmp_path / "json")
    assert found.failures == []
    assert [sample.test for sample in found.samples] == ["tcp", "udp-overload", "ping-idle"]
    for sample in found.samples:
        assert sample.value > 0
        assert 5 < min(sample.resident) < 500
    assert min(found.samples[0].processor) > 0
    assert "| python |" in done.stdout
    assert done.stdout.splitlines()[0] in (tmp_path / "markdown").read_text()
    assert "python" in (tmp_path / "svg").read_text()
    assert len(namespaces(done.stderr)) == 2
    assert namespaces(done.stderr).isdisjoint(run("ip", "netns", "list").split())


def test_gateways_as_processes_are_measured_on_both_data_planes_and_leave_nothing(tmp_path: Path) -> None:
    if not extension.files():
        pytest.skip("the compiled data plane is not there (not installed)")
    words = [*command(tmp_path, "gateways"), "--implementations", "python,fast", "--gateways", "process"]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=120, check=True)
    found = results.read(tmp_path / "json")
    assert (found.failures, found.samples) == ([], [])
    measured = [(sample.implementation, sample.test) for sample in found.gateways]
    tests = ("tcp", "tcp-reverse", "ping-idle")
    assert measured == [(f"process-{plane}", test) for plane in ("python", "fast") for test in tests]
    assert all(sample.value > 0 for sample in found.gateways)
    assert min(min(sample.processor) for sample in found.gateways if sample.test == "tcp") > 0
    assert "### Gateway to gateway" in done.stdout
    made = set(re.findall(r"wgi-[0-9a-f]{6}", done.stderr))
    assert len(made) == 2
    assert not any(name in run("ip", "netns", "list") for name in made)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_an_interrupted_run_removes_its_namespaces_and_keeps_its_figures(
    tmp_path: Path, number: signal.Signals
) -> None:
    with (log := tmp_path / "log").open("w") as output, subprocess.Popen(
        command(tmp_path, "ping-idle,tcp,tcp-reverse,bidir"), cwd=ROOT, stdout=output, stderr=output
    ) as process:  # fmt: skip
        wait_for(lambda: re.search(r"ping-idle [\d.]+ ms", log.read_text()), "no measurement was taken", 60)
        assert namespaces(log.read_text()) <= set(run("ip", "netns", "list").split())
        process.send_signal(number)
        process.send_signal(number)
        assert process.wait(30) == 128 + number
    assert len(namespaces(log.read_text())) == 2
    assert namespaces(log.read_text()).isdisjoint(run("ip", "netns", "list").split())
    assert results.read(tmp_path / "json").samples[0].test == "ping-idle"
