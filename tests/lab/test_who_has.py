"""Asking a LAN who has an address, of real kernels: by Python, and by the kernel where there is none."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from pulumi_wgnode.hosts.host import Result
from pulumi_wgnode.hosts.networks import probe
from tests.lab.bare_host import BareHost, bare_host
from tests.lab.interop import Namespace

pytestmark = pytest.mark.lab

MACHINE = "02:00:00:00:00:07"
TAKEN, FREE = ("10.1.0.7", "fd00:10:1::7"), ("10.1.0.8", "fd00:10:1::8")

DEAF = """add table inet deaf; add chain inet deaf in { type filter hook input priority 0; };
add rule inet deaf in icmpv6 type != nd-neighbor-solicit drop; add rule inet deaf in meta l4proto != icmpv6 drop"""
SETTLED = 'until [ -z "$(ip -6 addr show dev lan0 tentative)" ]; do sleep 0.1; done'


@contextmanager
def lan(setting: str) -> Iterator[BareHost]:
    """The host, and in its LAN a machine that drops all that it can drop."""
    with bare_host(setting) as host:
        machine = Namespace(f"{host.space.name}-m")
        try:
            host.shell(f"ip link set lan0-far netns {machine.name}")
            addresses = "; ".join(f"ip addr add {one} dev lan0-far nodad" for one in ("10.1.0.7/24", "fd00:10:1::7/64"))
            machine.run("sh", "-ec", f"ip link set lan0-far address {MACHINE} up; {addresses}")
            machine.run("nft", DEAF)
            yield host
        finally:
            machine.close()


class Shell:
    """A host's `run` in a namespace, with another PATH where that is given."""

    name = "root@bare"

    def __init__(self, host: BareHost, path: str = "") -> None:
        self._host, self._path = host, path

    def run(self, argv: list[str], *, input: bytes = b"", check: bool = True, **_: Any) -> Result:
        path = [f"PATH={self._path}"] if self._path else []
        program = "/bin/sh" if argv[0] == "sh" else argv[0]
        command = ["ip", "netns", "exec", self._host.space.name, "/usr/bin/env", *path, program, *argv[1:]]
        done = subprocess.run(command, input=input, capture_output=True, timeout=30, check=check)
        return Result(done.returncode, done.stdout.decode(), done.stderr.decode())


def test_a_machine_that_answers_no_ping_is_found_by_either_family_and_nobody_else() -> None:
    with lan("true") as host:
        before = host.shell("ip neigh")
        found = probe.holders(Shell(host), [*FREE, *TAKEN], tap="wgnode-lan", lan="lan0")
        assert found == dict.fromkeys(TAKEN, MACHINE), "the host needs no address in the LAN"
        assert host.shell("ip neigh") == before
        host.shell("ip link add br9 type bridge; ip link set br9 up; ip link set lan0 master br9")
        assert probe.holders(Shell(host), TAKEN, tap="wgnode-lan", lan="lan0") == dict.fromkeys(TAKEN, MACHINE)
        host.shell("ip link set br9 down")
        assert probe.holders(Shell(host), TAKEN, tap="wgnode-lan", lan="lan0") == {}
        assert probe.holders(Shell(host), TAKEN, tap="wgnode-lan", lan="lan9") == {}


def test_a_host_without_python_asks_by_its_kernel(tmp_path: Path) -> None:
    for tool in ("ip", "sed", "sleep", "readlink", "cat"):
        (tmp_path / tool).symlink_to(next(p for p in (Path("/sbin", tool), Path("/bin", tool)) if p.exists()))
    with lan("ip addr add 10.1.0.1/24 dev lan0; ip addr add fd00:10:1::1/64 dev lan0 nodad") as host:
        host.shell(SETTLED)
        found = probe.holders(Shell(host, str(tmp_path)), [*FREE, *TAKEN], tap="wgnode-lan", lan="lan0")
    assert found == dict.fromkeys(TAKEN, MACHINE)
