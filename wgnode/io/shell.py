"""The shell around the sans-IO device: it moves bytes between TUN, UDP and device, and arms one timer."""

from __future__ import annotations

import contextlib
import os
import socket
from collections import Counter
from collections.abc import Callable, Iterator

from wgnode.io.ground import ShellGround
from wgnode.io.hints import Hints
from wgnode.io.loop import Loop, Timer
from wgnode.io.paced import Paced
from wgnode.io.packet_io import PacketIO
from wgnode.io.paths import Paths
from wgnode.io.slices import Slices
from wgnode.io.sticky import SourcePaths
from wgnode.io.tun import Tun, TunGone
from wgnode.io.uapi import answer
from wgnode.io.udp import UdpSockets
from wgnode.io.udp_bind import refuse_mark
from wgnode.pathmtu.said import Said
from wgnode.platform import Platform
from wgnode.protocol.device import Device
from wgnode.protocol.schedule import NEVER
from wgnode.work import Work

ASKING = 5e-5
"""Seconds, about, that it takes to ask the kernel for the way to one endpoint."""

JUDGED_AT_ONCE, JUDGING_PAUSE = 4, 0.02
"""Endpoints whose ways are asked for as they are heard of, and seconds until the next: a hundredth of a core."""


class Shell:
    """Connects a device to its interface and sockets. It starts stopped: no socket is open before `start`.

    `on_gone` is called once when the interface was deleted. Whoever calls the device directly calls `flush` after.
    `path_mtu`: search the MTU of the ways to peers, and act on it, where plane and platform can; `paths` has them, or
    is None.
    """

    def __init__(
        self,
        loop: Loop,
        device: Device,
        tun: Tun,
        platform: Platform,
        *,
        on_gone: Callable[[], None],
        log: Callable[[str], None] | None = None,
        packet_io: Callable[[Shell], PacketIO],
        path_mtu: bool = True,
    ) -> None:
        self.loop, self.device, self.tun, self.platform = loop, device, tun, platform
        self.on_gone, self.log = on_gone, log
        self.on_sign_of_life: Callable[[], None] | None = None
        """Called when a packet comes out of an interface that is thought to be down, before that is lost."""
        self.udp: UdpSockets | None = None
        self._udp_counters: Counter[str] = Counter()
        self._link_up = False
        self._timer: Timer | None = None
        self._gone = False
        self._judging_again = 0.0
        self._watch = None if platform.routing is None else platform.routing()
        self._routing = None if self._watch is None else Paced(loop, self._watch.fd, self._routing_changed)
        self.paths = self._new_paths() if path_mtu else None
        self._hints = Hints(loop, None if self.paths is None else platform.sockets, self._told)
        self._packets = packet_io(self)
        self.slices = Slices(loop)
        """Whoever asks for the device's configuration or changes it does that here, one after the other."""

    @property
    def counters(self) -> Counter[str]:
        """What was dropped, by kind: the device's own kinds, "tun ENOSPC", "udp ENETUNREACH"..."""
        total = Counter(self.device.counters)
        total.update({f"tun {kind}": number for kind, number in self.tun.counters.items()})
        total.update({f"udp {kind}": number for kind, number in self._udp_counters.items()})
        total.update(self._packets.counters)
        return total

    def start(self) -> None:
        """Link up: open the sockets on the device's port and begin.

        Raises OSError with nothing started; a port set later is tried then.
        """
        self._link_up = True
        if self.device.running:
            return
        self._open(self.device.listen_port)
        self.device.start(self.loop.now())
        self.flush()

    def stop(self) -> None:
        """Link down: sessions end, the sockets are closed, the configuration stays."""
        self._link_up = False
        if not self.device.running:
            return
        self.device.stop(self.loop.now())
        self.flush()
        self._close_sockets()

    def close(self) -> None:
        """Stop for good. The loop stays usable."""
        self.slices.close()
        self.stop()
        self._packets.close()
        if self._timer is not None:
            self._timer.cancel()
        if self._routing is not None:
            self._routing.close()
        if self._watch is not None:
            self._watch.close()
        self.tun.close()

    def uapi(self, text: str, reply: Callable[[str], None]) -> None:
        """Answer one UAPI request, now or in slices (docs/decisions/slices.md), and do at once what it leads to."""
        if text.startswith("get"):
            return self.slices.add(self._get(text), reply)
        work = answer(self.device, text, self.loop.now, sockets=self, log=self.log)
        self.slices.add(work, reply, self.changing)

    def _get(self, text: str) -> Work[str]:
        self.catch_up()
        return (yield from answer(self.device, text, self.loop.now, log=self.log))

    def catch_up(self) -> None:
        """The device knows of all that its plane has moved until now."""
        self.device.carry_over(self.loop.now())
        self.flush()

    def search_again(self, key: bytes | None) -> int:
        """Search the MTU of the way to the peer of this public key, or of all, anew. How many are searched."""
        with self.flushing():
            return 0 if self.paths is None else self.paths.again(key, self.loop.now())

    @contextlib.contextmanager
    def flushing(self) -> Iterator[None]:
        """What the body leads to is done at once."""
        yield
        self.flush()

    @contextlib.contextmanager
    def changing(self) -> Iterator[None]:
        """Whatever the body changes takes effect on packets as one, and what it leads to is done at once."""
        self._packets.pause()
        try:
            yield
        finally:
            self.flush()
            self._packets.resume()

    def set_listen_port(self, port: int) -> None:
        """Move to another port, 0 for a free one. Raises OSError with the old one still in use."""
        if self.device.running:
            return self._open(port)
        self.device.listen_port = port
        if self._link_up:
            self.start()

    def set_fwmark(self, mark: int) -> None:
        """Raises OSError with the old mark still in use."""
        refuse_mark(mark, self.platform.sockets)
        if self.udp is not None:
            self.udp.set_fwmark(mark)
            self._packets.routing_changed()
        self.device.fwmark = mark

    def flush(self, *, carries_tunnel: bool = False) -> None:
        """Carry out what the device wants: send, deliver, and wake it in time.

        `carries_tunnel`: some of what it was given to send was a datagram of another tunnel.
        """
        udp = self.udp
        for data, endpoint in self.device.datagrams_to_send():
            if udp is not None:
                udp.send(data, endpoint, carries_tunnel=carries_tunnel)
        if self.paths is not None:
            self._flush_paths(self.paths, udp, carries_tunnel)
        self._packets.sent()
        try:
            for packet in self.device.packets_to_deliver():
                self.tun.write(packet)
        except TunGone:
            self.interface_gone()
        self._judge_sources()
        self._arm()

    def _flush_paths(self, paths: Paths, udp: UdpSockets | None, carries_tunnel: bool) -> None:
        """What may be fragmented, and probes."""
        if self.device.plane.fragmented:
            for data, endpoint in self.device.fragments_to_send():
                if udp is not None:
                    udp.send(data, endpoint, carries_tunnel=carries_tunnel, fragments=True)
        if udp is not None and udp.refused:
            paths.refused(udp.refused)
            udp.refused = {}
        paths.flush(self.loop.now())

    def _open(self, port: int) -> None:
        """The new sockets first: when there are none to be had, the old ones stay."""
        if self.udp is not None and port == self.udp.port:
            return
        fresh = UdpSockets(
            port,
            self.device.fwmark,
            self._udp_counters,
            self._source_paths(),
            self.platform.sockets,
            whole=self.paths is not None,
        )
        self._close_sockets()
        self.udp = fresh
        self.device.listen_port = fresh.port
        self._packets.sockets_changed()
        if self.paths is not None:
            self.paths.sockets_changed()
            self._hints.listen(fresh.port)

    def _new_paths(self) -> Paths | None:
        """None where the plane keeps to no limits, or nothing says which of our addresses a peer is asked from."""
        if not self.device.plane.keeps_limits or self.platform.sockets is None or self._watch is None:
            return None
        ground = ShellGround(lambda: self.udp, self.platform.sockets, self._watch, lambda: self.tun.name)
        return Paths(self.device, ground, os.urandom)

    def _told(self, said: list[Said]) -> None:
        """Somebody on the way to peers found datagrams too long."""
        if self.paths is not None:
            self.paths.too_big(said)
            self.catch_up()

    def _source_paths(self) -> SourcePaths | None:
        if self._watch is None:
            return None
        own = None
        with contextlib.suppress(OSError):
            own = socket.if_nametoindex(self.tun.name)
        return SourcePaths(self._watch.interface, own, self._watch.tunnels)

    def _close_sockets(self) -> None:
        if self.udp is None:
            return
        old, self.udp = self.udp, None
        self._hints.close()
        if self.paths is not None:
            self.paths.sockets_closed()
        self._packets.sockets_changed()
        old.close()

    def _routing_changed(self) -> float:
        """Seconds that asking the kernel anew will take, for each that something is sent to."""
        if self._watch is None or not self._watch.read() or self.udp is None:
            return 0.0
        ahead = self.udp.routing_changed() * ASKING
        if self.paths is not None:
            ahead += self.paths.routing_changed() * ASKING
        self._packets.routing_changed()
        self.flush()
        return ahead

    def _judge_sources(self) -> None:
        """Of whom we have just heard, but seldom: a flood comes from ever new ones."""
        if self.udp is None or not self.udp.heard:
            return
        now = self.loop.now()
        if now >= self._judging_again and self.udp.judge_heard(JUDGED_AT_ONCE):
            self._judging_again = now + JUDGING_PAUSE

    def _arm(self) -> None:
        """One that fires too early costs a wake-up; moving it later at each packet would cost more."""
        armed = self._timer
        deadline = self._next_deadline(NEVER if armed is None else armed.deadline)
        if deadline is None:
            return
        if armed is not None:
            armed.cancel()
        self._timer = self.loop.call_at(deadline, self._timer_due)

    def _next_deadline(self, before: float) -> float | None:
        """None for not before that time."""
        deadline = self.device.next_deadline(before)
        if self.paths is None:
            return deadline
        probing = self.paths.next_deadline(before if deadline is None else deadline)
        return deadline if probing is None or (deadline is not None and deadline <= probing) else probing

    def _timer_due(self) -> None:
        self._timer = None
        self.device.handle_timer(self.loop.now())
        self.flush()

    def tun_spoke(self) -> None:
        """There are packets of the TUN for the device: it is up, whatever was heard of it."""
        if not self._link_up and self.on_sign_of_life is not None:
            self.on_sign_of_life()

    def interface_gone(self) -> None:
        """The TUN was deleted."""
        if not self._gone:
            self._gone = True
            self.on_gone()
