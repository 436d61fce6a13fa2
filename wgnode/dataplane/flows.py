"""The plain plane's flow table: verdicts are made once per flow, here.

What is decided, and by what, is in wgnode.policy; read this beside fastpath/src/, where the compiled plane's is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from wgnode.dataplane.denials import Denials
from wgnode.dataplane.flow import Flow
from wgnode.pathmtu.headers import TCP
from wgnode.policy.judge import Judge
from wgnode.policy.model import (
    FRAGMENTS_LIVE,
    MOST_FLOWS,
    MOST_FRAGMENTED,
    MOST_OF_DEVICE,
    SWEEP_EVERY,
    SWEEP_FULL_EVERY,
    Denial,
    FlowFigures,
    Policy,
    Reason,
)
from wgnode.policy.packet import UDP, Key, View, view

_FIN_SYN_RST = 0x07
_MORE_OR_OFFSET = 0x3F
"""Of IPv4's seventh byte; the eighth is offset too."""

Fragment = tuple[bytes, bytes, bytes, int]


class Flows:
    """`device_at(address)` is the number of the peer whose address it is, None for no peer's.

    A peer that has a class is a device; `classes` has all of them.
    """

    def __init__(
        self, device_at: Callable[[bytes], int | None], most: int = MOST_FLOWS, most_of_device: int = MOST_OF_DEVICE
    ) -> None:
        self.classes: dict[int, int] = {}
        self._device_at = device_at
        self._most, self._most_of_device = most, most_of_device
        self._policy: Policy | None = None
        self._judge = Judge(Policy())
        self._epoch = 0
        self._flows: dict[int, dict[bytes, Flow]] = {TCP: {}, UDP: {}}
        self._of_peer: dict[int, set[Flow]] = {}
        self._begun: dict[int, int] = {}
        self._count = self._refused = 0
        self._swept = -SWEEP_EVERY
        self._fragmented: dict[Fragment, tuple[Flow, float]] = {}
        self._denials = Denials()

    @property
    def figures(self) -> FlowFigures:
        return FlowFigures(self._count, self._refused, self._denials.packets)

    def set_policy(self, policy: Policy | None, classes: Mapping[int, int]) -> None:
        """See plane.Plane."""
        if policy is None:
            classes = {}
        if (policy, classes) == (self._policy, self.classes):
            return
        for peer in self.classes.keys() - classes.keys():
            self.end(peer)
        self._policy, self.classes = policy, dict(classes)
        self._judge = Judge(policy or Policy())
        self.judge_again()

    def set_class(self, peer: int, number: int | None) -> None:
        """See plane.Plane."""
        if self._policy is None or self.classes.get(peer) == number:
            return
        self.end(peer)
        self.classes.pop(peer, None)
        if number is not None:
            self.classes[peer] = number
        self.judge_again()

    def judge_again(self) -> None:
        """Every flow at its next packet: it may be another device's address now, or none's."""
        self._epoch += 1

    def remove(self, peer: int) -> None:
        """It is no peer any more."""
        self.end(peer)
        self.classes.pop(peer, None)
        self._denials.forget(peer)

    def end(self, peer: int) -> None:
        """Of all flows from and to a device."""
        for flow in list(self._of_peer.get(peer, ())):
            self._end(flow)

    def take_denials(self) -> list[Denial]:
        return self._denials.take()

    def passes(self, peer: int, packet: bytes, now: float, *, outgoing: bool) -> bool:
        """Whether a packet from a device (`outgoing`) or to it may go on. One of no more than an address is denied."""
        first = packet[0]
        if first == 0x45 and not (packet[6] & _MORE_OR_OFFSET or packet[7]):
            flows, raw, flags = self._flows.get(packet[9]), packet[12:24], 33
        elif first >> 4 == 6:
            flows, raw, flags = self._flows.get(packet[6]), packet[8:44], 53
        else:
            return self._look(peer, packet, now, outgoing)
        flow = None if flows is None else flows.get(raw)
        if flow is None or flow.epoch != self._epoch or now - flow.seen >= flow.idle:
            return self._look(peer, packet, now, outgoing)
        size = len(packet)
        if flow.is_tcp and (size <= flags or packet[flags] & _FIN_SYN_RST):
            return self._look(peer, packet, now, outgoing)
        flow.seen = now
        if outgoing or flow.other is None:
            if raw == flow.raw:
                flow.packets += 1
                flow.bytes += size
            elif flow.packets_back:
                flow.packets_back += 1
                flow.bytes_back += size
            else:
                flow.note(0, size, forward=False)
        return True

    def _look(self, peer: int, packet: bytes, now: float, outgoing: bool) -> bool:
        """The same for any packet, in no hurry."""
        seen = view(packet)
        if seen.is_error:
            flow = None if seen.error is None else self._standing(self._find(seen.error), now)
            about_it = flow is not None and peer in flow.peers
            return about_it or self._deny(peer, packet, seen, outgoing, Reason.ICMP)
        if seen.later:
            assert seen.fragment is not None
            flow, until = self._fragmented.get(seen.fragment, (None, 0.0))
            there = now < until and self._standing(flow, now) is not None
            return there or self._deny(peer, packet, seen, outgoing, Reason.FRAGMENT)
        if seen.key is None:
            return self._deny(peer, packet, seen, outgoing, Reason.UNREADABLE)
        flow = self._find(seen.key)
        if flow is not None and self._standing(flow, now) is None:
            over = now - flow.seen >= flow.idle
            self._end(flow)
            if not over:
                return self._deny(peer, packet, seen, outgoing, Reason.NOTHING_ALLOWS)
            flow = None
        if flow is None:
            reason, flow = self._open(peer, seen.key, now, outgoing)
            if flow is None:
                return self._deny(peer, packet, seen, outgoing, reason)
        flow.seen = now
        if outgoing or flow.other is None:
            flow.note(seen.flags, len(packet), forward=seen.key == flow.key)
        if seen.fragment is not None:
            self._remember(seen.fragment, flow, now)
        return True

    def _find(self, key: Key) -> Flow | None:
        return self._flows.get(key.protocol, {}).get(key.source + key.destination + key.ports)

    def _standing(self, flow: Flow | None, now: float) -> Flow | None:
        """It, if it is not over, and is allowed as things are now."""
        if flow is None or flow.ended or now - flow.seen >= flow.idle:
            return None
        if flow.epoch != self._epoch:
            own = flow.key.source if flow.outgoing else flow.key.destination
            if self._device_at(own) != flow.owner:
                return None
            if self._verdict(flow.owner, flow.key, flow.outgoing) != (None, flow.other):
                return None
            flow.epoch = self._epoch
        return flow

    def _verdict(self, peer: int, key: Key, outgoing: bool) -> tuple[Reason | None, int | None]:
        """Why not, and the other device. See policy.judge."""
        number = self.classes.get(peer)
        address = key.destination if outgoing else key.source
        other = self._device_at(address)
        owner = None if other is None else self.classes.get(other)
        if owner is not None and not outgoing:
            return Reason.SPOOFED, None
        if number is None or not self._judge.allows(number, address, owner, key.protocol, key.port, outgoing=outgoing):
            return Reason.NOTHING_ALLOWS, None
        return None, None if owner is None else other

    def _open(self, peer: int, key: Key, now: float, outgoing: bool) -> tuple[Reason, Flow | None]:
        """A new flow, or why not."""
        reason, other = self._verdict(peer, key, outgoing)
        if reason is not None:
            return reason, None
        if not self._has_room(peer, now):
            self._refused += 1
            return Reason.FULL, None
        flow = Flow(key, peer, other, outgoing, self._epoch, now)
        flows = self._flows.setdefault(key.protocol, {})
        flows[flow.raw] = flows[flow.raw_back] = flow
        for one in flow.peers:
            self._of_peer.setdefault(one, set()).add(flow)
        self._begun[peer] = self._begun.get(peer, 0) + 1
        self._count += 1
        return Reason.NOTHING_ALLOWS, flow

    def _has_room(self, peer: int, now: float) -> bool:
        full = self._is_full(peer)
        if now - self._swept >= (SWEEP_FULL_EVERY if full else SWEEP_EVERY):
            self._swept = now
            self._end_all(flow for flows in self._flows.values() for flow in flows.values() if flow.is_over(now))
        return not full or not self._is_full(peer)

    def _is_full(self, peer: int) -> bool:
        return self._count >= self._most or self._begun.get(peer, 0) >= self._most_of_device

    def _end_all(self, flows: Iterable[Flow]) -> None:
        for flow in list(flows):
            self._end(flow)

    def _end(self, flow: Flow) -> None:
        """Once, however often it is asked for."""
        if flow.ended:
            return
        flow.ended = True
        flows = self._flows[flow.key.protocol]
        for raw in {flow.raw, flow.raw_back}:
            del flows[raw]
        for one in flow.peers:
            self._of_peer[one].discard(flow)
            if not self._of_peer[one]:
                del self._of_peer[one]
        self._begun[flow.owner] -= 1
        if not self._begun[flow.owner]:
            del self._begun[flow.owner]
        self._count -= 1

    def _remember(self, fragment: Fragment, flow: Flow, now: float) -> None:
        self._fragmented.pop(fragment, None)
        if len(self._fragmented) >= MOST_FRAGMENTED:
            del self._fragmented[next(iter(self._fragmented))]
        self._fragmented[fragment] = flow, now + FRAGMENTS_LIVE

    def _deny(self, peer: int, packet: bytes, seen: View, outgoing: bool, reason: Reason) -> bool:
        self._denials.count(peer, packet, seen, outgoing, reason)
        return False
