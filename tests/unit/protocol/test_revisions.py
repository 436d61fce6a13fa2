"""What is cached by a peer's revision is what it would be made anew, whatever has changed."""

from __future__ import annotations

import random

import pytest

from tests.planes import new_device
from tests.unit.protocol.pairs import KEY_A
from wgnode.io.node import LiveDigest
from wgnode.protocol import Device

NETWORKS = ["0.0.0.0/0", "10.0.0.0/8", "10.0.0.0/24", "10.0.0.0/32", "10.0.0.128/25", "fd00::/64", "fd00::/128"]


def change(device: Device, rng: random.Random) -> None:
    keys = [bytes([number]) * 32 for number in range(1, 6)]
    key = rng.choice(keys)
    peer = device.peer(key)
    if peer is None:
        device.add_peer([key])
        return
    match rng.randrange(6):
        case 0:
            device.remove_peer(key)
        case 1:
            device.set_preshared_keys(peer, rng.sample(keys, rng.randrange(3)))
        case 2:
            device.set_keepalive(peer, rng.randrange(3), 0.0)
        case 3:
            device.remove_allowed_ip(peer, rng.choice(NETWORKS))
        case 4:
            device.replace_allowed_ips(peer, rng.sample(NETWORKS, 2))
        case _:
            device.add_allowed_ip(peer, rng.choice(NETWORKS))


@pytest.mark.parametrize("seed", range(10))
def test_a_cached_text_and_digest_are_never_old(seed: int) -> None:
    rng = random.Random(seed)
    device = new_device([KEY_A], random=rng.randbytes, tai64n=lambda: bytes(12))
    kept = LiveDigest(device)
    for _ in range(150):
        change(device, rng)
        if rng.randrange(2):  # not after each change, so that several meet one cached text
            for peer in device.peers:
                assert device.networks_text(peer) == ",".join(map(str, peer.allowed_ips))
            assert kept() == LiveDigest(device)()
