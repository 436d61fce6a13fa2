"""The command line: what it says, and that no command pays for another's imports."""

from __future__ import annotations

import subprocess
import sys
import syslog

import pytest
from click.testing import CliRunner

from wgnode.cli import COMMANDS, device, main
from wgnode.io.packet_io import PlaneDied


def test_commands_are_listed_without_importing_any() -> None:
    program = (
        "import sys; from wgnode.cli import main; main(['--help'], standalone_mode=False);"
        "print([name for name in sys.modules if name.startswith('wgnode.') and name != 'wgnode.cli'])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
    assert all(f"  {name}" in done.stdout for section in COMMANDS.values() for name in section)


def test_the_node_starts_without_what_only_operators_need() -> None:
    program = "import sys; import wgnode.cli.device; print(sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    heavy = (
        "asyncio",
        "pydantic",
        "pulumi",
        "paramiko",
        "yaml",
        "ssl",
        "urllib.request",
        "subprocess",
        "multiprocessing",
    )
    assert not [name for name in heavy if f"'{name}'" in done.stdout]


def test_an_unknown_command_is_an_error() -> None:
    assert CliRunner().invoke(main, ["nonsense"]).exit_code == 2


@pytest.mark.parametrize("arguments", [["device", "--help"], ["device", "-h"]])
def test_help_has_examples(arguments: list[str]) -> None:
    done = CliRunner().invoke(main, arguments)
    assert done.exit_code == 0
    for words in ("Examples:", "wg set wg0 private-key", "LOG_LEVEL", "Exit status"):
        assert words in done.output


def test_help_says_when_wg_quick_does_not_call_it() -> None:
    """wg-quick asks for another program only after `ip link add type wireguard` has failed."""
    said = " ".join(CliRunner().invoke(main, ["device", "--help"]).output.split())
    assert "With wg-quick, where the kernel has no WireGuard: WG_QUICK_USERSPACE_IMPLEMENTATION=wgnode-device" in said
    assert (
        "Where it has (`ip link add wg9 type wireguard` works), wg-quick takes that and this program is not run" in said
    )
    assert "wgnode device wg0 && wg setconf wg0 <(wg-quick strip wg0)" in said


def test_an_impossible_name_is_refused_before_anything_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device, "forbid_core_dumps", lambda: None)  # of this process, please
    done = CliRunner().invoke(device.command, ["much-too-long-for-a-name", "-f"])
    assert done.exit_code == 1
    assert "interface name 'much-too-long-for-a-name': 1 to 15 bytes" in done.output


@pytest.mark.parametrize(
    ("level", "said"),
    [
        ("silent", []),
        ("error", ["wg0: refused"]),
        (None, ["wg0: refused"]),
        ("nonsense", ["wg0: refused"]),
        ("verbose", ["wg0: refused", "wg0: serving"]),
        ("DEBUG", ["wg0: refused", "wg0: serving"]),
    ],
)
def test_log_level_says_how_much(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], level: str | None, said: list[str]
) -> None:
    monkeypatch.delenv("LOG_LEVEL", raising=False)
    if level is not None:
        monkeypatch.setenv("LOG_LEVEL", level)
    log = device._logger("wg0")
    log(device.ERROR, "refused")
    log(device.DEBUG, "serving")
    told = capsys.readouterr()
    assert (told.err.splitlines(), told.out) == (said, "")


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (PermissionError(1, "Operation not permitted"), "run it as root"),
        (OSError(16, "Device or resource busy"), "in use by another process"),
        (FileNotFoundError(2, "No such file or directory"), "modprobe tun"),
        (OSError(5, "Input/output error"), "Input/output error"),
    ],
)
def test_failures_say_what_to_do(error: OSError, words: str) -> None:
    told = device._explain("wg0", error)
    assert told.startswith("cannot run a node on wg0: ")
    assert words in told


class Doomed:
    """A node whose plane dies."""

    def __init__(self, *_: object) -> None: ...

    def begin(self) -> None: ...

    def run(self) -> None:
        raise PlaneDied("the data plane's thread has ended: Invalid argument")

    def close(self) -> None: ...


@pytest.mark.parametrize("options", [["-f"], []])
def test_a_plane_that_dies_is_told_and_a_daemon_tells_the_systems_log(
    monkeypatch: pytest.MonkeyPatch, options: list[str]
) -> None:
    told: list[tuple[int, str]] = []
    monkeypatch.setattr(device, "forbid_core_dumps", lambda: None)
    monkeypatch.setattr(device, "_begin", lambda *_: None)
    monkeypatch.setattr(device, "DeviceProcess", Doomed)
    monkeypatch.setattr(syslog, "syslog", lambda *words: told.append(words))
    monkeypatch.delenv("WG_PROCESS_FOREGROUND", raising=False)
    done = CliRunner().invoke(device.command, ["wg0", "--dataplane", "python", *options])
    assert (done.exit_code, done.output) == (1, "Error: wg0: the data plane's thread has ended: Invalid argument\n")
    of_daemon = (syslog.LOG_ERR, "wgnode: wg0: the node ends: the data plane's thread has ended: Invalid argument")
    assert told == ([] if options else [of_daemon])
