"""The plugin's process, started as the engine starts it."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import grpc
import pytest
from google.protobuf import empty_pb2, struct_pb2
from pulumi.runtime.proto import provider_pb2, provider_pb2_grpc

from pulumi_wgnode.provider import spare

PROJECT = Path(__file__).resolve().parents[4]
SCRIPT = PROJECT / "plugin/wgnode/pulumi-resource-wgnode"


engines = count(1)
Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts one as the same engine does, this process: somewhere else, with nothing on PATH but the system's own
    programs, in a group of its own."""
    engine, started = f"127.0.0.1:{next(engines)}", []

    def make(**environment: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [SCRIPT, engine],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=tmp_path,
            env={"PATH": "/usr/bin:/bin", **environment},
            process_group=0,
        )
        started.append(process)
        return process

    yield make
    for process in started:
        process.kill()
        process.wait()


@pytest.fixture
def plugin(start: Start) -> subprocess.Popen[str]:
    return start()


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
    except (FileNotFoundError, ProcessLookupError):  # ended before it was opened, or while it was read (proc(5))
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


def _serves(port: int) -> int:
    """The process that listens there."""
    found = subprocess.run(["ss", "-Hltnp", f"sport = :{port}"], capture_output=True, text=True, check=True)
    return int(found.stdout.partition("pid=")[2].partition(",")[0])


def _imported(process: int) -> bool:
    """Whether it has loaded what takes long."""
    return "cygrpc" in Path(f"/proc/{process}/maps").read_text()


def _refused(port: int) -> list[str]:
    """What is wrong with the provider's options, those of its environment with them."""
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        request = provider_pb2.CheckRequest(news=struct_pb2.Struct())
        answer = provider_pb2_grpc.ResourceProviderStub(channel).CheckConfig(request, timeout=10)
    return [failure.property for failure in answer.failures]


def test_a_later_start_of_the_same_engine_imports_nothing_again_and_has_its_own_environment(start: Start) -> None:
    first = start()
    port = int(first.stdout.readline())
    second = start(WGNODE_SKIP_UNREACHABLE="perhaps")
    other = int(second.stdout.readline())
    assert _imported(first.pid)
    assert not _imported(second.pid)
    assert os.getpgid(_serves(other)) == second.pid  # the engine may end the group
    assert (_refused(port), _refused(other)) == ([], ["skipUnreachable"])


@pytest.mark.parametrize("ends", [False, True], ids=["beside the first", "after the first"])
def test_a_later_start_leaves_at_once_too_when_told_to(start: Start, ends: bool) -> None:
    first = start()
    first.stdout.readline()
    second = start()
    serving = _serves(int(second.stdout.readline()))
    assert serving != second.pid
    if ends:
        first.send_signal(signal.SIGINT)
        assert (first.wait(10), first.stdout.read(), first.stderr.read()) == (0, "", "")  # nobody holds them open
    second.send_signal(signal.SIGINT)
    assert second.wait(10) == 0
    assert not _runs(serving)


def test_what_serves_for_a_later_start_that_was_killed_ends(start: Start) -> None:
    start().stdout.readline()
    second = start()
    serving = _serves(int(second.stdout.readline()))
    second.kill()
    _wait_for(lambda: not _runs(serving))


def test_a_later_start_ends_badly_when_what_serves_for_it_does(start: Start) -> None:
    start().stdout.readline()
    second = start()
    os.kill(_serves(int(second.stdout.readline())), signal.SIGKILL)
    assert second.wait(10) == 1


def test_another_version_and_another_user_are_not_served_for(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever listens there in their name: a start goes its own way."""
    with socket.socket(socket.AF_UNIX) as listener:
        monkeypatch.setattr(os, "getppid", os.getpid)
        engine = f"127.0.0.1:{next(engines)}"
        listener.bind(spare._name(engine))
        listener.listen()
        monkeypatch.setattr(spare, "_peer", lambda connection: (1, os.getuid() + 1))
        assert spare.hand_over(engine) is None
        monkeypatch.undo()
    first = start()
    first.stdout.readline()
    engine = first.args[1]
    told = "from pulumi_wgnode.provider import spare; spare._CODE = '/elsewhere'; import sys; sys.exit(0 if"
    code = f"{told} spare.hand_over({engine!r}) is None else 1)"
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=30).returncode == 0


def test_the_spare_process_ends_with_its_engine(tmp_path: Path) -> None:
    address = f"127.0.0.1:{next(engines)}"
    script = f"exec 3>&1; '{SCRIPT}' {address} >&3 & read line; kill -INT $!; wait"
    with subprocess.Popen(["sh", "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as engine:
        assert engine.stdout is not None
        engine.stdout.readline()
        name = f"@wgnode-plugin/{os.getuid()}/{engine.pid}/{address}"
        assert name in Path("/proc/net/unix").read_text()
        engine.kill()
    _wait_for(lambda: name not in Path("/proc/net/unix").read_text())


def _wait_for(done: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not done():
        assert time.monotonic() < deadline
        time.sleep(0.05)
