"""What the node imports only when it is busy: the image's builder runs this to see those modules too."""

from __future__ import annotations

import contextlib
import inspect
import os
import traceback

from wgnode.dataplane.choose import NAMES, Choice, Unavailable, choose
from wgnode.io.node import LiveDigest, new_device
from wgnode.io.uapi import handle
from wgnode.protocol.device import Device
from wgnode.protocol.endpoint import Endpoint

LATE = (inspect, traceback)
"""Imported where something goes wrong, and by whoever looks at a dataclass (made.py)."""

A, B = Endpoint("192.0.2.1", 51820), Endpoint("2001:db8::1", 51820)


def exercise() -> None:
    """On each data plane that there is."""
    for name in NAMES:
        with contextlib.suppress(Unavailable):
            _exercise(choose(name))


def _exercise(choice: Choice) -> None:
    """A handshake and a packet between two devices in memory, and the questions that a host asks."""
    alice, bob = new_device(choice.new_plane()), new_device(choice.new_plane())
    alice.set_private_keys([os.urandom(32)], 0.0)
    bob.set_private_keys([os.urandom(32)], 0.0)
    _meet(alice, bob, B, "10.0.0.2/32")
    _meet(bob, alice, A, "10.0.0.1/32")
    alice.start(0.0)
    bob.start(0.0)
    packet = bytes.fromhex("450000140000000040fd0000" + "0a000001" + "0a000002")
    alice.send_packet(packet, 1.0)
    for now in (1.0, 1.1, 1.2, 1.3):
        for sender, receiver, source in ((alice, bob, A), (bob, alice, B)):
            for data, _ in sender.datagrams_to_send():
                receiver.receive_datagram(data, source, now)
    if bob.packets_to_deliver() != [packet]:
        raise RuntimeError("two nodes of this image can't talk to each other")
    handle(alice, "get=1\n\n", 2.0)
    LiveDigest(alice)()


def _meet(device: Device, other: Device, endpoint: Endpoint, network: str) -> None:
    peer = device.add_peer(other.public_keys)
    device.set_endpoint(peer, endpoint)
    device.replace_allowed_ips(peer, [network])
