"""The program under test is a parameter: ours on both data planes. WGNODE_SCENARIO_PROGRAM names another instead
("wireguard-go"), to hold one against the other."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab import programs
from tests.lab.programs import Program
from tests.lab.scenarios.world import Device, World

OTHER = os.environ.get("WGNODE_SCENARIO_PROGRAM")


@pytest.fixture(params=[OTHER] if OTHER else [f"ours-{plane}" for plane in programs.PLANES])
def program(request: pytest.FixtureRequest) -> Program:
    return programs.named(request.param)


@pytest.fixture
def world(tmp_path: Path, program: Program) -> Iterator[World]:
    made = World(tmp_path, program)
    try:
        yield made
    finally:
        made.close()


@pytest.fixture
def pair(world: World) -> tuple[Device, Device]:
    """[a] 192.0.2.1 2001:db8::1 ---- 192.0.2.2 2001:db8::2 [b], nodes 10.9.0.1 fd09::1 and 10.9.0.2 fd09::2.

    They know each other; only the first knows where the other is.
    """
    a, b = world.space("a"), world.space("b")
    world.cable(a, b, ["192.0.2.1/24", "2001:db8::1/64"], ["192.0.2.2/24", "2001:db8::2/64"])
    one, two = world.all_devices([(a, ["10.9.0.1/24", "fd09::1/64"]), (b, ["10.9.0.2/24", "fd09::2/64"])])
    two.peer(one, "10.9.0.1/32,fd09::1/128")
    one.peer(two, "10.9.0.2/32,fd09::2/128", "192.0.2.2:51820")
    return one, two
