"""A node and the namespace that it lives in: one ends, then the other."""

from __future__ import annotations

import os
import socket
import time
from pathlib import Path

import pytest

from tests.lab.interop import SOCKETS, run, wait_for
from tests.lab.scenarios.world import Device, World, ping, udp_socket
from wgnode.io.netlink import Rtnetlink

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


@pytest.mark.parametrize("known", [True, False], ids=["the node knows of the move", "at once"])
def test_what_is_sent_as_the_link_comes_up_in_another_namespace_arrives(
    world: World, pair: tuple[Device, Device], known: bool
) -> None:
    """Twenty datagrams in the first half second of a link, twice; and the first is as good as the last."""
    one, two = pair
    inner = world.space("inner")
    one.ip("link", "set", one.name, "netns", inner.name)
    if known:
        wait_for(lambda: one.space.run("ss", "-Huln").strip() == "", "the node has not seen its link go down")
    inner.run("ip", "address", "add", "10.9.0.1/24", "dev", one.name)
    with udp_socket(two.space, "10.9.0.2") as there:
        for turn in range(2):
            inner.call(lambda turn=turn: _set_up_and_send(one.name, there.getsockname(), turn))
            assert sorted(there.recv(10) for _ in range(20)) == [b"%d.%02d" % (turn, each) for each in range(20)]
            inner.run("ip", "link", "set", one.name, "down")
            wait_for(lambda: one.space.run("ss", "-Huln").strip() == "", "the node has not seen its link go down")


def _set_up_and_send(interface: str, to: tuple[str, int], turn: int) -> None:
    with Rtnetlink() as kernel, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        kernel.set_link(kernel.link(interface).index, up=True)
        for number in range(20):
            sender.sendto(b"%d.%02d" % (turn, number), to)
            time.sleep(0.025)


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
