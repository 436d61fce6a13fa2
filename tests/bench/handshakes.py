"""What a gateway with many devices takes, and how many of them it lets connect: `make bench-handshakes`.

    [clients] 172.31.255.253, 198.18.0.0/15 ---- 172.31.255.254 [gateway] 10.1.0.2 ---- [desk]

The node runs as in its machine (tests/lab/pool_gateway.py). Clients are of the node's own protocol, each at an address
of its own, so that no limit for a source counts; some are under way at once, and the time is from the first initiation
to the last response. Memory is of the node's process.
"""

from __future__ import annotations

import argparse
import os
import secrets
import select
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from tests.bench.dataplane.pair import resident
from tests.bench.flood import processor_seconds
from tests.lab.interop import Namespace, wait_for
from tests.lab.many_devices import GATEWAY, PORT, bound, client, compiled, own_sources
from tests.lab.test_users import PROGRAM, cable, give

RESPONSE = 92
"""Bytes."""
LAST = 60.0
"""Seconds for all of them."""


def initiation(number: int, gateway: bytes) -> bytes:
    device = client(number, gateway, 0.0)
    device.initiate(device.peers[0], 0.0)
    ((message, _),) = device.datagrams_to_send()
    return message


def connect(space: Namespace, messages: Sequence[bytes], at_once: int) -> tuple[int, float]:
    """Responses, and seconds."""
    sockets = [bound(space, number) for number in range(len(messages))]
    poll, of = select.epoll(), {one.fileno(): one for one in sockets}
    for one in sockets:
        poll.register(one, select.EPOLLIN)
    todo = list(zip(sockets, messages, strict=True))
    todo.reverse()
    begin, answered = time.monotonic(), 0
    for one, message in (todo.pop() for _ in range(min(at_once, len(todo)))):
        one.sendto(message, (GATEWAY, PORT))
    while answered < len(messages) and time.monotonic() < begin + LAST:
        for number, _ in poll.poll(1):
            if len(of[number].recv(2048)) == RESPONSE:
                answered += 1
                if todo:
                    one, message = todo.pop()
                    one.sendto(message, (GATEWAY, PORT))
    took = time.monotonic() - begin
    for one in sockets:
        one.close()
    return answered, took


def measure(devices: int, clients: int, at_once: int, plane: str, folder: Path) -> str:
    config, keys = compiled(devices)
    mark, spaces = secrets.token_hex(3), {}
    try:
        for role in ("clients", "gateway", "desk"):
            spaces[role] = Namespace(f"wgh-{mark}-{role}")
        gateway = spaces["gateway"]
        cable(gateway, "g0", spaces["clients"], "uplink", config.transit.mac)
        cable(gateway, "g1", spaces["desk"], "eth0", config.lan.mac)
        give(spaces["clients"], "uplink", "172.31.255.253/30")
        give(spaces["desk"], "eth0", "10.1.0.7/16")
        own_sources(spaces["clients"])
        (folder / "config").write_bytes(config.to_json())
        (folder / "secrets").write_bytes(keys.to_json())
        start = (sys.executable, PROGRAM, folder / "config", folder / "secrets")
        begin, log = time.monotonic(), folder / "gateway.log"
        process = gateway.spawn(*start, log=log, WGNODE_DATAPLANE=plane)
        wait_for(lambda: "berlin up" in log.read_text(), "the gateway does not start", 300)
        up, before = time.monotonic() - begin, resident(process.pid)
        messages = [initiation(number, config.public_keys[0]) for number in range(clients)]
        used = processor_seconds(process.pid)
        answered, took = connect(spaces["clients"], messages, at_once)
        used = processor_seconds(process.pid) - used
        return (f"| {devices} | {plane} | {up:.1f} | {before:.0f} | {answered} of {clients} | {answered / took:.0f} |"
                f" {answered / max(used, 0.01):.0f} | {resident(process.pid):.0f} |")  # fmt: skip
    finally:
        for space in spaces.values():
            space.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--devices", default="10,10000", help="(%(default)s)")
    parser.add_argument("--clients", type=int, default=500, help="that connect, at most all (%(default)s)")
    parser.add_argument("--at-once", type=int, default=16, help="(%(default)s)")
    parser.add_argument("--dataplane", default="fast", choices=["fast", "python"])
    options = parser.parse_args()
    print(f"{os.cpu_count()} processors, load {os.getloadavg()[0]:.1f} at the beginning\n")
    print("| devices | plane | up, s | MB | connected | a second | by second of the node's processor | MB then |")
    print("|---|---|---|---|---|---|---|---|")
    for devices in map(int, options.devices.split(",")):
        with tempfile.TemporaryDirectory(prefix="wgnode-handshakes-") as folder:
            clients = min(devices, options.clients)
            print(measure(devices, clients, options.at_once, options.dataplane, Path(folder)), flush=True)
    print(f"\nload {os.getloadavg()[0]:.1f} at the end")


if __name__ == "__main__":
    main()
