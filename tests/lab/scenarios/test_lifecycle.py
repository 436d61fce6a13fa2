"""A node and the namespace that it lives in: one ends, then the other."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.lab.interop import SOCKETS, run, wait_for
from tests.lab.scenarios.world import Device, World, ping

pytestmark = pytest.mark.lab


def test_interface_moves_to_another_namespace_and_its_sockets_stay(world: World, pair: tuple[Device, Device]) -> None:
    """The inner side has the tunnel only; the outer datagrams go on by the cable of the namespace it was made in."""
    one, two = pair
    assert ping(one.space, "10.9.0.2")
    inner = world.space("inner")
    one.ip("link", "set", one.name, "netns", inner.name)
    for address in ("10.9.0.1/24", "fd09::1/64"):
        inner.run("ip", "address", "add", address, "dev", one.name)
    inner.run("ip", "link", "set", one.name, "up")
    wait_for(lambda: ping(inner, "10.9.0.2"), "no traffic from the other namespace", 20)
    assert ping(two.space, "10.9.0.1")
    assert inner.run("ss", "-Huln").strip() == ""


def test_node_ends_when_its_interface_goes_with_its_namespace(world: World, pair: tuple[Device, Device]) -> None:
    one, _ = pair
    inner = world.space("inner")
    one.ip("link", "set", one.name, "netns", inner.name)
    run("ip", "netns", "del", inner.name)
    assert wait_for(lambda: one.process.poll() is not None, "the node outlives its interface", 20)
    assert one.process.returncode == 0
    assert not (SOCKETS / f"{one.name}.sock").exists()


def test_deleted_namespace_lives_as_long_as_the_node_and_no_longer(world: World, pair: tuple[Device, Device]) -> None:
    one, two = pair
    inode = os.stat(f"/run/netns/{one.space.name}").st_ino
    run("ip", "netns", "del", one.space.name)
    two.set("peer", one.public_key, "endpoint", "192.0.2.1:51820")
    assert ping(two.space, "10.9.0.1")
    one.process.terminate()
    one.process.wait(20)
    wait_for(lambda: not _holders(inode), "somebody still holds the namespace")
    wait_for(lambda: "eth1" not in two.ip("link"), "the namespace's cable is still there", 20)


def _holders(inode: int) -> list[Path]:
    found = []
    for entry in Path("/proc").glob("[0-9]*/ns/net"):
        try:
            if entry.stat().st_ino == inode:
                found.append(entry)
        except OSError:
            continue
    return found
