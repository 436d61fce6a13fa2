"""A TUN interface: whole IP packets in and out, without a header of the kernel's own."""

from __future__ import annotations

import errno
import fcntl
import os
import socket
import struct
from collections import Counter

TUNSETIFF = 0x400454CA
TUNGETIFF = 0x800454D2
TUNGETDEVNETNS = 0x54E3
SIOCSIFMTU = 0x8922
SIOCGIFMTU = 0x8921
IFF_TUN = 0x0001
IFF_NO_PI = 0x1000
LONGEST_NAME = 15
LARGEST_PACKET = 65535
BATCH = 64


class TunGone(OSError):
    """The interface was deleted; the descriptor is of no more use."""


class Tun:
    """An interface of the calling thread's network namespace that lives as long as this object.

    `counters` counts what the kernel would not take, by errno name. Raises OSError when the interface can't be made.
    """

    def __init__(self, name: str, mtu: int = 1420) -> None:
        if not 0 < len(name.encode()) <= LONGEST_NAME or "/" in name or name in (".", ".."):
            raise ValueError(f"interface name {name!r}: 1 to {LONGEST_NAME} bytes without a slash, please")
        self.counters: Counter[str] = Counter()
        self.fd = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            request = fcntl.ioctl(self.fd, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TUN | IFF_NO_PI))
            self.name = request[:16].rstrip(b"\0").decode()
            set_mtu(self.name, mtu)
        except BaseException:
            os.close(self.fd)
            raise

    def read(self, limit: int = BATCH) -> list[bytes]:
        """Up to `limit` packets, none when nothing waits. Raises TunGone."""
        packets: list[bytes] = []
        try:
            for _ in range(limit):
                packets.append(os.read(self.fd, LARGEST_PACKET))
        except BlockingIOError:
            pass
        except OSError as error:
            if error.errno == errno.EIO:  # the link is down
                return packets
            raise TunGone(error.errno, f"{self.name}: {os.strerror(error.errno or 0)}") from error
        return packets

    def write(self, packet: bytes) -> None:
        """Hand a packet to the kernel; one that it refuses is counted and dropped. Raises TunGone."""
        try:
            os.write(self.fd, packet)
        except OSError as error:
            if error.errno == errno.EBADFD:
                raise TunGone(error.errno, f"{self.name}: the interface is gone") from error
            self.counters[errno.errorcode.get(error.errno or 0, "unknown")] += 1

    def current_name(self) -> str:
        """Interfaces can be renamed. Raises OSError once it is gone."""
        return fcntl.ioctl(self.fd, TUNGETIFF, bytes(40))[:16].rstrip(b"\0").decode()

    def namespace(self) -> int:
        """A descriptor of the network namespace where the interface is now, for the caller to close. Raises OSError."""
        return fcntl.ioctl(self.fd, TUNGETDEVNETNS)

    def close(self) -> None:
        os.close(self.fd)


def set_mtu(name: str, mtu: int) -> None:
    """Bytes of the largest packet of an interface. Raises OSError."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as control:
        fcntl.ioctl(control, SIOCSIFMTU, struct.pack("16si20x", name.encode(), mtu))


def get_mtu(name: str) -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as control:
        answer = fcntl.ioctl(control, SIOCGIFMTU, struct.pack("16si20x", name.encode(), 0))
    return int(struct.unpack_from("i", answer, 16)[0])
