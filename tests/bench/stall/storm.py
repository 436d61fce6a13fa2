"""Handshakes of many peers that arrive at once. Run as a script inside a namespace.

    python -m tests.bench.stall.storm ADDRESS PORT FILE     fires at each line of standard input, until it ends

FILE has the target's public key and then the peers' private keys, 32 bytes each. Says how many answers came.
"""

from __future__ import annotations

import os
import socket
import sys
from ipaddress import ip_network
from pathlib import Path

from wgnode.dataplane.plain import PlainPlane
from wgnode.io.node import Tai64n, new_device
from wgnode.protocol.endpoint import Endpoint

PACKET = b"\x45" + bytes(15) + bytes([10, 0, 0, 1])


def initiation(private_key: bytes, target: bytes) -> bytes:
    """A message of a peer that has just started."""
    device = new_device(PlainPlane(), tai64n=Tai64n())
    device.set_private_keys([private_key], 0.0)
    peer = device.add_peer([target])
    device.set_endpoint(peer, Endpoint("192.0.2.1", 1))
    device.add_allowed_ip(peer, ip_network("0.0.0.0/0"))
    device.start(0.0)
    device.send_packet(PACKET, 0.0)
    ((message, _),) = device.datagrams_to_send()
    return message


def main() -> None:
    address, port, file = sys.argv[1:]
    data = Path(file).read_bytes()
    target, *keys = (data[at : at + 32] for at in range(0, len(data), 32))
    answers = 0
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.connect((address, int(port)))
        sender.setblocking(False)
        messages = [initiation(key, target) for key in keys]
        print("ready", flush=True)
        for _ in sys.stdin:
            for message in messages:
                sender.send(message)
            messages = [initiation(key, target) for key in keys]
            answers += drain(sender)
        os.sched_yield()
        answers += drain(sender)
    print(answers, flush=True)


def drain(sender: socket.socket) -> int:
    count = 0
    try:
        while sender.recv(2048):
            count += 1
    except BlockingIOError:
        return count
    return count


if __name__ == "__main__":
    main()
