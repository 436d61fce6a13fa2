"""A Debian as its managers of networks see it, in half a second: the lab hosts' root file system in namespaces of its
own, with `wan0` and `lan0`, whose other ends are in a namespace `lan`; no systemd runs, what a test starts does.
"""

from __future__ import annotations

import difflib
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pulumi_wgnode.hosts.networks.network import Network, script

SCRIPT = "/etc/wgnode/network.sh"
NETWORKD = "/run/systemd/network"
# Order counts. Left out: what the kernel makes of each interface by itself, and time.
SNAPSHOT = r"""
for family in 4 6; do ip -$family rule; ip -$family route show table all; ip -$family neigh show proxy
ip -$family neigh show nud permanent; done | grep -v -e fe80 -e ff00: -e 'expires' -e '^anycast'
ip -o addr | grep -v 'inet6 fe80' | sed 's/ [0-9][0-9]*sec/ some sec/g; s/^[0-9]*: //'
ip -br link | awk '{ print $1, $NF }'
ls -R /run/systemd/network /etc/systemd/network /run/NetworkManager /etc/network /run/wgnode* 2>/dev/null; true
"""
_MAKE = r"""
mount --make-rprivate /; mount -t tmpfs tmpfs "$2"; cd "$2"; mkdir up work root
mount -t overlay overlay -o "lowerdir=$1,upperdir=up,workdir=work" root; cd root
mount -t proc proc proc; mount -t sysfs -o ro sysfs sys
for each in run tmp dev; do mount -t tmpfs tmpfs $each; done
mkdir dev/net; ln -s /proc/self/fd dev/fd
for each in null zero random urandom net/tun; do touch dev/$each; mount --bind /dev/$each dev/$each; done
mkdir -p run/dbus run/network run/netns run/systemd/network etc/wgnode
for each in links leases lldp; do mkdir -p run/systemd/netif/$each; done
chroot . sh -ec 'export PATH=/usr/sbin:/usr/bin:/sbin:/bin
useradd --system wgnode; useradd --system wgnode-qemu; chown -R systemd-network /run/systemd/netif
echo 0123456789abcdef0123456789abcdef >/etc/machine-id; dbus-daemon --system --fork --nopidfile
for each in all default; do echo 0 >/proc/sys/net/ipv6/conf/$each/accept_dad; done  # each address takes 1 to 2 s else
ip link set lo up; ip netns add lan
for each in wan0 lan0; do ip link add $each type veth peer name $each netns lan; ip -n lan link set $each up; done'
exec chroot . sh -c 'echo ready; while :; do sleep 1000 & wait; done'  # it reaps
"""


@dataclass(frozen=True)
class DistributionHost:
    pid: int  # of a process in it

    def shell(self, command: str, check: bool = True, input: str = "") -> str:
        entered = ["nsenter", f"--target={self.pid}", "--net", "--mount", "--pid", "--root"]
        done = subprocess.run(
            [*entered, "env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C", "sh", "-c", f"cd /; {command}"],
            input=input, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        assert done.returncode == 0 or not check, f"{command}: {done.stdout}\n{done.stderr}"
        return done.stdout

    def install(self, network: Network) -> None:
        self.shell(f"cat >{SCRIPT}", input=script(network))

    def up(self, check: bool = True) -> str:
        return self.shell(f"sh {SCRIPT} up", check)

    def down(self) -> None:
        self.shell(f"sh -s down <{SCRIPT}")

    def snapshot(self) -> list[str]:
        return self.shell(SNAPSHOT).splitlines()

    def write(self, path: str, text: str) -> None:
        self.shell(f"mkdir -p {path.rpartition('/')[0]}; cat >{path}", input=text)

    def until(self, condition: str, seconds: float = 10) -> None:
        """A shell's condition holds, or the test fails."""
        deadline = time.monotonic() + seconds
        while self.shell(f"{{ {condition}; }} >/dev/null 2>&1 && echo yes", check=False) != "yes\n":
            assert time.monotonic() < deadline, (
                f"never: {condition}\n{self.shell('ip addr; ip route; networkctl', False)}"
            )
            time.sleep(0.05)

    def networkd(self) -> None:
        """Start it, again where it runs, as an upgrade of the package does."""
        self.shell(
            "pkill -x systemd-network; while pgrep -x systemd-network >/dev/null; do sleep 0.05; done;"
            " SYSTEMD_LOG_LEVEL=debug setsid /lib/systemd/systemd-networkd </dev/null >/run/networkd.log 2>&1 &"
            " until networkctl list >/dev/null 2>&1; do sleep 0.05; done"
        )

    def comes_to(self, wanted: list[str], why: str = "", seconds: float = 8) -> None:
        """It looks so before long, and still does a moment later."""
        deadline, alike = time.monotonic() + seconds, 0
        while alike < 2:
            time.sleep(0.15)
            found = self.snapshot()
            alike = alike + 1 if found == wanted else 0
            assert alike or time.monotonic() < deadline, f"{why}\n" + "\n".join(difflib.unified_diff(wanted, found))

    def settled(self) -> None:
        """Nothing has changed for a while."""
        before: list[str] = []
        since = time.monotonic()
        while time.monotonic() - since < 0.3:
            now = self.snapshot()
            if now != before:
                before, since = now, time.monotonic()
            time.sleep(0.1)


@contextmanager
def distribution_host(root: Path) -> Iterator[DistributionHost]:
    with tempfile.TemporaryDirectory(prefix="wgnode-host-") as mount:
        command = [
            "unshare",
            "--net",
            "--mount",
            "--pid",
            "--fork",
            "--kill-child",
            "--mount-proc",
            "sh",
            "-euc",
            _MAKE,
        ]
        process = subprocess.Popen([*command, "make", str(root), mount], stdout=subprocess.PIPE, text=True)
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n", "the host could not be made"
            children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
            yield DistributionHost(int(children[0]))
        finally:
            process.kill()
            process.wait()
