"""What people do about a path that carries less one way than the other, ours among it.

All but ours are our own node with its search switched off, so that nothing differs but the method.
"""

from __future__ import annotations

import os
import socket
import struct
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from tests.lab.interop import Namespace
from tests.lab.path.path import Path
from tests.lab.scenarios.world import Device
from wgnode.pathmtu.checksum import checksum
from wgnode.pathmtu.sizes import inner_of

LARGEST = 1440
"""Bytes inside what Ethernet carries."""
FIRST, STEP, FIRST_WAIT, NEXT_WAIT = 576, 20, 10.0, 2.0
"""As Mullvad's daemon has them (mullvad-daemon, tunnel MTU detection)."""
IP_MTU_DISCOVER, IP_PMTUDISC_PROBE = 10, 3


@dataclass
class Tunnel:
    """Up is from `one`, at a, to `two`, at b. `floors` are wire bytes up and down."""

    path: Path
    one: Device
    two: Device
    floors: tuple[int, int]


@dataclass(frozen=True)
class Contender:
    """`prepare` is what its people do once the tunnel is up, and gives the seconds until it is usable by that. `mtu` is
    None where they set none."""

    name: str
    searches: bool
    mtu: int | None
    prepare: Callable[[Tunnel], float]


def nothing(_: Tunnel) -> float:
    return 0.0


def lower_once(tunnel: Tunnel) -> float:
    """Echoes with DF of all sizes at once; the largest that is answered, which has passed both ways, is the MTU."""
    began = time.monotonic()
    answered = echoes(tunnel.one.space, "10.9.0.2", range(FIRST, 1421, STEP))
    for device in (tunnel.one,):  # the other end is somebody else's
        device.ip("link", "set", device.name, "mtu", str(max(answered, default=1280)))
    return time.monotonic() - began


def by_hand(tunnel: Tunnel) -> float:
    """By who knows both ways: each end's route by its own way, and the MSS that it asks for by the other's."""
    up, down = (inner_of(floor, 4) for floor in tunnel.floors)
    for device, own, theirs in ((tunnel.one, up, down), (tunnel.two, down, up)):
        sizes = ("mtu", str(own), "advmss", str(theirs - 40))
        device.ip("route", "replace", "10.9.0.0/24", "dev", device.name, *sizes)
    return 0.0


CONTENDERS = (
    Contender("ours", True, None, nothing),
    Contender("by hand", False, LARGEST, by_hand),
    Contender("lowered once", False, 1420, lower_once),
    Contender("fixed 1280", False, 1280, nothing),
    Contender("fixed 1420", False, 1420, nothing),
)


def echoes(space: Namespace, target: str, sizes: range) -> list[int]:
    """Of ICMP echoes of these sizes (bytes of IP packet), sent at once, those that are answered."""
    with space.call(lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)) as raw:
        raw.setsockopt(socket.IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_PROBE)
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
        mark = os.getpid() & 0xFFFF
        for size in sizes:
            with suppress(OSError):  # longer than the interface
                raw.sendto(_echo(mark, size), (target, 0))
        found: list[int] = []
        raw.settimeout(FIRST_WAIT)
        with suppress(TimeoutError):
            while len(found) < len(sizes):
                packet = raw.recv(65535)
                if packet[20] == 0 and struct.unpack_from(">HH", packet, 24)[0] == mark:
                    found.append(struct.unpack_from(">HH", packet, 24)[1])
                    raw.settimeout(NEXT_WAIT)
        return found


def _echo(mark: int, size: int) -> bytes:
    message = struct.pack(">BBHHH", 8, 0, 0, mark, size) + bytes(size - 28)
    return message[:2] + checksum(message).to_bytes(2, "big") + message[4:]
