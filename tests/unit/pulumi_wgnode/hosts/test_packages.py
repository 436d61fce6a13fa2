"""Installing packages by the machine's real apt and dpkg, on a system of its own in a folder."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pulumi_wgnode.call import log
from pulumi_wgnode.call.log import Severity
from pulumi_wgnode.hosts.host import HostError
from pulumi_wgnode.hosts.packages import apt, packages
from tests.unit.pulumi_wgnode.hosts.debian import Debian

LOCKS = ("var/lib/apt/lists/lock", "var/lib/dpkg/lock-frontend", "var/lib/dpkg/lock", "var/cache/apt/archives/lock")
_HOLD = """import fcntl, sys
held = open(sys.argv[1], "w")
fcntl.lockf(held, fcntl.LOCK_EX)
print("held", flush=True)
sys.stdin.read()"""


@pytest.fixture
def debian(tmp_path: Path) -> Debian:
    return Debian(tmp_path)


@pytest.fixture
def told() -> Iterator[list[tuple[str, Severity]]]:
    lines: list[tuple[str, Severity]] = []
    log.send_to(lambda text, severity: lines.append((text, severity)))
    yield lines
    log.send_to(None)


def refused(debian: Debian, *names: str) -> str:
    with pytest.raises(HostError) as caught:
        packages.install(debian, names)
    return str(caught.value)


def test_what_is_missing_is_installed_and_seen(debian: Debian, told: list[tuple[str, Severity]]) -> None:
    debian.package("nft")
    packages.install(debian, ["nft"])
    assert packages._states(debian.run(packages.query(["nft"]).argv)) == {"nft": "installed"}
    assert [severity for _, severity in told] == [Severity.STATUS], "nothing that stays"


@pytest.mark.parametrize("changed", [False, True], ids=["there-first", "changed-since"])
def test_a_configuration_file_of_the_hosts_own_stays(debian: Debian, changed: bool) -> None:
    debian.package("nft", conffile="/etc/nft.conf")
    mine = debian.root / "etc/nft.conf"
    if changed:
        packages.install(debian, ["nft"])
        debian.dpkg("--remove", "nft")
    mine.write_text("mine\n")
    (debian.root / "etc/apt/apt.conf.d/local").write_text('Dpkg::Options { "--force-confnew"; };\n')
    packages.install(debian, ["nft"])
    assert mine.read_text() == "mine\n"
    assert debian.state("nft") == "ii"


def test_nobody_is_asked_and_no_service_restarted(debian: Debian) -> None:
    debian.package("nft", postinst='env >"$DPKG_ROOT/tmp/environment"; read line && exit 1; exit 0')
    packages.install(debian, ["nft"])
    environment = (debian.root / "tmp/environment").read_text().splitlines()
    assert {"NEEDRESTART_SUSPEND=1", "UCF_FORCE_CONFFOLD=1", "APT_LISTCHANGES_FRONTEND=none"} <= set(environment)


def test_nothing_is_removed_and_what_would_have_been_is_named(debian: Debian) -> None:
    for name in ("firewall-a", "firewall-b"):
        debian.package(name)
    packages.install(debian, ["firewall-a", "firewall-b"])
    debian.package("nft", Conflicts="firewall-a, firewall-b")
    said = refused(debian, "nft")
    assert "cannot install nft: it would have to remove firewall-a, firewall-b, and nothing is removed" in said
    assert "then run it again" in said
    assert debian.state("firewall-a") == debian.state("firewall-b") == "ii"


def test_a_host_that_removes_what_is_unused_by_itself_keeps_it_now(debian: Debian) -> None:
    for name in ("unused", "nft"):
        debian.package(name)
    packages.install(debian, ["unused"])
    debian.run(["apt-mark", "auto", "unused"])
    (debian.root / "etc/apt/apt.conf.d/local").write_text('APT::Get::AutomaticRemove "true";\n')
    packages.install(debian, ["nft"])
    assert (debian.state("unused"), debian.state("nft")) == ("ii", "ii")


@contextmanager
def held(path: Path) -> Iterator[subprocess.Popen[str]]:
    """By another process, as POSIX locks want it."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", _HOLD, str(path)], text=True, **pipes) as holder:  # type: ignore[call-overload]
        assert holder.stdout.readline() == "held\n"
        yield holder
        holder.stdin.close()


@pytest.mark.parametrize("lock", LOCKS)
def test_each_lock_is_waited_for_and_its_holder_told(
    debian: Debian, lock: str, told: list[tuple[str, Severity]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(apt, "RETRY", 0.05)
    debian.package("nft")

    def waiting() -> list[tuple[str, Severity]]:
        return [(text, severity) for text, severity in told if "waiting for another apt" in text]

    def release_once_told() -> None:
        until = time.monotonic() + 60
        while len(waiting()) < 2 and time.monotonic() < until:
            time.sleep(0.02)
        holder.stdin.close()

    with held(debian.root / lock) as holder:
        threading.Thread(target=release_once_told, daemon=True).start()
        packages.install(debian, ["nft"])
    assert debian.state("nft") == "ii"
    assert str(holder.pid) in waiting()[0][0] or "dpkg/lock" in lock
    assert [severity for _, severity in waiting()[:2]] == [Severity.INFO, Severity.STATUS]


def test_waiting_ends_and_says_who_holds_the_lock(debian: Debian, monkeypatch: pytest.MonkeyPatch) -> None:
    assert apt.LOCK_TIMEOUT >= 3600, "as long as unattended-upgrades takes"
    monkeypatch.setattr(apt, "LOCK_TIMEOUT", -1.0)
    debian.package("nft")
    with held(debian.root / LOCKS[1]) as holder:
        assert f"(pid {holder.pid}), holds its lock" in refused(debian, "nft")


def test_an_interrupted_run_does_not_wait_any_longer(debian: Debian, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apt, "cancelled", lambda: True)
    debian.package("nft")
    with held(debian.root / LOCKS[0]):
        assert "holds its lock" in refused(debian, "nft")


def test_a_lock_that_cannot_be_opened_is_not_waited_for(debian: Debian) -> None:
    (debian.root / LOCKS[1]).mkdir()
    debian.package("nft")
    assert "Could not open lock file" in refused(debian, "nft")


def test_why_the_lists_could_not_be_fetched_is_told(debian: Debian) -> None:
    with (debian.root / "etc/apt/sources.list").open("a") as sources:
        sources.write("deb [trusted=yes] file:/nowhere/at/all ./\n")
    (debian.repository / "Packages").touch()
    said = refused(debian, "nft")
    assert "Unable to locate package nft" in said
    assert "no package source of the host has it" in said
    assert "`apt-get update` had failed before: " in said
    assert "/nowhere/at/all" in said


def test_a_source_that_fails_does_not_matter_where_the_package_is_to_be_had(
    debian: Debian, told: list[tuple[str, Severity]]
) -> None:
    with (debian.root / "etc/apt/sources.list").open("a") as sources:
        sources.write("deb [trusted=yes] file:/nowhere/at/all ./\n")
    debian.package("nft")
    packages.install(debian, ["nft"])
    assert any("/nowhere/at/all" in text for text, severity in told if severity is Severity.INFO)


def test_a_virtual_package_has_no_candidate(debian: Debian) -> None:
    debian.package("one", Provides="some-nft")
    debian.package("two", Provides="some-nft")
    said = refused(debian, "some-nft")
    assert "has no installation candidate" in said
    assert "add one to /etc/apt/sources.list.d" in said


def test_what_a_package_needs_and_cannot_have_is_told(debian: Debian) -> None:
    debian.package("nft", Depends="libnft (>= 9)")
    debian.package("libnft")
    said = refused(debian, "nft")
    assert "nft : Depends: libnft (>= 9)" in said


def test_a_held_package_is_there(debian: Debian) -> None:
    debian.package("nft")
    packages.install(debian, ["nft"])
    debian.run(["apt-mark", "hold", "nft"])
    assert debian.state("nft") == "hi"
    assert packages._states(debian.run(packages.query(["nft"]).argv)) == {"nft": "installed"}


def test_a_package_that_is_held_back_from_being_installed_is_told_with_the_way_out(debian: Debian) -> None:
    debian.package("nft")
    packages.apt.update(debian)
    debian.run(["apt-mark", "hold", "nft"])
    said = refused(debian, "nft")
    assert "eld packages" in said
    assert "apt-mark unhold" in said


def test_a_dpkg_that_was_interrupted_is_brought_to_its_end(debian: Debian) -> None:
    for name in ("theirs", "nft"):
        debian.package(name)
    debian.dpkg("--unpack", str(debian.repository / "theirs.deb"))
    (debian.root / "var/lib/dpkg/updates/0001").write_text("")
    assert debian.state("theirs") == "iU"
    packages.install(debian, ["nft"])
    assert (debian.state("theirs"), debian.state("nft")) == ("ii", "ii")


def test_a_half_configured_package_is_not_there_and_is_configured(debian: Debian) -> None:
    debian.package("nft", postinst='test -e "$DPKG_ROOT/tmp/mended"')
    said = refused(debian, "nft")
    assert "post-installation script" in said
    assert "`dpkg --audit` there says more" in said
    assert debian.state("nft") == "iF"
    assert packages._states(debian.run(packages.query(["nft"]).argv)) == {}
    (debian.root / "tmp/mended").touch()
    packages.install(debian, ["nft"])
    assert debian.state("nft") == "ii"


def test_a_broken_package_of_the_hosts_own_is_warned_of_and_no_hindrance(
    debian: Debian, told: list[tuple[str, Severity]]
) -> None:
    debian.package("theirs", postinst="exit 1")
    debian.package("nft")
    debian.dpkg("--install", str(debian.repository / "theirs.deb"))
    packages.install(debian, ["nft"])
    assert debian.state("nft") == "ii"
    (warning,) = [text for text, severity in told if severity is Severity.WARNING]
    assert "nft installed, but apt-get reports" in warning
    assert "theirs" in warning
