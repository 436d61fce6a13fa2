"""What the plain plane denied since it was last asked."""

from __future__ import annotations

from wgnode.policy.model import MOST_DENIALS, Denial, Reason
from wgnode.policy.packet import View

_What = tuple[int, bool, str, bytes, bytes, int, int]
"""A denial without its packets."""


class Denials:
    """`packets` counts all of them."""

    def __init__(self) -> None:
        self.packets = 0
        self._counted: dict[_What, int] = {}

    def count(self, peer: int, packet: bytes, seen: View, outgoing: bool, reason: Reason) -> None:
        self.packets += 1
        what: _What = (peer, outgoing, reason.value, *_addressed(packet, seen))
        if what not in self._counted and len(self._counted) >= MOST_DENIALS:
            what = peer, outgoing, Reason.MORE.value, b"", b"", 0, 0
        self._counted[what] = self._counted.get(what, 0) + 1

    def forget(self, peer: int) -> None:
        self._counted = {what: packets for what, packets in self._counted.items() if what[0] != peer}

    def take(self) -> list[Denial]:
        counted, self._counted = self._counted, {}
        return [Denial(*what, packets) for what, packets in counted.items()]


def _addressed(packet: bytes, seen: View) -> tuple[bytes, bytes, int, int]:
    """Source, destination, protocol and port; where the ports are not known the protocol is the first header's."""
    if seen.key is not None:
        return seen.key.source, seen.key.destination, seen.key.protocol, seen.key.port
    if packet[0] >> 4 == 4:
        return packet[12:16], packet[16:20], packet[9], 0
    return packet[8:24], packet[24:40], packet[6], 0
