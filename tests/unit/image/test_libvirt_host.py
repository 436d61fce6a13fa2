"""libvirt as a backend: its unit, and its program on a host whose libvirt is a script and whose console is real."""

from __future__ import annotations

import os
import re
import shutil
import socket
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from wgnode.image import backends
from wgnode.image.backends.libvirt import Libvirt
from wgnode.image.libvirt import host
from wgnode.image.libvirt.domain import Domain
from wgnode.image.libvirt.host import ADVICE, LibvirtError, explained
from wgnode.image.paths import PLAIN, Paths
from wgnode.image.units import GatewayUnit

UNIT = GatewayUnit("berlin", "/var/lib/wgnode/images/ab", "52:54:00:aa:bb:cc")
SERVICE = Libvirt().service(UNIT)
STARTED = Path(__file__).with_name("libvirt_started.xml").read_text()
DOMAIN = Domain(PLAIN, "/var/lib/wgnode/images/ab/vmlinux", UNIT.lan_mac, 128, 1, "tcg")
ANALYZE = shutil.which("systemd-analyze")
# What libvirt has is a file each: NAME with its UUID, NAME.xml. What it was told is in `calls`.
VIRSH = r"""#!/bin/sh
cd "$(dirname "$0")/has" || exit 1
shift 3; echo "$*" >>../calls
fail() { echo "error: $1" >&2; exit 1; }
[ ! -e ../down ] || fail "failed to connect to the hypervisor
error: Failed to connect socket to '/var/run/libvirt/libvirt-sock': No such file or directory"
named() { grep -lx "$1" * 2>/dev/null | grep -v xml || echo "$1"; }
case "$1 $2" in
    "list --all") for one in *; do case "$one:$3" in
        *.xml:*|'*':*) ;; *:--name) echo "$one" ;; *) cat "$one" ;; esac; done ;;
    create*) cat >created.xml; [ ! -e ../refuses ] || fail "$(cat ../refuses)"
        mv created.xml wgnode-gateway.xml; sed -n 's,.*<uuid>\(.*\)</uuid>.*,\1,p' wgnode-gateway.xml >wgnode-gateway ;;
    domuuid*) cat "$2" 2>/dev/null || fail "failed to get domain '$2'" ;;
    dumpxml*) cat "$(named "$2").xml" || fail "failed to get domain '$2'" ;;
    dominfo*) echo "Persistent:     $(cat ../persistent 2>/dev/null || echo no)" ;;
    destroy*) name=$(named "$2"); [ -e "$name" ] || fail "no domain"; rm -f "$name" "$name.xml" ;;
    undefine*) fail "no domain" ;;
    resume*) touch ../resumed ;;
    *) fail "unknown command $1" ;;
esac
"""


def settings(text: str, key: str) -> list[str]:
    return [line.split("=", 1)[1] for line in text.splitlines() if line.startswith(f"{key}=")]


# Its unit


def test_its_unit_runs_our_program_for_one_domain_and_removes_that_whatever_ended_it() -> None:
    (run,), (stop,) = settings(SERVICE, "ExecStart"), settings(SERVICE, "ExecStopPost")
    program = "/usr/bin/python3 -I /var/lib/wgnode/gateway/libvirt.pyz"
    domain = (
        "--kernel /var/lib/wgnode/images/ab/vmlinux --lan-mac 52:54:00:aa:bb:cc --memory 128 --cpus 1 --accelerator tcg"
    )
    assert (run, stop) == (f"{program} run {domain}", f"{program} stop {domain}")
    assert settings(SERVICE, "CapabilityBoundingSet") == [""]
    assert settings(SERVICE, "RuntimeDirectoryMode") == ["2750"], "sockets that libvirtd makes are hostd's group's"
    assert settings(SERVICE, "Group") == [PLAIN.machine_user]
    assert "libvirtd.service" in settings(SERVICE, "After")[0]
    assert "Requires=wgnode-network.service\n" in SERVICE, "a libvirtd that is restarted ends no gateway"
    other = Libvirt().service(replace(UNIT, paths=Paths("0a1b2c3d"), accelerator="kvm"))
    assert "run --instance 0a1b2c3d" in other
    assert "--accelerator kvm" in other
    assert "usermod --append --groups kvm wgnode-qemu-0a1b2c3d\n" in other, "who may open /dev/kvm"
    assert "usermod" not in SERVICE


def test_what_it_is_called_makes_it_no_other_machine_and_all_else_does() -> None:
    libvirt = Libvirt()
    assert libvirt.same_machine(SERVICE, libvirt.service(replace(UNIT, name="paris")))
    for change in ({"memory": 200}, {"cpus": 2}, {"lan_mac": "52:54:00:00:00:09"}, {"image": "/other"}):
        assert not libvirt.same_machine(SERVICE, libvirt.service(replace(UNIT, **change))), change  # type: ignore[arg-type]


def test_only_a_machine_that_others_can_change_is_looked_at() -> None:
    runner = Paths("0a1b2c3d").domain_runner
    expected = ["/usr/bin/python3", "-I", runner, "look", "--instance", "0a1b2c3d"]
    assert backends.look(Libvirt(), Paths("0a1b2c3d")) == expected
    for name in ("microvm", "process"):
        assert backends.look(backends.named(name), PLAIN) is None


@pytest.mark.skipif(ANALYZE is None, reason="no systemd-analyze here")
def test_systemd_finds_little_that_its_program_may_do(tmp_path: Path) -> None:
    """Of QEMU it knows nothing: that is in libvirt's group of processes."""
    assert ANALYZE is not None
    file = tmp_path / "wgnode-gateway.service"
    file.write_text(SERVICE)
    argv = [ANALYZE, "security", "--offline=yes", "--no-pager", "--threshold=20", str(file)]
    said = subprocess.run(argv, capture_output=True, text=True, check=False)
    found = re.search(r"exposure level for \S+: (\d+\.\d+)", said.stdout)
    assert found, said.stderr
    print(f"systemd-analyze security, backend libvirt: {found[1]}")
    assert float(found[1]) <= 2.0


def test_what_it_can_not_do_is_refused_by_name() -> None:
    assert list(Libvirt().cannot) == ["architecture"]


# Its program


@dataclass
class Machine:
    """A host: `has` is what its libvirt has, `domain` ours, with its files below `root`."""

    root: Path
    domain: Domain

    @property
    def has(self) -> Path:
        return self.root / "has"

    def calls(self) -> list[str]:
        return (self.root / "calls").read_text().splitlines()

    def define(self, name: str, uuid: str, xml: str = "<domain/>") -> None:
        (self.has / name).write_text(f"{uuid}\n")
        (self.has / f"{name}.xml").write_text(xml)


class There(Paths):
    """The paths of a host whose /run is a folder of the test's."""

    root: Path = Path("/nowhere")

    @property
    def console_socket(self) -> str:
        return f"{self.root}/console.sock"

    @property
    def domain_started(self) -> str:
        return f"{self.root}/started.xml"


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    (tmp_path / "has").mkdir()
    virsh = tmp_path / "virsh"
    virsh.write_text(VIRSH)
    virsh.chmod(virsh.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setattr(host, "require_sandbox", lambda domain: None)
    monkeypatch.setattr(There, "root", tmp_path)
    return Machine(tmp_path, replace(DOMAIN, paths=There()))


@pytest.fixture
def console(machine: Machine) -> Iterator[socket.socket]:
    """QEMU's end of it."""
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(machine.domain.paths.console_socket)
        listening.listen(1)
        listening.settimeout(20)
        yield listening


def test_it_starts_paused_resumes_once_its_console_is_read_and_ends_as_it_does(
    machine: Machine, console: socket.socket, capfd: pytest.CaptureFixture[str]
) -> None:
    def guest() -> None:
        end, _ = console.accept()
        with end:
            end.sendall(b"first line\nlast line\n")

    running = threading.Thread(target=guest)
    running.start()
    host.follow(host.start(machine.domain))
    running.join(20)
    assert capfd.readouterr().out == "first line\nlast line\n"
    assert machine.calls()[-3:] == [
        "create --paused /dev/stdin", f"dumpxml {machine.domain.uuid}", f"resume {machine.domain.uuid}",
    ]  # fmt: skip
    assert machine.domain.lan_mac in Path(machine.domain.paths.domain_started).read_text()


def test_what_a_start_before_left_is_removed_first_also_what_somebody_made_persistent(
    machine: Machine, console: socket.socket
) -> None:
    machine.define("wgnode-gateway", machine.domain.uuid)
    host.start(machine.domain).close()
    assert machine.calls()[2:5] == [
        "list --all --uuid", f"destroy {machine.domain.uuid}", f"undefine --managed-save {machine.domain.uuid}",
    ]  # fmt: skip


def test_a_domain_of_our_name_that_is_not_ours_is_refused_by_name_and_never_touched(machine: Machine) -> None:
    machine.define("wgnode-gateway", "11111111-2222-3333-4444-555555555555")
    with pytest.raises(
        LibvirtError, match="has a domain wgnode-gateway here that is not wgnode's, so it is left alone"
    ):
        host.start(machine.domain)
    host.remove(machine.domain)
    assert {call.split()[0] for call in machine.calls()} == {"list", "domuuid"}


def test_another_domain_with_our_card_s_address_is_refused_by_name(machine: Machine) -> None:
    machine.define("web", "11111111-2222-3333-4444-555555555555", "<mac address='52:54:00:AA:BB:CC'/>")
    with pytest.raises(LibvirtError, match="libvirt's domain web has 52:54:00:aa:bb:cc, which is this gateway's"):
        host.start(machine.domain)
    machine.define("web", "11111111-2222-3333-4444-555555555555", "<mac address='52:54:00:AA:BB:CD'/>")
    host.require_no_other(machine.domain)


def test_one_whose_console_can_not_be_read_is_not_left_running(machine: Machine) -> None:
    with pytest.raises(FileNotFoundError):
        host.start(machine.domain)
    assert machine.calls()[-2].startswith("destroy ")
    assert not (machine.root / "resumed").exists()
    assert list(machine.has.iterdir()) == []


@pytest.mark.parametrize("sign", ADVICE)
def test_each_refusal_of_libvirt_s_comes_with_what_to_do(machine: Machine, sign: str) -> None:
    (machine.root / "refuses").write_text(f"Failed to create domain\nerror: unsupported: {sign} 'x'")
    with pytest.raises(LibvirtError) as refused:
        host.start(machine.domain)
    assert str(refused.value) == f"Failed to create domain: unsupported: {sign} 'x'; {ADVICE[sign]}"


def test_an_error_that_nobody_knows_is_passed_on_and_none_has_words_too() -> None:
    assert explained("error: something new\n") == "something new"
    assert explained("") == "virsh failed and said nothing"


def test_qemu_without_its_sandbox_is_refused(tmp_path: Path) -> None:
    (tmp_path / "wgnode-gateway.pid").write_text(str(os.getpid()))
    with pytest.raises(LibvirtError, match=r"seccomp_sandbox = 1 in /etc/libvirt/qemu\.conf"):
        host.require_sandbox(DOMAIN, tmp_path)


def told(dumped: str, persistent: str = "no") -> list[str]:
    answers = {"dumpxml": dumped, "dominfo": f"Name: x\nPersistent:     {persistent}\nAutostart:      disable\n"}
    return host.look(There(), lambda *words: answers[words[0]])


def test_what_somebody_has_changed_of_it_is_named(machine: Machine) -> None:
    Path(machine.domain.paths.domain_started).write_text(STARTED)
    assert told(STARTED) == []
    assert told(STARTED.replace("<vcpu placement='static'>1", "<vcpu placement='static'>2"), "yes") == [
        "vcpu is 2 instead of 1", "it is persistent, of what somebody has defined or edited, and is to be transient",
    ]  # fmt: skip


def run_program(tmp_path: Path, *given: str) -> subprocess.CompletedProcess[str]:
    """With nothing of this clone in reach, as on a host."""
    (tmp_path / "libvirt.pyz").write_bytes(Libvirt().programs(Paths())["runner"][1])
    command = [sys.executable, "-IS", str(tmp_path / "libvirt.pyz"), *given]
    return subprocess.run(command, cwd="/", capture_output=True, text=True, timeout=60, check=False)


def test_the_program_as_a_host_has_it_says_that_libvirtd_is_down(machine: Machine) -> None:
    (machine.root / "down").touch()
    for command, what in (("run", "started"), ("stop", "stopped")):
        done = run_program(machine.root, command, *host.arguments(DOMAIN))
        assert done.returncode == 1
        assert done.stderr.startswith(
            f"<3>this gateway can't be {what}: failed to connect to the hypervisor: Failed to"
        )
        assert "libvirtd does not answer; `systemctl status libvirtd` on the host says why" in done.stderr


def test_the_program_says_that_there_is_no_virsh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    done = run_program(tmp_path, "run", *host.arguments(DOMAIN))
    assert (done.returncode, "install Debian's libvirt-clients" in done.stderr) == (1, True)
