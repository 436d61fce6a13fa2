"""Up and down: quick when done, mended after any interruption, nothing left behind or touched of the machine's."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lab import cgroup, netns, plan, state
from lab.api import Lab
from lab.errors import LabError
from lab.probes import Packet
from tests.sample import choose, everything
from tools import ROOT

pytestmark = [pytest.mark.lab, pytest.mark.in_turn("hosts"), pytest.mark.sampled(8, of="the file")]

# Kills its own process at the N-th event: right after it has started a program (which goes on as an orphan), and, where
# files are asked for, just before it renames or removes one.
KILLED_AT = """
import os, subprocess, sys
left, files, start = int(sys.argv.pop(1)), sys.argv.pop(1) == "True", subprocess.Popen.__init__
from lab.cli import main
def count():
    global left
    left -= 1
    if left == 0:
        os.kill(os.getpid(), 9)
def counting(*args, **options):
    start(*args, **options)
    count()
subprocess.Popen.__init__ = counting
sys.addaudithook(lambda event, args: count() if files and event in ("os.rename", "os.remove", "os.rmdir") else None)
sys.exit(main(sys.argv[1:]))
"""


def command(lab: Lab, *words: str, killed_at: int = 0, files: bool = False) -> subprocess.CompletedProcess[str]:
    start = ["-c", KILLED_AT, str(killed_at), str(files)] if killed_at else ["-m", "lab"]
    argv = [sys.executable, *start, words[0], "--name", lab.name, "--dir", str(lab.directory), *words[1:]]
    return subprocess.run(argv, text=True, capture_output=True, cwd=ROOT, timeout=120)


def traces(lab: Lab) -> list[str]:
    """Everything on the machine that bears the lab's name or lies in its directory."""
    found = [str(path) for path in netns.DIRECTORY.glob(f"*{lab.name}*")] if netns.DIRECTORY.exists() else []
    found += [str(lab.directory)] if lab.directory.exists() else []
    found += [line for line in Path("/proc/self/mountinfo").read_text().splitlines() if lab.name in line]
    found += [str(cgroup.of_lab(lab.name))] if cgroup.of_lab(lab.name).exists() else []
    found += [str(path) for path in Path("/run").glob(f"**/*{lab.name}*") if path.parts[2] not in ("user",)]
    for process in Path("/proc").glob("[0-9]*"):
        try:
            text = (process / "cmdline").read_bytes() + (process / "cgroup").read_bytes()
            ended = (process / "stat").read_text().rpartition(") ")[2].startswith("Z")
        except OSError:
            continue
        if lab.name.encode() in text and not ended:
            found.append(text.decode(errors="replace"))
    return found


def machine_network() -> list[str]:
    """The machine's own links, addresses, rules and forwarding, which a lab never touches."""
    commands = ("ip -o link", "ip -o address", "ip rule", "ip route show table all", "nft list ruleset")
    found = [subprocess.run(each.split(), text=True, capture_output=True).stdout for each in commands]
    return [*found, *(Path(f"/proc/sys/net/{each}/conf/all/forwarding").read_text() for each in ("ipv4", "ipv6"))]


def leaders(lab: Lab) -> dict[str, int | None]:
    return {site.name: cgroup.leader(cgroup.of_host(lab.name, site.name)) for site in plan.SITES}


def echoes(packets: list[Packet]) -> list[Packet]:
    """Requests of `ping`."""
    return [each for each in packets if each.ethertype == 0x0800 and each.data[9] == 1 and each.data[20] == 8]


def test_up_and_down_leave_no_trace_and_the_machine_untouched(other_lab: Lab) -> None:
    network = machine_network()
    other_lab.up()
    assert machine_network() == network
    assert len(traces(other_lab)) > 8
    assert other_lab.down()
    assert traces(other_lab) == []
    assert machine_network() == network
    assert not other_lab.down()


def test_second_up_is_quick_and_restarts_nothing(lab: Lab) -> None:
    before, inventory = leaders(lab), (lab.directory / "lab.json").read_text()
    started = time.monotonic()
    lab.up()
    assert time.monotonic() - started < 3
    assert leaders(lab) == before
    assert (lab.directory / "lab.json").read_text() == inventory


def test_up_starts_again_only_the_host_that_is_off(lab: Lab) -> None:
    before = leaders(lab)
    lab.host_ssh("cabin", "touch /var/kept9; sync")
    lab.power_cut("cabin")
    assert not lab.status()["up"]
    lab.up()
    after = leaders(lab)
    assert after["berlin"] == before["berlin"]
    assert after["cabin"] not in (before["cabin"], None)
    lab.host_ssh("cabin", "rm /var/kept9")


@pytest.mark.sampled
def test_a_killed_up_is_cleaned_by_down_and_finished_by_up(other_lab: Lab) -> None:
    """Killed after each program it starts in turn; every fourth time `up` has to finish it before `down`.

    A sample tries every third one, from one of the first three on.
    """
    step, stride = (1, 1) if everything() else (choose((1, 2, 3), 1, "killed up")[0], 3)
    mended = 0
    while (done := command(other_lab, "up", killed_at=step)).returncode == -signal.SIGKILL:
        if step % 4 == 0:
            other_lab.up()
            assert other_lab.status()["up"], f"after a kill at step {step}"
            mended += 1
        other_lab.down()
        assert traces(other_lab) == [], f"after a kill at step {step}"
        step += stride
    assert done.returncode == 0, done.stderr
    assert (step > 15, mended > 0) == (True, True)


def test_a_killed_down_is_finished_by_the_next(other_lab: Lab) -> None:
    """Killed later and later, at programs and files; now and then `up` has to make a whole lab of the remains."""
    step = 1
    other_lab.up()
    whole = {path.name for path in (other_lab.directory / "hosts/cabin").iterdir()}
    while command(other_lab, "down", killed_at=step, files=True).returncode == -signal.SIGKILL:
        for home in (other_lab.directory / "hosts").glob("*"):
            assert whole == {path.name for path in home.iterdir()}, f"half a host after a kill at step {step}"
        if step % 4 == 0:
            other_lab.up()
            assert other_lab.host_ssh("cabin", "id -u").stdout == "0\n", f"after a kill at step {step}"
        step += 1 + step // 8
    assert traces(other_lab) == []
    assert step > 30


def test_a_killed_commands_orphan_keeps_the_lock(other_lab: Lab) -> None:
    """What it was doing to the lab ends before the next command looks at it."""
    code = (
        "import sys; from pathlib import Path; from lab import process, state\n"
        "with state.locked(sys.argv[1], Path(sys.argv[2]), lambda: None):\n"
        "    process.run(['sh', '-c', 'echo $$ > ' + sys.argv[2] + '.orphan; exec sleep 600'])"
    )
    marker = Path(f"{other_lab.directory}.orphan")
    with subprocess.Popen([sys.executable, "-c", code, other_lab.name, str(other_lab.directory)], cwd=ROOT) as holder:
        while not (marker.exists() and marker.read_text()):
            time.sleep(0.05)
        holder.kill()
    said: list[str] = []

    def end_orphan() -> None:
        said.append("waiting")
        os.kill(int(marker.read_text()), signal.SIGKILL)

    try:
        with state.locked(other_lab.name, other_lab.directory, end_orphan):
            assert said == ["waiting"]
    finally:
        if not said:
            end_orphan()


def test_interrupted_up_says_how_to_go_on(other_lab: Lab) -> None:
    for _ in range(3):  # on a busy machine it may be done before the signal comes
        code, said = interrupted_up(other_lab)
        if code != 0:
            break
        other_lab.down()
    assert code == 130
    assert f".venv/bin/python -m lab up --name {other_lab.name}` to go on" in said
    other_lab.down()
    assert traces(other_lab) == []


def interrupted_up(lab: Lab) -> tuple[int, str]:
    """Exit code and last words of an `up` that gets SIGINT while its hosts boot."""
    argv = [sys.executable, "-m", "lab", "up", "--name", lab.name, "--dir", str(lab.directory)]
    with subprocess.Popen(argv, cwd=ROOT, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr
        while "booting" not in process.stderr.readline():
            pass
        process.send_signal(signal.SIGINT)
        said = process.stderr.read()
    return process.returncode, said


def test_two_ups_at_once_make_one_lab(other_lab: Lab) -> None:
    argv = [sys.executable, "-m", "lab", "up", "--json", "--name", other_lab.name, "--dir", str(other_lab.directory)]
    both = [subprocess.Popen(argv, cwd=ROOT, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    first, second = [json.loads(process.communicate()[0]) for process in both]
    assert first == second
    assert len([line for line in (other_lab.directory / "hosts/berlin/console.log").open() if "boots" in line]) == 1


def test_two_labs_share_addresses_and_nothing_else(lab: Lab, other_lab: Lab) -> None:
    other_lab.up()
    assert other_lab.inventory["hosts"]["berlin"]["address"] == lab.inventory["hosts"]["berlin"]["address"]
    assert other_lab.inventory["hosts"]["berlin"]["host_keys"] != lab.inventory["hosts"]["berlin"]["host_keys"]
    other_lab.host_ssh("berlin", "touch /run/other9")
    assert lab.host_ssh("berlin", "test -e /run/other9", check=False).returncode == 1
    with lab.capture() as here, other_lab.capture() as there:
        assert other_lab.ping("berlin.client", "10.1.0.1")
        assert other_lab.ping("runner", "203.0.113.2")
    assert echoes(there)
    assert not echoes(here)
    other_lab.down()
    assert lab.status()["up"]


def test_a_strict_umask_stays_outside_of_the_hosts(other_lab: Lab) -> None:
    argv = [sys.executable, "-m", "lab", "up", "--name", other_lab.name, "--dir", str(other_lab.directory)]
    subprocess.run(argv, cwd=ROOT, umask=0o077, check=True, timeout=120)
    assert other_lab.host_ssh("cabin", "stat -c %a / /etc/sudoers.d", root=False).stdout == "755\n755\n"


def test_network_settings_of_the_machine_stay_outside(lab: Lab) -> None:
    """A new namespace copies them; this stands for a machine whose sysctl.conf asks for a strict path filter."""
    setting = {"net.ipv4.conf.all.rp_filter": "1"}
    for role in ("runner", "internet"):
        netns.sysctl(lab.namespace(role), setting)
    lab.up()
    for role in ("runner", "internet"):
        assert lab.run_in(role, ["sysctl", "-n", *setting]).stdout == "0\n"
    assert lab.run_in("internet", ["sysctl", "-n", "net.ipv4.conf.default.forwarding"]).stdout == "1\n"


def test_down_ends_what_was_started_in_its_networks(other_lab: Lab) -> None:
    other_lab.up()
    with other_lab.popen_in("berlin.client", ["sleep", "600"]) as sleeper:
        other_lab.down()
        assert sleeper.wait(5) == -signal.SIGTERM


def test_down_leaves_what_others_keep_in_its_directory(other_lab: Lab) -> None:
    other_lab.up()
    other = other_lab.directory / "state" / "mesh.json"
    other.parent.mkdir()
    other.write_text("{}")
    other_lab.down()
    assert [path for path in other_lab.directory.rglob("*") if path.is_file()] == [other]


def test_status_tells_the_truth_by_exit_code(lab: Lab, other_lab: Lab) -> None:
    up = command(lab, "status", "--json")
    assert up.returncode == 0
    assert json.loads(up.stdout)["hosts"]["cabin"] == {
        "running": True, "ssh": True, "address": "203.0.113.2", "user": "ops",
    }  # fmt: skip
    assert command(other_lab, "status").returncode == 3


def test_run_passes_output_and_exit_code_on(lab: Lab) -> None:
    assert command(lab, "run", "--in", "cabin.client", "--", "ip", "-br", "address", "show", "eth0").stdout.split()[
        2
    ] == ("10.2.0.100/24")
    done = command(lab, "run", "--", "sh", "-c", "ip -br address; exit 7")
    assert done.returncode == 7
    assert "192.0.2.10/24" in done.stdout


def test_errors_say_what_to_do(lab: Lab, other_lab: Lab, tmp_path: Path) -> None:
    with pytest.raises(LabError, match=r"lives in .*; leave out --dir"):
        Lab(lab.name, tmp_path / "elsewhere").up()
    with pytest.raises(LabError, match=r"is not up; start it: .*python -m lab up"):
        _ = other_lab.inventory
    with pytest.raises(LabError, match="no role 'paris'"):
        lab.run_in("paris", ["true"])
    with pytest.raises(LabError, match="lower-case letters"):
        Lab("Demo/..")
    done = command(other_lab, "shell", "berlin")
    assert done.returncode == 1
    assert "lab up" in done.stderr


def test_a_host_that_locks_the_runner_out_is_named_by_up(other_lab: Lab) -> None:
    other_lab.up()
    other_lab.console("berlin", "nft 'table inet t9 { chain in { type filter hook input priority 0; policy drop; }; }'")
    with pytest.raises(LabError, match=r"'berlin' runs but does not answer SSH.*--console"):
        other_lab.up()
    assert other_lab.status()["hosts"]["berlin"] == {
        "running": True, "ssh": False, "address": "198.51.100.2", "user": "root",
    }  # fmt: skip


def test_root_is_needed_and_said(lab: Lab) -> None:
    argv = ["setpriv", "--reuid", "65534", "--clear-groups", "/usr/bin/python3", "-m", "lab", "up", "--name", "x"]
    done = subprocess.run(argv, text=True, capture_output=True, cwd=ROOT, env={"PATH": os.environ["PATH"]})
    assert done.returncode == 1
    assert "needs root" in done.stderr


def test_a_full_disk_is_named_before_anything_is_made(other_lab: Lab, tmp_path: Path) -> None:
    mine = Lab(other_lab.name, tmp_path / "small" / "lab")
    mine.directory.parent.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(mine.directory.parent)], check=True)
    try:
        with pytest.raises(LabError, match=r"small/lab has \d MiB free, 300 MiB are needed; free some"):
            mine.up()
        assert not mine.directory.exists()
        mine.down()
        assert traces(mine) == []
    finally:
        subprocess.run(["umount", str(mine.directory.parent)], check=True)
