"""A TUN interface: whole IP packets in and out; for the compiled data plane with a virtio-net header before each."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import socket
import struct
from collections import Counter
from typing import NamedTuple

TUNSETIFF = 0x400454CA
TUNGETIFF = 0x800454D2
TUNGETDEVNETNS = 0x54E3
SIOCSIFMTU = 0x8922
SIOCGIFMTU = 0x8921
IFF_TUN = 0x0001
IFF_NO_PI = 0x1000
IFF_VNET_HDR = 0x4000
TUNSETOFFLOAD = 0x400454D0
TUN_F_CSUM, TUN_F_TSO4, TUN_F_TSO6, TUN_F_TSO_ECN, TUN_F_USO4, TUN_F_USO6 = 0x01, 0x02, 0x04, 0x08, 0x20, 0x40
TSO = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN
USO = TUN_F_CSUM | TUN_F_USO4 | TUN_F_USO6
NO_VNET_HEADER = bytes(10)
LONGEST_NAME = 15
LARGEST_PACKET = 65535
BATCH = 64


class TunOffloads(NamedTuple):
    """A header before each packet, and which packets may come and go as one: TCP's of each family, UDP's of both."""

    vnet_header: bool = False
    tso4: bool = False
    tso6: bool = False
    uso: bool = False


class TunGone(OSError):
    """The interface was deleted; the descriptor is of no more use."""


class Tun:
    """An interface of the calling thread's network namespace that lives as long as this object.

    `counters` counts what the kernel would not take, by errno name. `offloads` are asked for; what the kernel grants of
    them is in the attribute. With a header, reading is the compiled plane's. Raises OSError when it can't be made.
    """

    def __init__(self, name: str, mtu: int = 1420, offloads: TunOffloads = TunOffloads()) -> None:  # noqa: B008
        if not 0 < len(name.encode()) <= LONGEST_NAME or "/" in name or name in (".", ".."):
            raise ValueError(f"interface name {name!r}: 1 to {LONGEST_NAME} bytes without a slash, please")
        self.counters: Counter[str] = Counter()
        self.fd = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            flags = IFF_TUN | IFF_NO_PI | (IFF_VNET_HDR if offloads.vnet_header else 0)
            request = fcntl.ioctl(self.fd, TUNSETIFF, struct.pack("16sH22x", name.encode(), flags))
            self.name = request[:16].rstrip(b"\0").decode()
            self.offloads = _grant(self.fd, offloads) if offloads.vnet_header else TunOffloads()
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
            os.write(self.fd, NO_VNET_HEADER + packet if self.offloads.vnet_header else packet)
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


def _grant(fd: int, wanted: TunOffloads) -> TunOffloads:
    """As much as this kernel knows of: USO came with Linux 6.2."""
    for asked in (wanted, wanted._replace(uso=False), TunOffloads(vnet_header=True)):
        flags = (TSO if asked.tso4 and asked.tso6 else 0) | (USO if asked.uso else 0)
        with contextlib.suppress(OSError):
            fcntl.ioctl(fd, TUNSETOFFLOAD, flags or TUN_F_CSUM)
            return asked
    return TunOffloads(vnet_header=True)


def set_mtu(name: str, mtu: int) -> None:
    """Bytes of the largest packet of an interface. Raises OSError."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as control:
        fcntl.ioctl(control, SIOCSIFMTU, struct.pack("16si20x", name.encode(), mtu))


def get_mtu(name: str) -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as control:
        answer = fcntl.ioctl(control, SIOCGIFMTU, struct.pack("16si20x", name.encode(), 0))
    return int(struct.unpack_from("i", answer, 16)[0])
