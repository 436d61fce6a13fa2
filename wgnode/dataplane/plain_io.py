"""Packets between TUN and sockets, each read and written in Python."""

from __future__ import annotations

from collections import Counter
from functools import partial

from wgnode.io.shell import Shell
from wgnode.io.sticky import is_tunnel_datagram
from wgnode.io.tun import TunGone
from wgnode.io.udp import UdpSockets


class PlainIO:
    """Two readers of the loop. A full UDP socket pauses the TUN, whose queue then fills as any slow interface's."""

    def __init__(self, shell: Shell) -> None:
        self._shell, self._loop = shell, shell.loop
        self._watched: list[int] = []
        self._awaited: int | None = None
        self._loop.add_reader(shell.tun.fd, self._tun_readable)

    def sockets_changed(self) -> None:
        self._await(None)
        for fd in self._watched:
            self._loop.remove_reader(fd)
        self._watched = []
        if (udp := self._shell.udp) is not None:
            for family, fd in udp.descriptors.items():
                self._loop.add_reader(fd, partial(self._udp_readable, udp, family))
                self._watched.append(fd)

    def routing_changed(self) -> None: ...

    def pause(self) -> None:
        """None moves while Python does something else."""

    def resume(self) -> None: ...

    @property
    def counters(self) -> Counter[str]:
        return Counter()

    def sent(self) -> None:
        if (udp := self._shell.udp) is not None:
            self._await(udp.awaited)

    def close(self) -> None:
        self._loop.remove_reader(self._shell.tun.fd)

    def _tun_readable(self) -> None:
        shell = self._shell
        now = self._loop.now()
        try:
            packets = shell.tun.read()
        except TunGone:
            self._loop.remove_reader(shell.tun.fd)
            return shell.interface_gone()
        if packets:
            shell.tun_spoke()
        shell.device.send_packets(packets, now)
        nested = shell.udp is not None and shell.udp.nested
        shell.flush(carries_tunnel=nested and any(map(is_tunnel_datagram, packets)))

    def _udp_readable(self, udp: UdpSockets, family: int) -> None:
        now = self._loop.now()
        self._shell.device.receive_datagrams(udp.receive(family), now)
        self._shell.flush()

    def _udp_writable(self) -> None:
        if (udp := self._shell.udp) is not None:
            udp.flush()
            self._await(udp.awaited)

    def _await(self, fd: int | None) -> None:
        """That this socket takes datagrams again, before more of the TUN is read; None: go on."""
        if fd == self._awaited:
            return
        if self._awaited is None:
            self._loop.remove_reader(self._shell.tun.fd)
        else:
            self._loop.remove_writer(self._awaited)
        self._awaited = fd
        if fd is None:
            self._loop.add_reader(self._shell.tun.fd, self._tun_readable)
        else:
            self._loop.add_writer(fd, self._udp_writable)
