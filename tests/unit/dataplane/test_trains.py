"""A train that the kernel has joined is opened as a whole, and must do what its messages do one by one."""

from __future__ import annotations

import random

import pytest

from tests.unit.dataplane.worlds import HOMES, World, inner_packet
from wgnode.dataplane.choose import FAST, PYTHON, choose
from wgnode.dataplane.fast import FastPlane
from wgnode.dataplane.places import to_place

FROM = HOMES["a"]._replace(source=HOMES["b"].address)


def connected(plane: str) -> World:
    world = World(choose(plane).new_plane)
    world.send("a", inner_packet("a", "b", 0, 5))
    world.deliver()
    world.send("b", inner_packet("b", "a", 0, 5))
    world.deliver()
    world.log.clear()
    return world


def messages(world: World, sizes: list[int]) -> list[bytes]:
    for size in sizes:
        world.send("a", inner_packet("a", "b", 0, size))
    world.log.clear()
    return [data for data, *_ in world.flying]


@pytest.mark.parametrize("seed", range(30))
def test_a_train_does_what_its_messages_do_one_by_one(seed: int) -> None:
    rng = random.Random(seed)
    plain, compiled = connected(PYTHON), connected(FAST)
    size = rng.choice([0, 1, 64, 1380])
    sizes = [size] * rng.randrange(2, 70) + [rng.randrange(size + 1)]
    train = messages(plain, sizes)
    assert messages(compiled, sizes) == train
    for _ in range(rng.randrange(4)):
        at = rng.randrange(len(train) - 1)
        wrong = bytearray(train[at])
        wrong[rng.randrange(len(wrong))] ^= 1 << rng.randrange(8)
        train[at] = rng.choice([bytes(wrong), train[rng.randrange(len(train) - 1)]])
    for data in train:
        plain.nodes["b"].device.receive_datagram(data, FROM, plain.clock.now)
    device = compiled.nodes["b"].device
    assert isinstance(device.plane, FastPlane)
    device.plane.sync()
    now = compiled.clock.now
    packets = device.plane.engine.receive(b"".join(train), to_place(FROM), now, segment=len(train[0]))
    device.carry_over(now)
    assert packets == plain.nodes["b"].device.packets_to_deliver()
    assert compiled.state() == plain.state()
    for world in (plain, compiled):
        world.log.clear()
        world.wait(25.0)
    assert compiled.log == plain.log


def test_a_train_longer_than_any_batch() -> None:
    compiled = connected(FAST)
    device = compiled.nodes["b"].device
    assert isinstance(device.plane, FastPlane)
    train = messages(compiled, [0] * 1500)
    packets = device.plane.engine.receive(b"".join(train), to_place(FROM), 0.0, segment=len(train[0]))
    assert len(packets) == 1500
