"""What a node does when the machine denies it something, or ends it in the midst of traffic.

It runs, or it ends with its reason, a status that is not 0, and nothing left behind; it never stays half.
"""

from __future__ import annotations

import base64
import secrets
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.lab.interop import SOCKETS, Bench, Namespace, Node, bench, run, stop, transfer, wait_for
from tests.lab.programs import RUN_OURS, Program, ours
from wgnode.dataplane.choose import FAST, PYTHON

pytestmark = pytest.mark.lab

FLOOD = """
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
while True:
    try: s.sendto(bytes(1000), (sys.argv[1], 5002))
    except OSError: pass
"""
AS_SOMEBODY = """
mount -t tmpfs -o mode=1777 none /var/run/wireguard
mount -t tmpfs none /dev/net
mknod -m 666 /dev/net/tun c 10 200
exec setpriv --reuid="$1" --clear-groups --inh-caps=+net_admin --ambient-caps=+net_admin -- "${@:2}"
"""
"""Whom limits of processes hold, as they do not hold root."""


@pytest.fixture
def cable(tmp_path: Path) -> Iterator[Bench]:
    with bench(tmp_path) as made:
        yield made


@contextmanager
def traffic(one: Node, two: Node) -> Iterator[None]:
    """Two floods of datagrams, there and back."""
    floods = [a.namespace.spawn(sys.executable, "-c", FLOOD, b.inner(4)) for a, b in ((one, two), (two, one))]
    try:
        yield
    finally:
        for flood in floods:
            stop(flood, signal.SIGKILL)


def left(space: Namespace, interface: str) -> list[str]:
    """What is still there of a node that has ended."""
    links = [word for word in space.run("ip", "-br", "link").split() if word == interface]
    return links + [str(socket) for socket in [SOCKETS / f"{interface}.sock"] if socket.exists()]


@pytest.mark.parametrize(
    ("plane", "signals"), [(PYTHON, [signal.SIGINT]), (FAST, [signal.SIGTERM, signal.SIGHUP])], ids=[PYTHON, FAST]
)
def test_on_one_processor_it_carries_all_and_ends_cleanly_at_a_signal_under_traffic(
    cable: Bench, plane: str, signals: Sequence[signal.Signals]
) -> None:
    command = ours(plane).command
    program = Program("ours", lambda interface: ("taskset", "-c", "0", *command(interface)), ours=True)
    one, two = cable.node(1, program), cable.node(2, program)
    for number in signals:
        two.add_peer(one)
        one.add_peer(two, outer=4)
        transfer(one, two, mebibytes=2)
        with traffic(one, two):
            before = int(two.show("transfer").split()[0])
            wait_for(lambda before=before: int(two.show("transfer").split()[0]) > before + (1 << 19), "no traffic")  # type: ignore[misc]
            assert stop(two.process, number) == 0, number.name
        assert left(two.namespace, two.interface) == []
        one.set("peer", two.public_key, "remove")
        if number is not signals[-1]:
            two.start()


@pytest.fixture
def space() -> Iterator[Namespace]:
    made = Namespace(f"wgf-{secrets.token_hex(3)}")
    yield made
    made.close()


@pytest.mark.parametrize("stays", [True, False], ids=["foreground", "daemon"])
@pytest.mark.parametrize(
    ("limit", "why"),
    [("--nofile=18:18", "Too many open files"), ("--nproc=2:2", "Resource temporarily unavailable")],
    ids=["descriptors", "threads"],
)
def test_what_it_is_denied_as_it_begins_is_told_and_no_half_of_it_stays(
    space: Namespace, limit: str, why: str, stays: bool
) -> None:
    """A daemon's parent, too, only leaves with success when packets can move."""
    ours(FAST)  # skips where there is no thread to be denied
    interface = f"wf{secrets.token_hex(3)}"
    if "nproc" in limit and stays:
        limit = "--nproc=1:1"  # there is no parent that counts
    words = ("prlimit", limit, sys.executable, "-c", RUN_OURS, "device", interface, *(["-f"] if stays else []))
    if "nproc" in limit:
        user = str(2_000_000_000 + secrets.randbelow(1_000_000))
        words = ("unshare", "--mount", "bash", "-c", AS_SOMEBODY, "bash", user, *words)
    done = subprocess.run(
        ["ip", "netns", "exec", space.name, *words], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 1
    assert f"cannot run a node on {interface}: {why}" in done.stderr
    assert left(space, interface) == []
    wait_for(lambda: run("ip", "netns", "pids", space.name) == "", "a process stays")


def test_without_descriptors_it_refuses_what_needs_one_and_carries_on(cable: Bench) -> None:
    program = ours(FAST)
    one, two = cable.node(1, program), cable.node(2, program)
    two.add_peer(one)
    one.add_peer(two, outer=4)
    assert one.ping(two)
    pid = str(two.process.pid)
    used = max(int(each.name) for each in Path(f"/proc/{pid}/fd").iterdir()) + 1
    run("prlimit", "--pid", pid, f"--nofile={used + 1}:")  # one is for whoever asks
    assert wg_fails(two, "listen-port", "4000")
    assert one.ping(two)
    run("prlimit", "--pid", pid, "--nofile=1024:")
    two.set("listen-port", "4000")
    assert two.wg("show", two.interface, "listen-port").strip() == "4000"


def wg_fails(node: Node, *words: str) -> bool:
    command = ["ip", "netns", "exec", node.namespace.name, "wg", "set", node.interface, *words]
    return subprocess.run(command, capture_output=True, check=False, timeout=30).returncode != 0


def test_where_memory_ends_it_ends_with_that_reason(cable: Bench) -> None:
    program = ours(FAST)
    one, two = cable.node(1, program), cable.node(2, program)
    two.add_peer(one)
    one.add_peer(two, outer=4)
    assert one.ping(two)
    status = Path(f"/proc/{two.process.pid}/status").read_text()
    (kilobytes,) = (int(line.split()[1]) for line in status.splitlines() if line.startswith("VmSize:"))
    run("prlimit", "--pid", str(two.process.pid), f"--as={kilobytes * 1024}:")
    peers = "".join(
        f"[Peer]\nPublicKey = {base64.b64encode(secrets.token_bytes(32)).decode()}\nAllowedIPs = fd00:{number:x}::/32\n"
        for number in range(4000)
    )
    wg_fails(two, "fwmark", "0")  # whether this still works is no matter
    two.wg("addconf", two.interface, two.file("conf", peers), check=False)
    assert two.process.wait(20) != 0
    assert "memory" in two.log.read_text().lower()
    assert left(two.namespace, two.interface) in (
        [],
        [str(SOCKETS / f"{two.interface}.sock")],
    )  # aborted, it has no time
