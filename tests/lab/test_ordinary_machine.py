"""`make demo` and a second lab beside it on an ordinary machine: systemd as PID 1, a user with sudo, no internet."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from tests.lab.ordinary import UID, OrdinaryMachine

pytestmark = [pytest.mark.lab, pytest.mark.timeout(1200), pytest.mark.sampled(0)]  # in make test-long
KILL_WHAT_A_SESSION_LEAVES = """mkdir -p /etc/systemd/logind.conf.d &&
printf '[Login]\nKillUserProcesses=yes\n' > /etc/systemd/logind.conf.d/kill.conf && systemctl restart systemd-logind"""
LAB = "sudo .venv/bin/python -B -m lab"


@pytest.fixture(scope="module")
def machine(own_name: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OrdinaryMachine]:
    with OrdinaryMachine(own_name, tmp_path_factory.mktemp("ordinary")).running() as booted:
        yield booted


def traces(machine: OrdinaryMachine) -> list[str]:
    """What a lab could leave on the machine or change of its network."""
    looks = [
        "ls /run/netns 2>/dev/null; ls -d /run/wgnode-lab; ls -A /var/lib/wgnode",
        "ls -A /tmp | grep -v ^systemd-private-",
        "grep -E 'wgl-|/run/netns/' /proc/mounts; find /sys/fs/cgroup -path '*wgnode*'; machinectl --no-legend",
        "ip -o link; ip -o address; ip rule; ip route show table all; nft list ruleset",
        "cat /proc/sys/net/ipv4/conf/*/forwarding /proc/sys/net/ipv6/conf/*/forwarding",
        "ps -e -o comm= | grep -E 'nspawn|qemu|pulumi|python|ssh'",
    ]
    return [*machine.root("; ".join(looks), check=False).stdout.splitlines(), *sorted(machine.left_to_root())]


def answers(machine: OrdinaryMachine, lab: str, source: str, address: str, seconds: int = 10) -> bool:
    ping = f"{LAB} run --name {lab} --in {source} -- ping -n -q -i 0.2 -c 2 -w {seconds} {address}"
    return machine.user(ping, check=False).returncode == 0


def test_demo_and_another_lab_run_for_a_user_with_sudo_under_systemd(machine: OrdinaryMachine) -> None:
    assert machine.root("cat /proc/1/comm; systemctl is-system-running").stdout == "systemd\nrunning\n"
    assert machine.user("id -u; sudo -n id -u").stdout == f"{UID}\n0\n"
    before = traces(machine)

    said = machine.user("make demo", timeout=800).stderr
    assert len(re.findall(r"ping from berlin's client to cabin's client \S+: 3 of 3 answered", said)) == 2
    assert len(re.findall(r"4 MiB to \S+: SHA-256 \w+… on both sides", said)) == 2

    # The session that made it is over, and systemd starts itself anew, as its updates make it do.
    assert machine.root("loginctl --no-legend list-sessions").stdout == ""
    machine.root("systemctl daemon-reexec")
    # The second must outlive a stricter end of its session than Debian's.
    machine.root(KILL_WHAT_A_SESSION_LEAVES)
    machine.user("make lab-up LAB=second", timeout=300)
    labs = machine.user(f"{LAB} list").stdout
    assert [line.split()[:2] for line in labs.splitlines()] == [["demo", "up"], ["second", "up"]]

    assert answers(machine, "demo", "berlin.client", "10.2.0.100")
    assert answers(machine, "second", "berlin.client", "10.1.0.1")
    assert not answers(machine, "second", "berlin.client", "10.2.0.100", seconds=2)

    machine.user("make demo-down")
    assert answers(machine, "second", "berlin.client", "10.1.0.1")
    machine.user("make lab-down LAB=second")
    assert traces(machine) == before
    assert machine.root("systemctl is-system-running").stdout == "running\n"
