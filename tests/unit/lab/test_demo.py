"""The demo's own decisions, without a lab: what it shows, what it proves, how it ends."""

from __future__ import annotations

import argparse
import errno
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from lab import demo, process
from lab.errors import LabError
from lab.probes import Transfer


class FakeLab:
    """Two sites whose clients answer, but for the addresses in `silent` and `corrupting`."""

    def __init__(self, silent: str = "", corrupting: str = "") -> None:
        self.silent, self.corrupting = silent, corrupting
        self.asked: list[tuple[str, ...]] = []
        clients = {"berlin": ["10.1.0.100", "fd00:10:1::100"], "cabin": ["10.2.0.100", "fd00:10:2::100"]}
        self.inventory = {"hosts": {site: {"client": {"addresses": found}} for site, found in clients.items()}}

    def ping(self, role: str, address: str, **_: Any) -> bool:
        self.asked.append(("ping", role, address))
        return address != self.silent

    def transfer(self, source: str, target: str, address: str, size: int) -> Transfer:
        self.asked.append(("transfer", source, target, address))
        received = "cd" if address == self.corrupting else "ab"
        return Transfer(size=size, sha256="ab" * 32, received_sha256=received * 32, seconds=1.0)


def test_a_status_of_nothing_says_how_to_deploy(tmp_path: Path) -> None:
    lab = SimpleNamespace(name="nowhere", directory=tmp_path, inventory={"hosts": {}})
    with pytest.raises(LabError, match="nothing is deployed in lab 'nowhere'; `make demo`"):
        demo._status(lab, argparse.Namespace())  # type: ignore[arg-type]


def test_the_proof_is_a_ping_and_a_file_in_both_families() -> None:
    lab = FakeLab()
    demo.prove(lab)  # type: ignore[arg-type]
    assert lab.asked == [
        ("ping", "berlin.client", "10.2.0.100"),
        ("transfer", "berlin.client", "cabin.client", "10.2.0.100"),
        ("ping", "berlin.client", "fd00:10:2::100"),
        ("transfer", "berlin.client", "cabin.client", "fd00:10:2::100"),
    ]


@pytest.mark.parametrize("address", ["10.2.0.100", "fd00:10:2::100"])
@pytest.mark.parametrize(("how", "said"), [("silent", "no answer to a ping"), ("corrupting", "SHA-256 cdcd")])
def test_a_proof_that_fails_is_an_error_with_the_address(address: str, how: str, said: str) -> None:
    with pytest.raises(LabError, match=said) as error:
        demo.prove(FakeLab(**{how: address}))  # type: ignore[arg-type]
    assert address in str(error.value)


@pytest.mark.parametrize(
    ("raised", "code", "said"),
    [
        (LabError("no bridge"), 1, "no bridge"),
        (OSError(errno.ENOSPC, "No space left on device", "/var/x"), 1, "No space left on device: /var/x; free some"),
        (KeyboardInterrupt(), 130, "make demo"),
    ],
)
def test_the_demo_ends_with_a_reason_and_a_code(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], raised: BaseException, code: int, said: str
) -> None:
    def fail(*_: Any) -> int:
        raise raised

    monkeypatch.setattr(demo, "_status", fail)
    monkeypatch.setattr(demo.os, "geteuid", lambda: 0)
    assert demo.main(["--name", "nowhere", "status"]) == code
    shown = capsys.readouterr()
    assert said in shown.err
    assert "Traceback" not in shown.err


def test_wrong_usage_is_code_2(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        demo.main(["sideways"])
    assert ended.value.code == 2
    assert "sideways" in capsys.readouterr().err


def test_without_an_image_the_lab_is_not_even_started(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Any
) -> None:
    monkeypatch.setattr(demo, "IMAGE", tmp_path / "appliance.tar")
    monkeypatch.setattr(demo.os, "geteuid", lambda: 0)
    monkeypatch.setattr(demo.Lab, "up", lambda self: pytest.fail("started"))
    assert demo.main(["--name", "nowhere", "up"]) == 1
    assert "make image" in capsys.readouterr().err


@pytest.mark.parametrize(("file", "told"), [("appliance.tar", False), ("appliance-plain.tar", True)])
def test_a_lesser_image_than_the_pinned_one_is_told_of(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path, file: str, told: bool
) -> None:
    def stop(lab: demo.Lab) -> None:
        raise LabError("enough")

    (tmp_path / file).touch()
    monkeypatch.setattr(demo, "IMAGE", tmp_path / file)
    monkeypatch.setattr(demo.os, "geteuid", lambda: 0)
    monkeypatch.setattr(demo.Lab, "up", stop)
    assert demo.main(["--name", "nowhere", "up"]) == 1
    assert ("several times slower" in capsys.readouterr().err) == told


def test_an_ordinary_user_is_told_to_use_sudo(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(demo.os, "geteuid", lambda: 1000)
    assert demo.main(["--name", "nowhere", "status"]) == 1
    assert "sudo" in capsys.readouterr().err


def test_commands_are_shown_as_the_one_who_made_the_demo_can_type_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SUDO_UID", raising=False)
    assert "sudo .venv" not in demo.explore(Path("/project"))
    assert "\n" + " " * 4 + ".venv/bin/python" in demo.explore(Path("/project"))
    assert process.ours("down") == ".venv/bin/python -m lab down"
    monkeypatch.setenv("SUDO_UID", "1000")
    # Without byte code, which root would leave in that user's clone.
    assert demo.explore(Path("/project")).count("sudo .venv/bin/python -B -m lab") == 3
    assert process.ours("down") == "sudo .venv/bin/python -m lab down"


def test_an_error_that_nobody_foresaw_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> int:
        raise PermissionError(errno.EPERM, "not permitted")

    monkeypatch.setattr(demo, "_status", fail)
    monkeypatch.setattr(demo.os, "geteuid", lambda: 0)
    with pytest.raises(PermissionError):
        demo.main(["--name", "nowhere", "status"])
