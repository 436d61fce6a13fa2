"""The plugin's process, started as the engine starts it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import grpc
import pytest
from google.protobuf import empty_pb2
from pulumi.runtime.proto import provider_pb2_grpc

PROJECT = Path(__file__).resolve().parents[4]
SCRIPT = PROJECT / "plugin/wgnode/pulumi-resource-wgnode"


@pytest.fixture
def plugin(tmp_path):
    """Started somewhere else, with nothing on PATH but the system's own programs."""
    process = subprocess.Popen(
        [SCRIPT, "127.0.0.1:1"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
        env={"PATH": "/usr/bin:/bin"},
        start_new_session=True,
    )
    yield process
    process.kill()
    process.wait()


def test_it_prints_its_port_and_answers_there(plugin):
    port = int(plugin.stdout.readline())
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        info = provider_pb2_grpc.ResourceProviderStub(channel).GetPluginInfo(empty_pb2.Empty(), timeout=10)
    assert info.version


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_leaves_at_once_when_told_to(plugin, number):
    plugin.stdout.readline()
    start = time.monotonic()
    plugin.send_signal(number)
    assert plugin.wait(10) == 0
    assert time.monotonic() - start < 2


def test_it_does_not_outlive_an_engine_that_was_killed(tmp_path):
    engine = subprocess.Popen(
        ["sh", "-c", f"'{SCRIPT}' 127.0.0.1:1 & echo $!; wait"], stdout=subprocess.PIPE, text=True, cwd=tmp_path
    )
    pid = int(engine.stdout.readline())
    engine.stdout.readline()
    engine.kill()
    engine.wait()
    deadline = time.monotonic() + 15
    while _runs(pid):
        assert time.monotonic() < deadline
        time.sleep(0.1)


def _runs(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def test_without_the_virtual_environment_it_says_what_to_do(tmp_path):
    script = tmp_path / "plugin/wgnode/pulumi-resource-wgnode"
    script.parent.mkdir(parents=True)
    shutil.copy(SCRIPT, script)
    done = subprocess.run([script], capture_output=True, text=True, env=dict(os.environ))
    assert done.returncode == 1
    assert "make setup" in done.stderr
    assert str(tmp_path) in done.stderr
