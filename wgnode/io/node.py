"""Devices as this machine runs them: with its randomness and its wall clock, and from a gateway's configuration."""

from __future__ import annotations

import os
import struct
import time
from collections.abc import Callable
from ipaddress import ip_network

from wgnode.io.udp import parse_endpoint
from wgnode.nodeconfig import NodeConfig, NodeSecrets
from wgnode.protocol.device import Device
from wgnode.protocol.endpoint import Endpoint

TAI64_EPOCH = 0x400000000000000A
"""TAI64 label of 1970, with the ten leap seconds of then, as every WireGuard has it."""
WHITENING = 1 << 24
"""Nanoseconds (16.8 ms) that a time stamp is rounded down to, so as not to reveal the clock."""


class Tai64n:
    """Time stamps of handshake initiations: 12 bytes, each later than the one before, even if the clock steps back.

    `floor` is a wall clock time in nanoseconds that none may fall below: what a former run may have used.
    """

    def __init__(self, clock: Callable[[], int] = time.time_ns, floor: int = 0) -> None:
        self._clock = clock
        self._last = floor

    def __call__(self) -> bytes:
        self._last = max(self._clock(), self._last + WHITENING)
        seconds, nanoseconds = divmod(self._last, 10**9)
        return struct.pack(">QI", TAI64_EPOCH + seconds, nanoseconds & ~(WHITENING - 1))


def new_device(*, mtu: int = 1420, tai64n: Callable[[], bytes] | None = None) -> Device:
    """An unconfigured device with the machine's randomness and clock."""
    return Device(random=os.urandom, tai64n=tai64n or Tai64n(), mtu=mtu)


def from_config(
    config: NodeConfig, secrets: NodeSecrets, now: float, *, tai64n: Callable[[], bytes] | None = None
) -> Device:
    """The device that a gateway boots with, not started. Raises ValueError when keys and configuration differ.

    Endpoints given as names stay empty: the host resolves them and sets them by UAPI.
    """
    device = new_device(mtu=config.mtu, tai64n=tai64n)
    device.listen_port = config.listen_port
    device.set_private_keys(secrets.private_keys, now)
    if device.public_keys != config.public_keys:
        raise ValueError("the secrets' private keys do not belong to the configuration's public keys")
    for each in config.peers:
        peer = device.add_peer(each.public_keys, each.name)
        device.set_preshared_keys(peer, secrets.preshared_keys.get(each.public_keys[0], ()))
        device.set_endpoint(peer, literal_endpoint(each.endpoint))
        device.replace_allowed_ips(peer, [ip_network(net) for net in each.allowed_ips])
        device.set_keepalive(peer, each.persistent_keepalive, now)
    return device


def literal_endpoint(text: str | None) -> Endpoint | None:
    """None for no endpoint, and for one whose address is a name."""
    try:
        return None if text is None else parse_endpoint(text)
    except ValueError:
        return None
