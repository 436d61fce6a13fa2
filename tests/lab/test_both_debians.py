"""What the programs of Debian 12 and of Debian 13 say, where we read it: in their own words, by ours.

All that needs a whole host is tried on berlin and cabin, which are of one each.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab import rootfs
from pulumi_wgnode.hosts.host import Connection, HostError, HostUnreachable, LoginRefused
from pulumi_wgnode.hosts.judging import facts, segmentation
from pulumi_wgnode.hosts.packages import apt, supported
from pulumi_wgnode.hosts.query import answer
from pulumi_wgnode.hosts.ssh.login import open_transport
from tests.lab.interop import wait_for
from tests.lab.userland import Userland, userland
from tests.unit.firewall.walls import walls
from wgnode.firewall import meanwhile, nft
from wgnode.firewall.forwards import Before
from wgnode.firewall.rules import ruleset
from wgnode.hostd import bundle
from wgnode.image import machine

pytestmark = pytest.mark.lab


@pytest.fixture(scope="module", params=rootfs.SUITES)
def programs(request: pytest.FixtureRequest) -> Iterator[Userland]:
    with userland(request.param) as made:
        yield made


@pytest.fixture
def changed(programs: Userland) -> Iterator[Userland]:
    """One whose `before` is the test's to set."""
    yield programs
    programs.before = ""


def test_a_release_is_known_by_what_it_says(programs: Userland) -> None:
    found = answer(programs, supported.QUERY)
    assert (found.id, found.architecture) == ("debian", "amd64")
    assert found.major in supported.RELEASES
    assert rootfs.SUITES[supported.RELEASES[found.major]] == f"Debian {found.major}"
    assert "as process 1" in supported.problem_of(found) or found.init == "systemd", "nothing else is amiss"


WALLS = {f"wall{number}": ruleset(wall) for number, wall in enumerate(walls(13, 8))}
SCRIPT = "".join(nft.script(chains, table) for table, chains in WALLS.items())
STANDING_IN = meanwhile.script(Before((), ("docker0", "wgnode-br0")))


@pytest.mark.parametrize("protocols", ["as it is", "without names"])
def test_our_tables_are_read_back_as_they_were_written(changed: Userland, protocols: str) -> None:
    """Names of protocols are netbase's, which a host need not have."""
    listing = "nft -f - && nft -j list ruleset"
    changed.before = "rm -f /etc/protocols /etc/services" if protocols == "without names" else ""
    said = changed.run(["sh", "-c", listing], input=(SCRIPT + STANDING_IN).encode()).stdout
    for table, chains in WALLS.items():
        assert nft.observed(said, table) == nft.described(chains)
    assert meanwhile.is_there(said)
    assert json.loads(said)["nftables"][0]["metainfo"]["version"].startswith(("1.0.", "1.1."))


HOLD = """import fcntl, time
fcntl.lockf(lock := open("/var/lib/dpkg/lock-frontend", "w"), fcntl.LOCK_EX)
open("/held", "w")
time.sleep(10)"""


def test_what_apt_says_is_understood(changed: Userland, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apt, "LOCK_TIMEOUT", -1.0)
    removed = apt.explained(apt.install(changed, ["sudo-"]), apt.Result(0, "", ""))
    assert removed.startswith("it would have to remove sudo, and nothing is removed from a host")
    unknown = apt.explained(apt.install(changed, ["no-such-package"]), apt.Result(0, "", ""))
    assert "no package source of the host has it" in unknown
    changed.before = f"python3 -c '{HOLD}' >/dev/null 2>&1 & while [ ! -e /held ]; do sleep 0.05; done"
    with pytest.raises(HostError, match=r"another apt, python3 \(pid \d+\), holds its lock"):
        apt.install(changed, ["sudo"])
    changed.before = "mkdir -p /var/lib/dpkg/updates; touch /var/lib/dpkg/updates/0001"
    assert apt._INTERRUPTED in apt._patiently(changed, [*apt._APT, "install", "sudo"]).stderr


def test_hostd_is_clean_to_the_hosts_python(programs: Userland) -> None:
    """Nothing in it warns of what a later Python will not have."""
    script = """import sys, zipfile
with zipfile.ZipFile("/tmp/hostd.pyz") as bundle:
    for name in bundle.namelist():
        if name.endswith(".py"):
            compile(bundle.read(name), name, "exec")
sys.path.insert(0, "/tmp/hostd.pyz")
import wgnode.hostd.main
print(len(bundle.namelist()))"""
    put = ["sh", "-c", 'cat >/tmp/hostd.pyz; exec python3 -I -W error -c "$1"', "sh", script]
    assert int(programs.run(put, input=bundle.build()).stdout) > 10


def test_the_guest_that_tells_whether_kvm_works_runs_on_each_qemu(programs: Userland) -> None:
    """Here by software emulation; its exit code is its own, so PROBE succeeds."""
    probe = facts.PROBE.replace("-accel kvm", "-accel tcg")
    assert "-accel tcg" in probe
    assert programs.run(["sh", "-c", probe]).stdout == ""


def test_a_release_carries_udp_segmentation_where_its_qemu_knows_what_that_takes_of_a_card(programs: Userland) -> None:
    said = answer(programs, facts.QUERIES["facts"]).splitlines()
    qemu = next(line.removeprefix("qemu=") for line in said if line.startswith("qemu="))
    known = programs.run([machine.QEMU, "-M", "none", "-device", "virtio-net-device,help"]).stdout
    properties = [each.partition("=")[0] for each in machine.UDP_SEGMENTATION.split(",")]
    knows = {f"  {name}=<bool>" in known for name in properties}
    assert knows == {segmentation.carried(qemu, "6.12.43")} == {programs.suite == "trixie"}


SSHD = """mkdir -p /run/sshd && printf %s "$1" >/etc/ssh/ssh_host_ed25519_key && chmod 600 /etc/ssh/ssh_host_ed25519_key
exec /usr/sbin/sshd -D -h /etc/ssh/ssh_host_ed25519_key"""


def test_an_sshd_that_shuts_out_who_failed_to_log_in_is_understood(programs: Userland, tmp_path: Path) -> None:
    for name in ("host", "ours"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / name], check=True)
    pin, key = (tmp_path / "host.pub").read_text(), (tmp_path / "ours").read_text()
    programs.space.spawn(*programs.argv(["sh", "-c", SSHD, "sh", (tmp_path / "host").read_text()]))
    listening = ["ss", "-H", "-l", "-t", "-n", "sport = :22"]
    wait_for(lambda: programs.space.run(*listening), "sshd to listen")
    to = Connection("127.0.0.1", (pin,), private_key=key)

    def refusals() -> list[str]:
        met = []
        for _ in range(9):
            with pytest.raises((LoginRefused, HostUnreachable)) as refused:
                open_transport(to)
            met.append(str(refused.value))
        return met

    met = programs.space.call(refusals)
    assert "refuses the key" in met[0]
    last = "refuses the key" if programs.suite == "bookworm" else "answers 'Not allowed at this time': its sshd takes"
    assert last in met[-1]
