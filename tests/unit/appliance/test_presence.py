"""Devices' addresses in the LAN: held as long as they are in the configuration, and what is taken is told by name."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import replace
from ipaddress import IPv6Address, ip_address
from pathlib import Path

import pytest

from wgnode.appliance.log import Log
from wgnode.appliance.presence import Presence
from wgnode.io.loop import Loop
from wgnode.nodeconfig import LinkConfig, NodeConfig, PeerConfig
from wgnode.responder.packets import Kind, announcement, heard, probe

OURS, THEIRS = bytes.fromhex("525400000001"), bytes.fromhex("020000000002")
V4, V6 = ip_address("10.1.0.130"), ip_address("fd00:10:1::1001")
PHONE = PeerConfig("alice/phone", (b"p" * 32,), (f"{V4}/32", f"{V6}/128"))


class Wire:
    """A card whose frames a test writes and reads."""

    def __init__(self) -> None:
        self.far, near = os.pipe2(os.O_NONBLOCK)[::-1]
        self.fds, self.coming, self.sent = [near], list[bytes](), list[bytes]()
        self.groups: set[IPv6Address] = set()

    def read(self, most: int) -> list[bytes]:
        os.read(self.fds[0], 100)
        frames, self.coming = self.coming, []
        return frames

    def send(self, frame: bytes) -> None:
        self.sent.append(frame)

    def join(self, groups: Iterable[IPv6Address]) -> None:
        self.groups = set(groups)

    def hear(self, frame: bytes) -> None:
        self.coming.append(frame)
        os.write(self.far, b"x")


class World:
    def __init__(self, tmp_path: Path) -> None:
        self.now = 0.0
        self.loop = Loop(lambda: self.now)
        self.wire = Wire()
        self.console = os.open(tmp_path / "console", os.O_RDWR | os.O_CREAT)
        self.taken: list[frozenset[str]] = []
        self.opened = 0
        self.presence = Presence(self.loop, Log(self.console), self.open, self.taken.append)

    def open(self) -> Wire:
        self.opened += 1
        return self.wire

    def run(self, seconds: float) -> None:
        for _ in range(round(seconds * 10)):
            self.now += 0.1
            self.loop.run_once(0)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def config(*devices: PeerConfig) -> NodeConfig:
    card = LinkConfig("52:54:00:00:00:01", ())
    return NodeConfig("dev", "berlin", (), 1, (), card, card, devices=devices)


def test_a_gateway_without_devices_listens_to_nothing_and_one_that_gets_some_does(world: World) -> None:
    world.presence.watch(config())
    assert world.opened == 0
    world.presence.watch(config(PHONE))
    world.run(15)
    said = [one for frame in world.wire.sent for one in heard(frame)]
    assert {one.address for one in said if one.kind is Kind.CLAIMED} == {V4, V6}
    assert world.wire.groups == {ip_address("ff02::1:ff00:1001")}
    world.wire.sent.clear()
    world.wire.hear(probe(THEIRS, V4))
    world.run(0.1)
    assert len(world.wire.sent) == 1
    world.presence.watch(config())
    world.wire.hear(probe(THEIRS, V4))
    world.run(0.1)
    assert len(world.wire.sent) == 1
    assert world.wire.groups == set()
    assert world.opened == 1


def test_what_another_machine_has_is_told_once_by_name_until_it_is_nobodys(world: World, tmp_path: Path) -> None:
    world.presence.watch(config(PHONE))
    world.run(2)
    for _ in range(3):
        world.wire.hear(announcement(THEIRS, V4))
        world.run(0.1)
    assert world.taken == [frozenset({"alice/phone"})]
    assert world.presence.told() == {"10.1.0.130": {"device": "alice/phone", "mac": "02:00:00:00:00:02"}}
    world.run(80)
    assert world.taken == [frozenset({"alice/phone"}), frozenset()]
    assert world.presence.told() == {}
    console = (tmp_path / "console").read_text()
    assert console.count("alice/phone: 10.1.0.130 is 02:00:00:00:00:02's in the LAN; the device is shut out") == 1
    assert "alice/phone: 10.1.0.130 is nobody else's any more" in console


def test_a_device_that_leaves_while_its_address_is_taken_leaves_nothing_to_tell(world: World) -> None:
    world.presence.watch(config(PHONE))
    world.run(2)
    world.wire.hear(announcement(THEIRS, V4))
    world.run(0.1)
    world.presence.watch(config())
    assert world.taken[-1] == frozenset()
    assert world.presence.told() == {}


def test_a_device_that_gets_another_name_while_its_address_is_taken_stays_shut_out(world: World) -> None:
    world.presence.watch(config(PHONE))
    world.run(2)
    world.wire.hear(announcement(THEIRS, V4))
    world.run(0.1)
    world.presence.watch(config(replace(PHONE, name="alice/mobile")))
    assert world.taken == [frozenset({"alice/phone"}), frozenset({"alice/mobile"})]


def test_without_such_a_part_or_card_the_gateway_goes_on_and_says_so(world: World, tmp_path: Path) -> None:
    def broken() -> Wire:
        raise OSError("no such card")

    Presence(world.loop, Log(world.console), None, world.taken.append).watch(config(PHONE))
    Presence(world.loop, Log(world.console), broken, world.taken.append).watch(config(PHONE))
    assert "nobody answers for devices' addresses in the LAN: no such card" in (tmp_path / "console").read_text()
