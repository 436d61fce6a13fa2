"""One flow of the plain plane's table."""

from __future__ import annotations

from wgnode.pathmtu.headers import ICMP, ICMPV6, TCP
from wgnode.policy.model import DNS_IDLE, ICMP_IDLE, OTHER_IDLE, TCP_ESTABLISHED, TCP_TRANSITORY, UDP_IDLE
from wgnode.policy.packet import UDP, Key

FIN, SYN, RST, ACK = 0x01, 0x02, 0x04, 0x10
DNS = 53


class Flow:
    """`key` is as it was first seen, `owner` the device whose class allowed it, `other` the device at the other end, if
    one is. Packets and bytes are inner ones, of each orientation."""

    __slots__ = (
        "bytes",
        "bytes_back",
        "closing",
        "ended",
        "epoch",
        "idle",
        "is_tcp",
        "key",
        "other",
        "outgoing",
        "owner",
        "packets",
        "packets_back",
        "raw",
        "raw_back",
        "seen",
    )

    def __init__(self, key: Key, owner: int, other: int | None, outgoing: bool, epoch: int, now: float) -> None:
        self.key, self.owner, self.other, self.outgoing, self.epoch = key, owner, other, outgoing, epoch
        back = key.turned()
        self.raw = key.source + key.destination + key.ports
        self.raw_back = back.source + back.destination + back.ports
        self.is_tcp = key.protocol == TCP
        self.packets = self.bytes = self.packets_back = self.bytes_back = 0
        self.closing = self.ended = False
        self.seen = now
        self.idle = self._idle()

    @property
    def peers(self) -> set[int]:
        return {self.owner} if self.other is None else {self.owner, self.other}

    def is_over(self, now: float) -> bool:
        return now - self.seen >= self.idle

    def note(self, flags: int, size: int, *, forward: bool) -> None:
        """A packet of so many bytes, with these flags of TCP's."""
        if forward:
            self.packets += 1
            self.bytes += size
        else:
            self.packets_back += 1
            self.bytes_back += size
        if flags & (FIN | RST):
            self.closing = True
        elif forward and flags & SYN and not flags & ACK:
            self.closing = False
        self.idle = self._idle()

    def _idle(self) -> float:
        """Seconds of silence after which it is over."""
        if self.is_tcp:
            return TCP_ESTABLISHED if self.packets and self.packets_back and not self.closing else TCP_TRANSITORY
        if self.key.protocol == UDP:
            return DNS_IDLE if self.key.port == DNS else UDP_IDLE
        return ICMP_IDLE if self.key.protocol in (ICMP, ICMPV6) else OTHER_IDLE
