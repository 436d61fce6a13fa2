"""What came as one datagram, and what a kernel has joined (udp(7) UDP_GRO)."""

from __future__ import annotations

import secrets
from struct import pack

from wgnode.pathmtu.pieces import Whole, whole

PORTS = pack(">HHHH", 51820, 51820, 0, 0)


def message(size: int, receiver: int = 7, kind: int = 4) -> bytes:
    return pack("<IIQ", kind, receiver, 1) + secrets.token_bytes(size - 16)


def test_a_transport_message_is_told_with_its_session_and_its_size_outside() -> None:
    assert whole(PORTS + message(1452), 4) == Whole(7, 1480)
    assert whole(PORTS + message(1452), 6) == Whole(7, 1500)
    assert whole(PORTS + message(32), 4) == Whole(7, 60)


def test_what_is_no_single_message_is_nothing() -> None:
    assert whole(PORTS + message(700) + message(700), 4) is None
    assert whole(PORTS + message(1400) + message(32), 4) is None
    assert whole(PORTS + message(700, 7) + message(700, 8), 4) is None
    assert whole(PORTS + message(31), 4) is None
    assert whole(PORTS + message(148, kind=1), 4) is None
    assert whole(b"", 4) is None
