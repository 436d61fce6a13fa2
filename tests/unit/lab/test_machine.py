"""What the lab says of a machine that it cannot run on: each shortcoming by name, with the way out."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from lab import machine
from lab.errors import LabError
from lab.process import run

ALL = (1 << 41) - 1


@pytest.fixture
def proc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The /proc of a machine that has all, and no module to load besides."""
    files = {
        "sys/kernel/osrelease": "5.14.0-1-amd64\n",
        "self/status": f"Name:\tpython\nCapEff:\t{ALL:016x}\n",
        "filesystems": "nodev\ttmpfs\nnodev\toverlay\n\text4\n",
        "misc": "200 tun\n",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    (tmp_path / "sys/net/ipv6").mkdir(parents=True)
    monkeypatch.setattr(machine, "missing_packages", list)
    monkeypatch.setattr(machine.cgroup, "mounted", lambda: Path("/sys/fs/cgroup"))
    monkeypatch.setattr(machine, "run", lambda *_, **__: run(["true"]))
    return tmp_path


def test_a_machine_that_has_all_lacks_nothing(proc: Path) -> None:
    assert list(machine.shortcomings(proc)) == []


@pytest.mark.parametrize(
    ("file", "text", "said"),
    [
        ("sys/kernel/osrelease", "5.13.19-generic\n", "kernel 5.13.19-generic is too old: 5.14 or newer"),
        ("sys/kernel/osrelease", "5.10.0-34-amd64\n", "too old"),
        ("filesystems", "nodev\ttmpfs\n", "no overlay file system.*reboot"),
        ("misc", "200 network_tun\n", "no TUN device and no module 'tun' in /lib/modules/5.14.0-1-amd64"),
        ("self/status", f"CapEff:\t{ALL ^ 1 << 27:016x}\n", "root lacks CAP_MKNOD, .*--privileged"),
    ],
)
def test_a_shortcoming_is_named_with_the_way_out(proc: Path, file: str, text: str, said: str) -> None:
    (proc / file).write_text(text)
    found = list(machine.shortcomings(proc))
    assert len(found) == 1
    with pytest.raises(LabError, match=said):
        raise LabError(found[0])


def test_a_kernel_booted_without_ipv6_is_named(proc: Path) -> None:
    shutil.rmtree(proc / "sys/net/ipv6")
    assert list(machine.shortcomings(proc)) == ["the kernel has no IPv6; boot it without ipv6.disable=1"]


def test_all_shortcomings_come_at_once(proc: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "missing_packages", lambda: ["mmdebstrap"])
    (proc / "misc").write_text("")
    assert len(list(machine.shortcomings(proc))) == 2


def test_space_is_looked_at_where_the_directory_will_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def usage(path: Path) -> os.stat_result:
        asked.append(path)
        return shutil._ntuple_diskusage(10 << 20, 5 << 20, 5 << 20)  # type: ignore[attr-defined,no-any-return]

    monkeypatch.setattr(machine.shutil, "disk_usage", usage)
    machine.check_space(tmp_path / "not/yet", 5 << 20, "free some")
    with pytest.raises(LabError, match=r"not/yet has 5 MiB free, 6 MiB are needed; free some"):
        machine.check_space(tmp_path / "not/yet", 6 << 20, "free some")
    assert asked == [tmp_path, tmp_path]
