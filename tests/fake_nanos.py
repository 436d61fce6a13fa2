"""System calls as Nanos answers them, so far as the node makes any: what is refused, what is taken and ignored, and the
little IP stack behind the TUN. After github.com/nanovms/nanos (named by file) and nanovms/lwip; see
docs/decisions/nanos.md for each.
"""

from __future__ import annotations

import errno
import fcntl
import os
import select
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Interface
from typing import Any

import pytest

from wgnode.pathmtu.checksum import checksum

TUNSETIFF, TUNGETIFF = 0x400454CA, 0x800454D2
IFF_TUN, IFF_NO_PI, IFF_MULTI_QUEUE, TUN_TYPE_MASK = 0x1, 0x1000, 0x100, 0xF
IFF_UP, IFF_BROADCAST, IFF_RUNNING, IFF_NOARP, IFF_MULTICAST = 1, 2, 0x40, 0x80, 0x1000
LARGEST_MTU = 32 << 10
TUN_QUEUE = 512
"""Packets (klib/tun.c TUN_QUEUE_LEN)."""
RECEIVE_BUFFER = 0x34000
"""netsyscall.c DEFAULT_SO_RCVBUF: whatever was asked for."""
IP_MTU_DISCOVER = 10
DF = 0x4000


class Ended(BaseException):
    """The program has ended, and with it the machine."""


NONE = IPv4Interface("0.0.0.0/0")


@dataclass
class Netif:
    """src/core/netif.c: a name of two letters and a number, one address, one network."""

    letters: str
    number: int
    address: IPv4Interface = NONE
    mtu: int = 1500
    up: bool = True
    mac: bytes = b""
    program: socket.socket | None = None
    """The kernel's end of what the program has open as the TUN."""
    out: list[bytes] = field(default_factory=list)
    """What left by a card."""

    @property
    def name(self) -> str:
        return f"{self.letters}{self.number}"

    @property
    def flags(self) -> int:
        kind = IFF_NOARP if self.program is not None else IFF_BROADCAST
        return kind | IFF_RUNNING | IFF_MULTICAST | (IFF_UP if self.up else 0)


class FakeNanos:
    """`forwards`: built with IP_FORWARD 1. `tells_mac`, `sets_clock`: newer versions do. `implements`: options that one
    to come might do, by level and number."""

    def __init__(
        self,
        transit: str = "127.0.0.1/30",
        lan: str = "192.168.7.1/24",
        *,
        macs: tuple[str, str] = ("52:54:00:77:67:00", "52:54:00:00:00:02"),
        forwards: bool = True,
        tells_mac: bool = True,
        sets_clock: bool = True,
        implements: frozenset[tuple[int, int]] = frozenset(),
    ) -> None:
        cards = zip((transit, lan), macs, strict=True)
        self.netifs = [Netif("lo", 0, IPv4Interface("127.0.0.1/8"))]
        self.netifs += [
            Netif("en", number, IPv4Interface(address), mac=bytes.fromhex(mac.replace(":", "")))
            for number, (address, mac) in enumerate(cards, 1)
        ]
        self.forwards, self.tells_mac, self.sets_clock, self.implements = forwards, tells_mac, sets_clock, implements
        self.counters: Counter[str] = Counter()
        self.asked_files: list[str] = []
        self.clock: int | None = None
        self.accept_mtu: Callable[[int], bool] = lambda mtu: True
        self._options: dict[tuple[int, int, int], Any] = {}
        self._tuns: dict[int, Netif | None] = {}
        self._ends: dict[int, socket.socket] = {}
        self._thread: threading.Thread | None = None
        self._stop, self._stopped = os.pipe()

    def install(self, patch: pytest.MonkeyPatch) -> None:
        """From now on this process's system calls, of Python code: an extension's own go to Linux."""
        really_open, really_ioctl, socket_init = os.open, fcntl.ioctl, socket.socket.__init__

        def opened(path: Any, flags: int, *rest: Any, **named: Any) -> int:
            return self._open_tun(flags) if str(path) == "/dev/net/tun" else really_open(path, flags, *rest, **named)

        def ioctl(fd: Any, request: int, argument: Any = 0, *rest: Any) -> Any:
            if not isinstance(argument, bytes):
                return really_ioctl(fd, request, argument, *rest)
            number = fd if isinstance(fd, int) else fd.fileno()
            return (
                self._tun_ioctl(number, request, argument) if number in self._ends else self._ioctl(request, argument)
            )

        def made(sock: socket.socket, family: int = -1, kind: int = -1, proto: int = -1, fileno: Any = None) -> None:
            if fileno is None:
                _refuse(family, kind)
            socket_init(sock, family, kind, proto, fileno)

        patch.setattr(os, "open", opened)
        patch.setattr(fcntl, "ioctl", ioctl)
        patch.setattr(socket.socket, "__init__", made)
        really_set, really_get = socket.socket.setsockopt, socket.socket.getsockopt
        patch.setattr(socket.socket, "setsockopt", lambda s, *given: self._setsockopt(really_set, s, *given))
        patch.setattr(socket.socket, "getsockopt", lambda s, *given: self._getsockopt(really_get, s, *given))
        patch.setattr(os, "fork", _nothing_there)
        patch.setattr(os, "unlink", self._unlink)
        patch.setattr(os, "_exit", _end)
        patch.setattr(time, "clock_settime_ns", self._clock_settime)

    def close(self) -> None:
        os.write(self._stopped, b"x")
        if self._thread is not None:
            self._thread.join(10)
        for end in self._ends.values():
            end.close()
        os.close(self._stop)
        os.close(self._stopped)

    def netif(self, name: str) -> Netif:
        found = next((each for each in self.netifs if each.name == name.rstrip("\0")), None)
        if found is None:
            raise OSError(errno.ENODEV, "No such device")
        return found

    @property
    def tun(self) -> Netif:
        return next(each for each in self.netifs if each.program is not None)

    def from_lan(self, packet: bytes) -> None:
        self._input(self.netif("en2"), packet)

    # klib/tun.c

    def _open_tun(self, flags: int) -> int:
        ours, programs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        for end in (ours, programs):
            socket.socket.setblocking(end, False)
        fd = programs.detach()
        os.set_blocking(fd, not flags & os.O_NONBLOCK)
        self._ends[fd], self._tuns[fd] = ours, None
        return fd

    def _tun_ioctl(self, fd: int, request: int, ifreq: bytes) -> bytes:
        name, flags = ifreq[:16].rstrip(b"\0").decode(), struct.unpack_from("=H", ifreq, 16)[0]
        tun = self._tuns[fd]
        if request == TUNGETIFF and tun is not None:
            return struct.pack("=16sH22x", tun.name.encode(), flags)
        if request != TUNSETIFF:
            raise OSError(errno.ENOSYS, "Function not implemented")  # TUNSETOFFLOAD is not known
        bad_kind = flags & TUN_TYPE_MASK != IFF_TUN
        if tun is not None or bad_kind or flags & ~TUN_TYPE_MASK & ~(IFF_NO_PI | IFF_MULTI_QUEUE):
            raise OSError(errno.EINVAL, "Invalid argument")
        made = Netif((name + "tu")[:2] if len(name) > 1 else "tu", len(self.netifs), mtu=LARGEST_MTU, up=False)
        made.program = self._ends[fd]
        self.netifs.append(made)
        self._tuns[fd] = made
        self._thread = threading.Thread(target=self._run, args=(made,), daemon=True)
        self._thread.start()
        return struct.pack("=16sH22x", made.name.encode(), flags)

    # src/net/netsyscall.c

    def _ioctl(self, request: int, ifreq: bytes) -> bytes:
        setters = {0x8914: self._set_flags, 0x8916: self._set_ip, 0x891C: self._set_mask, 0x8922: self._set_mtu}
        getters = {0x8913: _flags, 0x8915: _ip, 0x891B: _mask, 0x8921: _mtu}
        if self.tells_mac:
            getters[0x8927] = _hardware
        if request not in setters and request not in getters:
            raise OSError(errno.ENOSYS, "Function not implemented")
        netif = self.netif(ifreq[:16].decode())
        if request in setters:
            setters[request](netif, ifreq[16:])
            return ifreq
        return ifreq[:16] + getters[request](netif).ljust(24, b"\0")

    def _set_flags(self, netif: Netif, given: bytes) -> None:
        flags = struct.unpack_from("=H", given)[0]
        if (flags ^ netif.flags) & ~(IFF_UP | IFF_RUNNING):
            raise OSError(errno.EINVAL, "Invalid argument")
        netif.up = bool(flags & IFF_UP)

    def _set_ip(self, netif: Netif, given: bytes) -> None:
        netif.address = IPv4Interface(f"{_address(given)}/{netif.address.netmask}")

    def _set_mask(self, netif: Netif, given: bytes) -> None:
        netif.address = IPv4Interface(f"{netif.address.ip}/{_address(given)}")

    def _set_mtu(self, netif: Netif, given: bytes) -> None:
        mtu = struct.unpack_from("=i", given)[0]
        if not 0 < mtu <= LARGEST_MTU:
            raise OSError(errno.EINVAL, "Invalid argument")
        if self.accept_mtu(mtu):
            netif.mtu = mtu

    def _setsockopt(self, really: Any, sock: socket.socket, level: int, option: int, value: Any, *rest: Any) -> None:
        """What is not implemented is told on the console, and answered with success."""
        known = {
            (socket.IPPROTO_IPV6, socket.IPV6_V6ONLY),
            *((socket.SOL_SOCKET, each) for each in (socket.SO_REUSEADDR, socket.SO_KEEPALIVE, socket.SO_BROADCAST)),
            (socket.IPPROTO_TCP, socket.TCP_NODELAY),
        }
        if (level, option) in known:
            really(sock, level, option, value, *rest)
        elif (level, option) in {(socket.IPPROTO_IP, IP_MTU_DISCOVER), *self.implements}:
            self._options[sock.fileno(), level, option] = value
        else:
            self.counters[f"ignored {level} {option}"] += 1

    def _getsockopt(self, really: Any, sock: socket.socket, level: int, option: int, *rest: Any) -> Any:
        if (level, option) in {(socket.IPPROTO_IP, IP_MTU_DISCOVER), *self.implements}:
            return self._options.get((sock.fileno(), level, option), 0)
        if (level, option) == (socket.SOL_SOCKET, socket.SO_RCVBUF):
            return RECEIVE_BUFFER
        if (level, option) == (socket.SOL_SOCKET, socket.SO_SNDBUF):
            return 0
        names = ("SO_TYPE", "SO_ERROR", "SO_ACCEPTCONN", "SO_REUSEADDR", "SO_KEEPALIVE", "SO_BROADCAST", "SO_DOMAIN")
        if level == socket.SOL_SOCKET and option in {getattr(socket, name) for name in names if hasattr(socket, name)}:
            return really(sock, level, option, *rest)
        if (level, option) == (socket.IPPROTO_IPV6, socket.IPV6_V6ONLY):
            return really(sock, level, option, *rest)
        known_level = level in (socket.SOL_SOCKET, socket.IPPROTO_IP, socket.IPPROTO_IPV6, socket.IPPROTO_TCP)
        raise OSError(errno.ENOPROTOOPT if known_level else errno.EOPNOTSUPP, "option")

    def _clock_settime(self, clock: int, ns: int) -> None:
        if not self.sets_clock:
            raise OSError(errno.ENOSYS, "Function not implemented")
        self.clock = ns

    def _unlink(self, path: Any, **_: Any) -> None:
        """Works on a 9P share as anywhere; the node is not to."""
        self.asked_files.append(str(path))

    # src/core/ipv4/ip4.c

    def _run(self, tun: Netif) -> None:
        assert tun.program is not None
        while True:
            ready, _, _ = select.select([tun.program.fileno(), self._stop], [], [])
            if self._stop in ready:
                return
            try:
                packet = tun.program.recv(65535)
            except OSError:
                return
            if not packet:  # closed: the interface goes
                return self.netifs.remove(tun)
            self._input(tun, packet)

    def _input(self, arrived: Netif, packet: bytes) -> None:
        if packet[0] >> 4 != 4:
            self.counters["not IPv4"] += 1
        elif checksum(packet[: (packet[0] & 15) * 4]):
            self.counters["bad checksum"] += 1
        elif IPv4Address(packet[16:20]) in [each.address.ip for each in self.netifs]:
            self.counters["for itself"] += 1
        elif not self.forwards:
            self.counters["not forwarded"] += 1
        else:
            self._forward(arrived, packet)

    def _forward(self, arrived: Netif, packet: bytes) -> None:
        by = self.route(IPv4Address(packet[16:20]))
        if by is arrived:
            self.counters["not sent back by where it came"] += 1
            return
        if packet[8] <= 1:
            if packet[9] != socket.IPPROTO_ICMP:
                self._icmp(packet, 11, 0)
            return
        aged = packet[:8] + bytes([packet[8] - 1]) + packet[9:10] + b"\0\0" + packet[12:]
        whole = aged[:10] + checksum(aged[:20]).to_bytes(2, "big") + aged[12:]
        if len(whole) > by.mtu and int.from_bytes(packet[6:8], "big") & DF:
            self._icmp(packet, 3, 4)  # with an MTU of 0
        else:
            self._output(by, whole)

    def route(self, to: IPv4Address) -> Netif:
        """The newest interface first, and the first that has it; else the default one."""
        for netif in reversed(self.netifs):
            if netif.up and netif.address.ip != IPv4Address(0) and to in netif.address.network:
                return netif
        return self.netif("en1")

    def _icmp(self, about: bytes, kind: int, code: int) -> None:
        by = self.route(IPv4Address(about[12:16]))
        message = bytes([kind, code, 0, 0]) + bytes(4) + about[:28]
        message = message[:2] + checksum(message).to_bytes(2, "big") + message[4:]
        header = struct.pack(
            "!BBHHHBBH4s4s", 0x45, 0, 20 + len(message), 1, 0, 255, 1, 0, by.address.ip.packed, about[12:16]
        )
        self._output(by, header[:10] + checksum(header).to_bytes(2, "big") + header[12:] + message)

    def _output(self, by: Netif, packet: bytes) -> None:
        if by.program is None:
            by.out.append(packet)
            return
        try:
            by.program.send(packet)
        except BlockingIOError:
            self.counters["TUN queue full"] += 1


def _refuse(family: int, kind: int) -> None:
    """netsyscall.c socket(), netlink.c: no raw or packet sockets; of netlink nothing that changes anything."""
    if family == socket.AF_PACKET:
        raise OSError(errno.EAFNOSUPPORT, "Address family not supported by protocol")
    if family == socket.AF_NETLINK:
        raise OSError(errno.EOPNOTSUPP, "Nanos opens it, and answers each RTM_NEW and RTM_DEL with this")
    if kind != -1 and kind & 0xF == socket.SOCK_RAW:
        raise OSError(errno.EINVAL, "Invalid argument")


def _nothing_there() -> int:
    raise OSError(errno.ENOSYS, "Function not implemented")


def _end(code: int) -> None:
    raise Ended(code)


def _address(given: bytes) -> IPv4Address:
    if struct.unpack_from("=H", given)[0] != socket.AF_INET:
        raise OSError(errno.EINVAL, "Invalid argument")
    return IPv4Address(given[4:8])


def _flags(netif: Netif) -> bytes:
    return struct.pack("=H", netif.flags)


def _ip(netif: Netif) -> bytes:
    return struct.pack("=HH4s", socket.AF_INET, 0, netif.address.ip.packed)


def _mask(netif: Netif) -> bytes:
    return struct.pack("=HH4s", socket.AF_INET, 0, netif.address.netmask.packed)


def _mtu(netif: Netif) -> bytes:
    return struct.pack("=i", netif.mtu)


def _hardware(netif: Netif) -> bytes:
    return struct.pack("=H6s", 1, netif.mac.ljust(6, b"\0"))
