"""An interface's one IPv4 address, its network, MTU and flags, by ioctl(2) as netdevice(7) has it.

src/net/netsyscall.c knows SIOC[GS]IF{ADDR,NETMASK,FLAGS,MTU}, newer ones SIOCGIFHWADDR; all else is ENOSYS
(ioctl_generic). What is set is read back.
"""

from __future__ import annotations

import errno
import fcntl
import socket
import struct
from ipaddress import IPv4Address, IPv4Interface

SIOCGIFFLAGS, SIOCSIFFLAGS = 0x8913, 0x8914
SIOCGIFADDR, SIOCSIFADDR = 0x8915, 0x8916
SIOCGIFNETMASK, SIOCSIFNETMASK = 0x891B, 0x891C
SIOCGIFHWADDR = 0x8927
IFF_UP = 1
_ADDRESS = struct.Struct("=16sH2x4s16x")
_FLAGS = struct.Struct("=16sH22x")
_HARDWARE = struct.Struct("=16sH6s16x")


class Control:
    """A socket whose ioctls are about interfaces by name, to be closed. Each raises OSError."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)

    def __enter__(self) -> Control:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def address(self, name: str) -> IPv4Interface:
        """0.0.0.0/0 where it has none."""
        ip, mask = self._address(SIOCGIFADDR, name), self._address(SIOCGIFNETMASK, name)
        return IPv4Interface(f"{ip}/{mask}")

    def set_address(self, name: str, wanted: IPv4Interface) -> None:
        """Not touched where it is so already: each change ends TCP connections from the address before."""
        if self.address(name) == wanted:
            return
        self._set_address(SIOCSIFADDR, name, wanted.ip)
        self._set_address(SIOCSIFNETMASK, name, wanted.netmask)
        if (has := self.address(name)) != wanted:
            raise OSError(errno.EIO, f"{name} was to have {wanted} and has {has}")

    def set_up(self, name: str) -> None:
        """With the flags that it has: of others than IFF_UP and IFF_RUNNING a change is refused (ifflags_to_netif)."""
        flags = self._flags(name)
        if not flags & IFF_UP:
            fcntl.ioctl(self._socket, SIOCSIFFLAGS, _FLAGS.pack(name.encode(), flags | IFF_UP))
            if not self._flags(name) & IFF_UP:
                raise OSError(errno.EIO, f"{name} does not go up")

    def mac(self, name: str) -> str | None:
        """None where the kernel does not tell it."""
        try:
            answer = fcntl.ioctl(self._socket, SIOCGIFHWADDR, _HARDWARE.pack(name.encode(), 0, bytes(6)))
        except OSError as error:
            if error.errno in (errno.ENOSYS, errno.ENOTTY, errno.EINVAL):
                return None
            raise
        return bytes(_HARDWARE.unpack(answer)[2]).hex(":")

    def _flags(self, name: str) -> int:
        return int(_FLAGS.unpack(fcntl.ioctl(self._socket, SIOCGIFFLAGS, _FLAGS.pack(name.encode(), 0)))[1])

    def _address(self, request: int, name: str) -> IPv4Address:
        answer = fcntl.ioctl(self._socket, request, _ADDRESS.pack(name.encode(), socket.AF_INET, bytes(4)))
        return IPv4Address(_ADDRESS.unpack(answer)[2])

    def _set_address(self, request: int, name: str, address: IPv4Address) -> None:
        fcntl.ioctl(self._socket, request, _ADDRESS.pack(name.encode(), socket.AF_INET, address.packed))
