"""What the plain plane holds of a session and of a peer."""

from __future__ import annotations

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from wgnode.dataplane import fitting
from wgnode.dataplane.fitting import OVERHEAD
from wgnode.protocol.crypto import NONCE
from wgnode.protocol.endpoint import Endpoint
from wgnode.protocol.errors import Drop, ProtocolError
from wgnode.protocol.messages import TRANSPORT, TRANSPORT_HEADER, TRANSPORT_HEADER_LENGTH
from wgnode.protocol.plane import Activity, Limit
from wgnode.protocol.replay import ReplayFilter
from wgnode.protocol.wipe import wipe

_pack_header = TRANSPORT_HEADER.pack
_pack_nonce = NONCE.pack

UNLIMITED = Limit(1 << 32, 1 << 32)


class PlainSession:
    """See plane.SessionKeys. The raw keys are not kept beside the cipher objects."""

    __slots__ = ("_opener", "_replay", "_sealer", "confirmed", "created", "peer", "remote_index", "send_counter")

    def __init__(
        self, peer: PlainPeer, remote_index: int, keys: tuple[bytes, bytes], created: float, *, confirmed: bool
    ) -> None:
        """`keys` are those to send and to receive with, which are wiped."""
        self.peer = peer
        self.remote_index = remote_index
        self._sealer = ChaCha20Poly1305(keys[0])
        self._opener = ChaCha20Poly1305(keys[1])
        wipe(*keys)
        self.created = created
        self.confirmed = confirmed
        self.send_counter = 0
        self._replay = ReplayFilter()

    def seal(self, padded: bytes) -> bytes:
        counter = self.send_counter
        self.send_counter = counter + 1
        sealed = self._sealer.encrypt(_pack_nonce(0, counter), padded, None)
        return _pack_header(TRANSPORT, self.remote_index, counter) + sealed

    def open(self, message: bytes, counter: int) -> bytes:
        try:
            padded = self._opener.decrypt(_pack_nonce(0, counter), message[TRANSPORT_HEADER_LENGTH:], None)
        except InvalidTag:
            raise ProtocolError(Drop.BAD_TRANSPORT) from None
        if not self._replay.accept(counter):
            raise ProtocolError(Drop.REPLAYED)
        return padded


class PlainPeer:
    """What the plane holds of a peer, and what it did since the last report: see plane.Activity."""

    __slots__ = (
        "active",
        "bounds",
        "current",
        "echo",
        "endpoint",
        "inner",
        "judged",
        "limit",
        "longest",
        "number",
        "owing_more",
        "owing_since",
        "received_at",
        "roamed",
        "rx_bytes",
        "rx_packets",
        "sent_at",
        "tx_bytes",
        "tx_packets",
        "waiting_since",
        "whole",
    )

    def __init__(self, number: int, route_mtus: tuple[int, ...]) -> None:
        self.number = number
        self.endpoint: Endpoint | None = None
        self.current: PlainSession | None = None
        self.echo: tuple[bytes, bytes] | None = None
        self.judged = False
        self.set_limit(None, route_mtus)
        self.start_over()

    def set_limit(self, limit: Limit | None, route_mtus: tuple[int, ...]) -> None:
        """`inner` and `whole` (of a message) are what the packets' way compares with."""
        self.limit = limit
        self.bounds = fitting.bounds(limit, route_mtus)
        inner, whole = limit or UNLIMITED
        self.inner, self.whole = inner, whole + OVERHEAD

    def start_over(self) -> None:
        """All has been told."""
        self.active = self.roamed = self.owing_more = False
        self.tx_bytes = self.rx_bytes = self.tx_packets = self.rx_packets = self.longest = 0
        self.sent_at: float | None = None
        self.received_at: float | None = None
        self.waiting_since: float | None = None
        self.owing_since: float | None = None

    def sent(self, size: int, now: float) -> None:
        """A message with data, of so many bytes."""
        self.tx_bytes += size
        self.tx_packets += 1
        if size > self.longest:
            self.longest = size
        self.sent_at = now
        self.owing_since = None
        self.owing_more = False
        if self.waiting_since is None:
            self.waiting_since = now

    def received(self, size: int, now: float, *, data: bool) -> None:
        """An authentic message of so many bytes; `data`: it is no keepalive."""
        self.rx_bytes += size
        self.received_at = now
        self.waiting_since = None
        if data:
            self.rx_packets += 1
            if self.owing_since is None:
                self.owing_since = now
            else:
                self.owing_more = True

    def report(self) -> Activity:
        """What is told, once."""
        told = Activity(
            self.number,
            self.tx_bytes,
            self.rx_bytes,
            self.sent_at,
            self.received_at,
            self.waiting_since,
            self.owing_since,
            self.owing_more,
            self.endpoint if self.roamed else None,
            self.longest,
            self.tx_packets,
            self.rx_packets,
        )
        self.start_over()
        return told
