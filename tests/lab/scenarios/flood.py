"""A flood of handshake initiations from many sources against a node that has a session to keep.

    [a] 192.0.2.1 ---- 192.0.2.2 [b] 198.51.100.2 ---- 198.51.100.1 [flood] 198.18.0.0/15 (forged sources)
     10.9.0.1              10.9.0.2

Run as a program it is the sender: `python -m tests.lab.scenarios.flood MESSAGES PORT RATE SECONDS` in [flood].
"""

from __future__ import annotations

import base64
import hashlib
import os
import random
import socket
import struct
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import ip_network
from pathlib import Path

from tests.lab.interop import Namespace
from tests.lab.scenarios.world import PORT, Device, World
from wgnode.dataplane.plain import PlainPlane
from wgnode.io.node import Tai64n, new_device
from wgnode.protocol.endpoint import Endpoint

TARGET = "198.51.100.2"
SOURCES = 50_000
BASES = 200
"""Initiations of as many keys, whose sender index and mac1 change with every datagram sent."""
INITIATION, COOKIE_REPLY = 148, 64
MODULE = "tests.lab.scenarios.flood"
ROOT = Path(__file__).resolve().parents[3]


def arena(world: World) -> tuple[Device, Device, Namespace]:
    """The two nodes, which know each other, and where the flood comes from."""
    a, b, flood = world.space("a"), world.space("b"), world.space("flood")
    world.cable(a, b, ["192.0.2.1/24"], ["192.0.2.2/24"])
    world.cable(b, flood, [f"{TARGET}/24"], ["198.51.100.1/24"])
    b.run("ip", "route", "add", "198.18.0.0/15", "via", "198.51.100.1")
    one, two = world.all_devices([(a, ["10.9.0.1/24"]), (b, ["10.9.0.2/24"])])
    two.peer(one, "10.9.0.1/32")
    one.peer(two, "10.9.0.2/32", f"192.0.2.2:{PORT}")
    return one, two, flood


def write_messages(path: Path, target: Device) -> None:
    """First mac1's key, then initiations to `target` by keys that it doesn't know; all but that is right."""
    public = base64.b64decode(target.public_key)
    messages = [_initiation(public) for _ in range(BASES)]
    path.write_bytes(hashlib.blake2s(b"mac1----" + public).digest() + b"".join(messages))


def _initiation(public: bytes) -> bytes:
    device = new_device(PlainPlane(), tai64n=Tai64n())
    device.set_private_keys([os.urandom(32)], 0.0)
    peer = device.add_peer([public])
    device.set_endpoint(peer, Endpoint(TARGET, PORT))
    device.add_allowed_ip(peer, ip_network("0.0.0.0/0"))
    device.start(0.0)
    device.send_packet(b"\x45" + bytes(15) + bytes([10, 0, 0, 1]), 0.0)
    ((message, _),) = device.datagrams_to_send()
    assert len(message) == INITIATION
    return message


@dataclass
class Flood:
    """A running sender. `answers` are the lengths of what the target sent back, counted."""

    process: subprocess.Popen[str]
    sniffer: socket.socket
    answers: Counter[int]

    def finish(self) -> int:
        """Datagrams sent, after the end."""
        output, _ = self.process.communicate(timeout=120)
        self.collect()
        self.sniffer.close()
        return int(output)

    def collect(self) -> None:
        """Count what came back so far; the kernel keeps only so much."""
        while True:
            try:
                frame = self.sniffer.recv(2048)
            except BlockingIOError:
                return
            packet = frame[14:]
            if packet[9] == socket.IPPROTO_UDP and packet[12:16] == socket.inet_aton(TARGET):
                self.answers[len(packet) - 28] += 1


def start(space: Namespace, messages: Path, *, rate: int, seconds: float, port: int = PORT) -> Flood:
    sniffer = space.call(lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0800)))
    sniffer.bind(("eth2", 0))
    sniffer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
    sniffer.setblocking(False)
    command = ["ip", "netns", "exec", space.name, sys.executable, "-m", MODULE, str(messages), str(port)]
    process = subprocess.Popen([*command, str(rate), str(seconds)], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    space.processes.append(process)  # type: ignore[arg-type]
    return Flood(process, sniffer, Counter())


def resident(pid: int) -> int:
    """Resident memory of a process, KiB."""
    status = Path(f"/proc/{pid}/status").read_text()
    (line,) = (line for line in status.splitlines() if line.startswith("VmRSS:"))
    return int(line.split()[1])


def datagram(message: bytes, source: int, port: int) -> bytes:
    """An IPv4 packet from a forged address; the kernel fills in its checksum and length."""
    udp = struct.pack(">HHHH", 1024 + source % 60000, port, 8 + len(message), 0)
    addresses = struct.pack(">I", 0xC6120000 + source) + socket.inet_aton(TARGET)
    return struct.pack(">BBHHHBBH", 0x45, 0, 0, 0, 0, 64, socket.IPPROTO_UDP, 0) + addresses + udp + message


def varied(message: bytes, mac1_key: bytes) -> bytes:
    """The same handshake by another sender index, so that no two datagrams are alike."""
    body = message[:4] + os.urandom(4) + message[8:116]
    return body + hashlib.blake2s(body, key=mac1_key, digest_size=16).digest() + bytes(16)


def send(next_message: Callable[[], bytes], port: int, rate: int, seconds: float) -> int:
    """At most `rate` a second, evenly; a sender that is late makes up for at most a tenth of a second."""
    sent = 0
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW) as raw:
        start = due = time.monotonic()
        while (now := time.monotonic()) < start + seconds:
            if now < due:
                time.sleep(min(due - now, 0.002))
                continue
            due = max(due, now - 0.1) + 1 / rate
            raw.sendto(datagram(next_message(), random.randrange(SOURCES), port), (TARGET, 0))
            sent += 1
    return sent


def main() -> None:
    data = Path(sys.argv[1]).read_bytes()
    mac1_key, rest = data[:32], data[32:]
    messages = [rest[at : at + INITIATION] for at in range(0, len(rest), INITIATION)]
    port, rate, seconds = int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4])
    print(send(lambda: varied(random.choice(messages), mac1_key), port, rate, seconds))


if __name__ == "__main__":
    main()
