"""How long the node's loop is held by what concerns all peers, in memory: at once, and in slices as a node does it.

python -m tests.bench.stall.held [--peers 3000] [--planes python,fast] [--rounds 3]
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import replace

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from wgnode.appliance import heard
from wgnode.appliance.health import device_health
from wgnode.dataplane.choose import choose
from wgnode.io.control import HEADER, encode
from wgnode.io.loop import Loop
from wgnode.io.node import LiveDigest, new_device, reconfiguring
from wgnode.io.slices import Slices
from wgnode.io.uapi import answer
from wgnode.nodeconfig import LinkConfig, NodeConfig, NodeSecrets, PeerConfig
from wgnode.platform import tunnel
from wgnode.protocol.device import Device
from wgnode.work import Work, at_once

OWN = bytes([8] + [7] * 30 + [71])
CARD = LinkConfig("52:54:00:77:67:00", ())
CONFIG = NodeConfig(
    "dev", "berlin", (X25519PrivateKey.from_private_bytes(OWN).public_key().public_bytes_raw(),), 1, (), CARD, CARD
)


def peers_of(number: int) -> list[PeerConfig]:
    """Three networks each."""
    made = []
    for peer in range(number):
        networks = (f"10.{peer >> 8}.{peer & 255}.0/24", f"fd00:{peer:x}::/64", f"fd01:{peer:x}::/64")
        made.append(PeerConfig(f"p{peer}", (os.urandom(32),), networks, f"192.0.2.1:{peer + 1}", 25))
    return made


def request(peers: list[PeerConfig]) -> str:
    lines = []
    for peer in peers:
        lines += [f"public_key={peer.public_keys[0].hex()}", f"endpoint={peer.endpoint}"]
        lines += ["persistent_keepalive_interval=25", "replace_allowed_ips=true"]
        lines += [f"allowed_ip={network}" for network in peer.allowed_ips]
    return "\n".join(["set=1", *lines, "", ""])


def in_one_step(do: Callable[[], object]) -> Work[object]:
    """What is not sliced."""
    yield True
    return do()


def works(device: Device, peers: list[PeerConfig]) -> Iterator[tuple[str, Callable[[], Work[object]]]]:
    """Each as it comes after the one before."""
    text, live, now = request(peers), LiveDigest(device), lambda: 1.0
    config, secrets = replace(CONFIG, peers=tuple(peers)), NodeSecrets((OWN,))
    fewer = replace(config, peers=tuple(replace(peer, allowed_ips=peer.allowed_ips[:2]) for peer in peers))
    blob = config.to_json()
    told = encode({"type": "configure", "id": 1, "config": blob.decode(), "secrets": secrets.to_json().decode()})
    yield "set of new peers", lambda: answer(device, text, now)
    yield "set of the same", lambda: answer(device, text, now)
    yield "get", lambda: answer(device, "get=1\n\n", now)
    yield "health", lambda: device_health(device, live, 1.0, 1.0)
    health = at_once(device_health(device, live, 1.0, 1.0))
    yield "health as JSON", lambda: in_one_step(lambda: encode({"type": "reply", "id": 1, "health": health}))
    yield "message of a change", lambda: in_one_step(lambda: heard.parse(told[HEADER.size :]))
    yield "its configuration", lambda: NodeConfig.reading(blob)
    yield "its kernel routes", lambda: in_one_step(lambda: tunnel.differences(config, fewer))
    yield "live change", lambda: reconfiguring(device, fewer, secrets, now, former=config)
    yield "replace_peers", lambda: answer(device, "set=1\nreplace_peers=true\n\n", now)


def at_one_go(work: Work[object]) -> float:
    """Milliseconds of the processor that it took."""
    begin = time.thread_time()
    at_once(work)
    return (time.thread_time() - begin) * 1000


def in_slices(work: Work[object]) -> float:
    """The same, of the longest slice."""
    loop, done, longest = Loop(), list[object](), 0.0
    slices, begin = Slices(loop), time.thread_time()
    slices.add(work, done.append)
    while True:
        longest = max(longest, time.thread_time() - begin)
        if done:
            loop.close()
            return longest * 1000
        begin = time.thread_time()
        loop.run_once(0)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.stall.held", description=__doc__)
    parser.add_argument("--peers", type=int, default=3000)
    parser.add_argument("--planes", default="python,fast")
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    for plane in given.planes.split(","):
        found: dict[str, tuple[list[float], list[float]]] = {}
        for _ in range(given.rounds):
            for column, way in enumerate((at_one_go, in_slices)):
                device = new_device(choose(plane).new_plane())
                device.set_private_keys([OWN], 1.0)
                for name, work in works(device, peers_of(given.peers)):
                    found.setdefault(name, ([], []))[column].append(way(work()))
        print(
            f"{plane}, {given.peers} peers: processor time that the loop is held, ms, medians of {given.rounds} rounds"
        )
        for name, (one, slices) in found.items():
            print(f"  {name:19} at once {statistics.median(one):7.1f}, in slices {statistics.median(slices):6.1f}")


if __name__ == "__main__":
    main()
