"""Which parts of a platform there are, and who has them."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.fake_platform import FakePlatform
from wgnode.io.clock import boottime
from wgnode.io.tun import TunOffloads
from wgnode.platform import Confinement, Platform, clock, open_tun
from wgnode.platform.linux import Process
from wgnode.platform.linux.machine import Init, Microvm
from wgnode.platform.linux.watchdog import Watchdog

PARTS = {name for name, member in vars(Platform).items() if isinstance(member, property)}


def missing(platform: object) -> set[str]:
    return {name for name in PARTS if getattr(platform, name) is None}


def test_a_gateways_linux_has_all_parts_and_a_processs_those_that_nobody_else_looks_after() -> None:
    assert missing(Microvm()) == set()
    assert missing(Process()) == {"set_clock", "links", "neighbours", "layers", "control", "machine"}
    assert missing(FakePlatform()) == PARTS
    with pytest.raises(AttributeError, match="'clocks'"):
        FakePlatform(clocks=time.monotonic)


def test_every_part_says_what_is_done_without_it() -> None:
    assert [name for name in sorted(PARTS) if "None:" not in (getattr(Platform, name).__doc__ or "")] == []


def test_without_a_clock_of_its_own_deadlines_go_by_the_common_one() -> None:
    assert clock(FakePlatform()) is time.monotonic
    assert clock(Process()) is boottime


def test_what_the_tun_shall_do_is_asked_only_of_a_platform_that_can(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[object, ...]] = []
    monkeypatch.setattr("wgnode.platform.Tun", lambda *arguments: asked.append(arguments))
    wanted = TunOffloads(vnet_header=True, tso4=True, tso6=True)
    open_tun(FakePlatform(), "wg0", 1420, wanted)
    open_tun(FakePlatform(tun=lambda *arguments: asked.append(arguments)), "wg1", 1400, wanted)
    assert asked == [("wg0", 1420), ("wg1", 1400, wanted)]


def test_the_watchdog_is_armed_when_all_is_ready_and_fed_by_signs_of_life(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    device = tmp_path / "watchdog"
    monkeypatch.setattr("wgnode.platform.linux.machine.confine", lambda warn: Confinement())
    monkeypatch.setattr("wgnode.platform.linux.machine.Watchdog", lambda warn: Watchdog(warn, str(device)))
    init, warnings = Init(), list[str]()
    init.alive()
    init.ready(warnings.append)
    init.alive()
    assert warnings == ["no watchdog: No such file or directory"]
    device.touch()
    init.ready(warnings.append)
    assert device.read_bytes() == b""
    init.alive()
    init.alive()
    assert device.read_bytes() == b"\0\0"
