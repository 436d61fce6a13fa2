"""Who moves packets between TUN and sockets. The plain one reads and writes each of them in Python."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Protocol

from wgnode.io.loop import Loop
from wgnode.io.sticky import is_tunnel_datagram
from wgnode.io.tun import Tun, TunGone
from wgnode.io.udp import UdpSockets
from wgnode.protocol.device import Device


class Carrier(Protocol):
    """The shell, as a mover sees it."""

    loop: Loop
    device: Device
    tun: Tun
    udp: UdpSockets | None

    def flush(self, *, carries_tunnel: bool = False) -> None: ...

    def tun_spoke(self) -> None: ...

    def interface_gone(self) -> None: ...


class Mover(Protocol):
    """Works from its making to `close`."""

    def sockets_changed(self) -> None:
        """The shell has other sockets now, or none."""

    def routing_changed(self) -> None: ...

    def flushed(self) -> None:
        """The shell has sent and delivered what there was."""

    @property
    def counters(self) -> Counter[str]:
        """What the kernel refused without our sockets and TUN knowing: "tun ENOSPC", "udp EMSGSIZE"..."""

    def close(self) -> None: ...


class PlainMover:
    """Two readers of the loop. A full UDP socket pauses the TUN, whose queue then fills as any slow interface's."""

    def __init__(self, carrier: Carrier) -> None:
        self._carrier, self._loop = carrier, carrier.loop
        self._watched: list[int] = []
        self._paused = False
        self._loop.add_reader(carrier.tun.fd, self._tun_readable)

    def sockets_changed(self) -> None:
        for fd in self._watched:
            self._loop.remove_reader(fd)
            self._loop.remove_writer(fd)
        self._watched = []
        self._pause(False)
        if (udp := self._carrier.udp) is not None:
            for family, fd in udp.descriptors.items():
                self._loop.add_reader(fd, partial(self._udp_readable, udp, family))
                self._watched.append(fd)

    def routing_changed(self) -> None: ...

    @property
    def counters(self) -> Counter[str]:
        return Counter()

    def flushed(self) -> None:
        udp = self._carrier.udp
        if udp is not None and udp.blocked != self._paused:
            self._pause(udp.blocked)

    def close(self) -> None:
        self._loop.remove_reader(self._carrier.tun.fd)

    def _tun_readable(self) -> None:
        carrier = self._carrier
        now = self._loop.now()
        try:
            packets = carrier.tun.read()
        except TunGone:
            self._loop.remove_reader(carrier.tun.fd)
            return carrier.interface_gone()
        if packets:
            carrier.tun_spoke()
        for packet in packets:
            carrier.device.send_packet(packet, now)
        nested = carrier.udp is not None and carrier.udp.nested
        carrier.flush(carries_tunnel=nested and any(map(is_tunnel_datagram, packets)))

    def _udp_readable(self, udp: UdpSockets, family: int) -> None:
        now = self._loop.now()
        receive = self._carrier.device.receive_datagram
        for data, source in udp.receive(family):
            receive(data, source, now)
        self._carrier.flush()

    def _udp_writable(self) -> None:
        if (udp := self._carrier.udp) is not None:
            udp.flush()
            if not udp.blocked:
                self._pause(False)

    def _pause(self, paused: bool) -> None:
        if paused == self._paused:
            return
        self._paused = paused
        for fd in self._watched:
            if paused:
                self._loop.add_writer(fd, self._udp_writable)
            else:
                self._loop.remove_writer(fd)
        if paused:
            self._loop.remove_reader(self._carrier.tun.fd)
        else:
            self._loop.add_reader(self._carrier.tun.fd, self._tun_readable)


NewMover = Callable[[Carrier], Mover]
