"""A device's time ends by the gateway's own clock, and with it the session, on both planes."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from tests.planes import plane
from tests.unit.protocol.pairs import A4, B4, KEY_A, packet, pair
from wgnode.appliance.admission import LOOK_AGAIN, Admission, due
from wgnode.appliance.log import Log
from wgnode.io.loop import Loop
from wgnode.nodeconfig import LinkConfig, NodeConfig, PeerConfig
from wgnode.protocol.noise import public_bytes

__all__ = ["plane"]
ALICE = public_bytes(X25519PrivateKey.from_private_bytes(KEY_A))
START = 1_800_000_000.0


class Clock:
    def __init__(self) -> None:
        self.wall = START
        self.offset = 0.0

    def now(self) -> float:
        return self.wall - START + 1000.0


class Shell:
    """Of a device on a wire without sockets."""

    def __init__(self, device: Any) -> None:
        self.device = device


def config(expires: int | None) -> NodeConfig:
    card = LinkConfig("52:54:00:00:00:01", ())
    phone = PeerConfig("alice/phone", (ALICE,), (f"{A4}/32",), expires=expires)
    return NodeConfig("dev", "berlin", (), 1, (), card, card, devices=(phone,))


def run_until(loop: Loop, clock: Clock, wall: float) -> None:
    clock.wall = wall
    loop.run_once(0)


def test_a_session_ends_at_its_time_and_not_before_and_the_clock_may_be_set_back(tmp_path: Path) -> None:
    clock, p = Clock(), pair().connect()
    loop = Loop(clock.now)
    console = os.open(tmp_path / "console", os.O_RDWR | os.O_CREAT)
    admission = Admission(loop, Log(console), lambda: clock.wall + clock.offset)
    admission.watch(Shell(p.b.device), config(int(START) + 100))  # type: ignore[arg-type]
    for wall in (START + 31, START + 62, START + 93, START + 99.9):
        run_until(loop, clock, wall)
    p.a_to_b()
    assert p.b.delivered == [packet(A4, B4)]
    p.clear()
    run_until(loop, clock, START + 100)
    assert p.b.peer.session is None
    p.a_to_b()
    p.advance(30.0)
    assert p.b.delivered == []
    clock.offset = -50.0
    run_until(loop, clock, START + 100 + LOOK_AGAIN)
    p.advance(10.0)
    p.a_to_b(b"again")
    assert packet(A4, B4, b"again") in p.b.delivered, "its time is not over by the clock that was set back"
    assert "alice/phone is refused: expired" in (tmp_path / "console").read_text()
    os.close(console)
    loop.close()


@pytest.mark.parametrize("later", [None, int(START) + 1000])
def test_a_device_whose_time_is_prolonged_is_opened_by_the_change(tmp_path: Path, later: int | None) -> None:
    clock, p = Clock(), pair()
    loop = Loop(clock.now)
    with open(tmp_path / "console", "w") as console:
        admission = Admission(loop, Log(console.fileno()), lambda: clock.wall)
        admission.watch(Shell(p.b.device), config(int(START)))  # type: ignore[arg-type]
        assert p.b.peer.closed
        admission.watch(Shell(p.b.device), config(later))  # type: ignore[arg-type]
        assert not p.b.peer.closed
        loop.close()


def test_what_is_due_is_over_from_its_second_on() -> None:
    devices = [PeerConfig(str(at), (), (), expires=at) for at in (None, 5, 7, 9)]
    assert due(devices, 4.9) == ([], 5.0)
    assert due(devices, 7.0) == (devices[1:3], 9.0)
    assert due(devices, 9.0) == (devices[1:], None)
