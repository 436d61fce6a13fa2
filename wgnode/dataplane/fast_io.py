"""The engine moves packets on threads of its own, and tells the loop when somebody else is needed."""

from __future__ import annotations

import contextlib
import errno
import socket
from collections import Counter

from wgnode.dataplane.fast import FastPlane
from wgnode.dataplane.offloads import Offloads
from wgnode.dataplane.places import to_endpoint
from wgnode.io.loop import Timer
from wgnode.io.packet_io import PlaneDied
from wgnode.io.shell import Shell
from wgnode.io.sticky import is_tunnel_datagram
from wgnode.io.udp import CUT_OFF
from wgnode.protocol.endpoint import Endpoint

LARGEST_TRAIN, MOST_SEGMENTS = 65507, 64
"""Of one sending with UDP_SEGMENT: bytes of UDP payload, and datagrams."""
RETRY = 0.01
"""Seconds after which what a full socket did not take of the protocol's own messages is tried again."""
OVERHEAD = 32
"""Bytes that a transport message is longer than its packet."""


class FastIO:
    """Hands TUN and sockets to the engine, whose threads move packets, and to the device what the engine leaves.

    The threads begin with the loop's first turn: a process that becomes a daemon forks before that, and takes no thread
    along.
    """

    def __init__(self, shell: Shell, allowed: Offloads, threads: int = 1) -> None:
        assert isinstance(shell.device.plane, FastPlane)
        self._shell, self._device, self._allowed = shell, shell.device, allowed
        self._plane, self._engine = shell.device.plane, shell.device.plane.engine
        self._plane.resolve = self._resolve
        self._told: int | None = None
        self._threads = threads
        self._limited_for = 0
        self._pauses = 0
        self._retry: Timer | None = None
        self._begin = shell.loop.call_later(0.0, self._start)

    @property
    def counters(self) -> Counter[str]:
        """What the kernel refused: "tun ENOSPC", "udp EMSGSIZE"..."""
        refused = self._engine.refused()
        told = {f"{each.whose} {errno.errorcode.get(each.errno, each.errno)}": each.packets for each in refused}
        return +Counter({**told, f"udp {CUT_OFF}": self._engine.cut_off()})

    def sockets_changed(self) -> None:
        if self._told is None:
            return
        self._plane.routing_changed()
        udp = self._shell.udp
        if udp is None:
            return self._engine.set_sockets(None, None, False)
        options, gro = self._shell.platform.sockets, self._allowed.gro
        able = [options is not None and options.join_and_split(each, gro=gro) for each in udp.sockets.values()]
        gso = self._allowed.gso and all(able)
        fds = udp.descriptors
        second = {family: each.fileno() for family, each in udp.fragmenting.items()}
        self._plane.sync()
        self._engine.set_sockets(
            fds.get(socket.AF_INET),
            fds.get(socket.AF_INET6),
            gso,
            (second.get(socket.AF_INET), second.get(socket.AF_INET6)),
            None if udp.cuts.descriptor is None else (udp.cuts.descriptor, udp.port),
        )

    def routing_changed(self) -> None:
        """Nothing moves until it is known where to: else all would be handed over meanwhile."""
        self.pause()
        try:
            self._plane.routing_changed()
        finally:
            self.resume()

    def pause(self) -> None:
        """May be called again meanwhile: packets move after as many `resume`."""
        self._pauses += 1
        self._engine.pause()

    def resume(self) -> None:
        self._plane.sync()
        self._pauses -= 1
        if not self._pauses:
            self._engine.resume()

    def sent(self) -> None:
        if self._plane.mtu != self._limited_for:
            self._limit_frames(self._plane.mtu)
        self._plane.sync()
        udp = self._shell.udp
        if udp is not None and udp.blocked and self._retry is None:
            self._retry = self._shell.loop.call_later(RETRY, self._try_again)

    def close(self) -> None:
        for timer in (self._begin, self._retry):
            if timer is not None:
                timer.cancel()
        if self._told is not None:
            self._shell.loop.remove_reader(self._told)
            self._told = None
        self._engine.stop()

    def _start(self) -> None:
        self._told = self._engine.start(self._threads)
        self._shell.loop.add_reader(self._told, self._happened)
        tun = self._shell.tun.offloads
        self._engine.set_tun(self._shell.tun.fd, vnet_header=tun.vnet_header, tso4=tun.tso4, tso6=tun.tso6, uso=tun.uso)
        self.sockets_changed()
        self.sent()

    def _happened(self) -> None:
        """Raises PlaneDied."""
        events = self._engine.events()
        if events.died is not None:
            raise PlaneDied(f"the data plane's thread has ended: {events.died}")
        self._plane.hear(events)
        packets = [each.data for each in events.handed if each.place is None]
        if packets:
            self._shell.tun_spoke()
        self._device.carry_over(self._shell.loop.now())
        udp = self._shell.udp
        if udp is not None:
            udp.refused.update((to_endpoint(each.place), each.message) for each in events.too_long)
        nested = udp is not None and udp.nested
        self._shell.flush(carries_tunnel=nested and any(map(is_tunnel_datagram, packets)))
        self._engine.settle()
        if events.tun_gone:
            self._shell.interface_gone()

    def _try_again(self) -> None:
        """What a full socket did not take of the protocol's own messages."""
        self._retry = None
        if (udp := self._shell.udp) is not None:
            udp.flush()
            self.sent()

    def _limit_frames(self, mtu: int) -> None:
        """No more packets in a frame of the TUN than messages in one sending: those left over would cost another. Cut
        shorter for a smaller path (docs/decisions/smaller-paths.md) they have more headers, which have to fit too."""
        self._limited_for = mtu
        segments = min(MOST_SEGMENTS, LARGEST_TRAIN * 24 // 25 // (mtu + OVERHEAD))
        if (limit := self._shell.platform.limit_frames) is not None:
            with contextlib.suppress(OSError):
                limit(self._shell.tun.name, max(1, segments))

    def _resolve(self, endpoint: Endpoint) -> tuple[Endpoint, bool] | None:
        udp = self._shell.udp
        if udp is not None:
            with contextlib.suppress(OSError, KeyError):  # counted when something is sent there
                return udp.path(endpoint)
        return None
