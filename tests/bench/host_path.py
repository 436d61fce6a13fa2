"""What the datagrams of a gateway cost its host: `make bench-host-path`.

    [guest] tap - [host: DNAT, masquerade] - out: one by one to a bridge without ports
                                           - in: a cable that carries them one by one ---- [internet]

The guest is this process, at the tap in QEMU's place; nothing is encrypted and nothing emulated. Out, trains of 45
datagrams are written whole (a guest whose cards carry UDP segmentation) or one by one. In, the uplink joins datagrams
that it forwards or does not, and the tap takes trains or not. What counts is processor time of the host's network: out
that of the write itself, in that of the thread that receives at the uplink. Ways take turns, and medians are compared.
"""

from __future__ import annotations

import argparse
import fcntl
import os
import secrets
import select
import socket
import statistics
import struct
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pulumi_wgnode.hosts.judging import features
from tests.lab.interop import Namespace
from wgnode.io import tun

PIECES, SIZE = 45, 1440
"""Of a train: datagrams, and bytes in each beside the headers."""
TRAIN = PIECES * SIZE
AWAY, AWAY_HOST = "203.0.113.1", "203.0.113.2"
HOST, FAR, TRANSIT, GUEST, PORT = "198.51.100.2", "198.51.100.1", "172.31.255.253", "172.31.255.254", 51820
GUEST_MAC = "52:54:00:77:67:00"
IFF_TAP, UDP_SEGMENT, UDP_L4 = 2, 103, 5
NAT = f"""table ip nat {{
    chain in {{ type nat hook prerouting priority -100; iifname != guest udp dport {PORT} dnat to {GUEST}; }}
    chain out {{ type nat hook postrouting priority 100; masquerade; }}
}}"""


@dataclass
class Way:
    """`napi` are the threads that receive at the uplink, one a queue."""

    host: Namespace
    far: Namespace
    uplink: str
    tap: int
    sender: socket.socket
    napi: list[int]


@contextmanager
def built() -> Iterator[Way]:
    name = secrets.token_hex(3)
    host, far, uplink = Namespace(f"wgh-{name}-host"), Namespace(f"wgh-{name}-far"), f"up{name}"
    try:
        host.run("ip", "link", "add", uplink, "type", "veth", "peer", "name", uplink, "netns", far.name)
        for space, address in ((host, HOST), (far, FAR)):
            # A veth receives as a card does, by NAPI, where its other end has no segmentation whatever.
            space.run("ethtool", "-K", uplink, "tx-udp-segmentation", "off", "tso", "off")
            space.run("ip", "address", "add", f"{address}/24", "dev", uplink)
            space.run("ip", "link", "set", uplink, "up")
        host.run("ethtool", "-K", uplink, "gro", "on")
        host.run("sh", "-c", f"echo 1 >/sys/class/net/{uplink}/threaded; sysctl -qw net.ipv4.ip_forward=1")
        host.run("nft", "-f", "-", text=NAT)
        tap = host.call(opened)
        for words in (
            "link add away type bridge",
            "link set away up",
            f"address add {AWAY_HOST}/24 dev away",
            f"neighbour add {AWAY} lladdr {GUEST_MAC} dev away",
            "link set guest up",
            f"address add {TRANSIT}/30 dev guest",
            f"neighbour add {GUEST} lladdr {GUEST_MAC} dev guest",
        ):
            host.run("ip", *words.split())
        host.run("ethtool", "-K", "away", "tx-udp-segmentation", "off")
        sender = far.call(lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        sender.setsockopt(socket.IPPROTO_UDP, UDP_SEGMENT, SIZE)
        sender.connect((HOST, PORT))
        yield Way(host, far, uplink, tap, sender, threads_of(uplink))
    finally:
        host.close()
        far.close()


def opened() -> int:
    descriptor = os.open("/dev/net/tun", os.O_RDWR)
    flags = IFF_TAP | tun.IFF_NO_PI | tun.IFF_VNET_HDR
    fcntl.ioctl(descriptor, tun.TUNSETIFF, struct.pack("16sH22x", b"guest", flags))
    return descriptor


def threads_of(interface: str) -> list[int]:
    names = {int(path.parent.name): path.read_text() for path in Path("/proc").glob("[0-9]*/comm")}
    return [pid for pid, name in names.items() if name.startswith(f"napi/{interface}"[:15])]


def frames(mac: bytes, whole: bool) -> list[bytes]:
    """A train as a guest's card hands it over, in one or in pieces; each with its virtio-net header."""
    size, count = (TRAIN, 1) if whole else (SIZE, PIECES)
    offload = struct.pack("<BBHHHH", 1, UDP_L4 if whole else 0, 42, SIZE if whole else 0, 34, 6)
    ethernet = mac + bytes.fromhex(GUEST_MAC.replace(":", "")) + b"\x08\x00"
    addresses = socket.inet_aton(GUEST) + socket.inet_aton(AWAY)
    header = struct.pack(">BBHHHBBH", 0x45, 0, 28 + size, 1, 0, 64, 17, 0) + addresses
    header = header[:10] + struct.pack(">H", 0xFFFF ^ folded(header)) + header[12:]
    begun = folded(addresses + struct.pack(">HH", 17, 8 + size))  # of the checksum, which who cuts it completes
    datagram = struct.pack(">HHHH", PORT, PORT, 8 + size, begun) + bytes(size)
    return [offload + ethernet + header + datagram] * count


def folded(data: bytes) -> int:
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total


def out(path: Way, trains: int, whole: bool) -> float:
    """Seconds of the processor a GB."""
    mac = path.host.run("cat", "/sys/class/net/guest/address").strip().replace(":", "")
    train, before = frames(bytes.fromhex(mac), whole), sent(path)
    begin = time.thread_time()
    for _ in range(trains):
        for frame in train:
            os.write(path.tap, frame)
    spent = time.thread_time() - begin
    crossed = sent(path) - before
    assert 0 <= crossed - trains * PIECES < 10, f"{crossed} datagrams left, not {trains * PIECES}"
    return spent / (trains * TRAIN * 1e-9)


def sent(path: Way) -> int:
    return int(path.host.run("cat", "/sys/class/net/away/statistics/tx_packets"))


def into(path: Way, trains: int, joined: bool, whole: bool) -> float:
    """Seconds of the processor a GB that came to the tap."""
    path.host.run(*features.program("on" if joined else "off", path.uplink))
    fcntl.ioctl(path.tap, tun.TUNSETOFFLOAD, tun.USO if whole else tun.TUN_F_CSUM)
    data, came, begin = bytes(TRAIN), 0, processor(path.napi)
    for _ in range(trains):
        path.sender.send(data)
        left = TRAIN
        while left > 0 and select.select([path.tap], [], [], 0.2)[0]:
            left -= max(0, len(os.read(path.tap, 1 << 17)) - 52)
        came += TRAIN - left
    assert came > 0.9 * trains * TRAIN, f"of {trains * TRAIN} bytes {came} came"
    return (processor(path.napi) - begin) / (came * 1e-9)


def processor(threads: list[int]) -> float:
    """Seconds, to the nanosecond (schedstat)."""
    return sum(int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) for pid in threads) * 1e-9


WAYS: dict[str, Callable[[Way, int], float]] = {
    "out, one by one": lambda path, trains: out(path, trains, False),
    "out, in trains": lambda path, trains: out(path, trains, True),
    "in, not joined": lambda path, trains: into(path, trains, False, False),
    "in, joined at the uplink, cut before the tap": lambda path, trains: into(path, trains, True, False),
    "in, joined at the uplink, in trains": lambda path, trains: into(path, trains, True, True),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--trains", type=int, default=1000, help="of 45 datagrams of 1440 bytes, a measurement")
    given = parser.parse_args()
    if os.geteuid() != 0:
        sys.exit("it builds networks and needs root: make bench-host-path does that")
    found: dict[str, list[float]] = {name: [] for name in WAYS}
    with built() as path:
        # What receives goes on when the sender waits, hence finds whole trains, as after a card's interrupt.
        one = {min(os.sched_getaffinity(0))}
        for pid in (0, *path.napi):
            os.sched_setaffinity(pid, one)
        for _ in range(given.rounds):
            for name, way in WAYS.items():
                found[name].append(way(path, given.trains))
    print("| way | processor s a GB, median of rounds | range | of the first of its direction |\n|---|---|---|---|")
    for name, figures in found.items():
        first = next(each for each in found if each.startswith(name.split(",")[0]))
        ratio = statistics.median(one / other for one, other in zip(figures, found[first], strict=True))
        print(f"| {name} | {statistics.median(figures):.2f} | {min(figures):.2f}-{max(figures):.2f} | ×{ratio:.2f} |")


if __name__ == "__main__":
    main()
