"""A machine whose routes and links come and go by thousands, as beside BGP and containers.

[a] 198.51.100.1 ---- 198.51.100.2 [b] 203.0.113.2
    192.0.2.1    ---- 192.0.2.2
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab.interop import Namespace, wait_for
from tests.lab.scenarios.world import Device, World, outer_wire, ping, two_uplinks

pytestmark = pytest.mark.lab

ROUTES = 400
"""Each set of them makes as many messages, twice."""


@pytest.fixture
def busy(world: World) -> tuple[Device, Device]:
    return two_uplinks(world)


@contextlib.contextmanager
def churn(space: Namespace, device: str, *more: str) -> Iterator[None]:
    """Routes by a device come and go until the end."""
    lines = [
        f"route {what} 10.{100 + each // 250}.{each % 250}.0/24 dev {device} {' '.join(more)}"
        for what in ("add", "del")
        for each in range(ROUTES)
    ]
    loop = 'while :; do ip -batch - <<< "$0"; done'
    command = ["ip", "netns", "exec", space.name, "bash", "-c", loop, "\n".join(lines)]
    process = subprocess.Popen(command, process_group=0)
    try:
        yield
    finally:
        os.killpg(process.pid, 9)
        process.wait()


def seconds_used(device: Device) -> float:
    """Of the processor, by the node's process."""
    fields = Path(f"/proc/{device.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@pytest.mark.parametrize(("where", "more"), [("eth2", ()), ("tunnel", ("mtu", "1300"))], ids=["beside it", "into it"])
def test_the_node_pays_little_for_routes_that_come_and_go(
    busy: tuple[Device, Device], where: str, more: tuple[str, ...]
) -> None:
    one, _ = busy
    with churn(one.space, one.name if where == "tunnel" else where, *more):
        time.sleep(0.3)
        before, begin = seconds_used(one), time.monotonic()
        one.space.run("ping", "-q", "-i", "0.01", "-c", "200", "10.9.0.2")
        used, passed = seconds_used(one) - before, time.monotonic() - begin
    assert used < passed / 4, f"{used:.2f} s of {passed:.2f} s"


def test_the_source_follows_its_route_and_padding_its_mtu_all_the_same(busy: tuple[Device, Device]) -> None:
    one, two = busy
    a = one.space
    with churn(a, "eth2"), outer_wire(two.space, "eth2") as lengths:
        time.sleep(0.3)
        a.run("ip", "route", "replace", "203.0.113.2", "via", "192.0.2.2")
        wait_for(lambda: ping(a, "10.9.0.2") and two.endpoint(one) == "192.0.2.1:51820", "the source stays", 10)
        a.run("ip", "route", "add", "10.9.0.2", "dev", one.name, "mtu", "1289")
        time.sleep(0.2)
        lengths()
        assert ping(a, "10.9.0.2", "-s", "1261")  # a packet of just that MTU, so padded by nothing
        assert 1289 + 32 + 28 in lengths()
