"""What a device and its data plane say to each other; the planes themselves are in wgnode.dataplane.

A plane moves the packets of established sessions. It holds what that needs, and each of it once: the sessions' keys,
counters and replay windows, the networks, of each peer which session sends and where to. The device tells it every
change, and hears from it what passed through (`Activity`) and what only the protocol can decide (`Handed`).
"""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple, Protocol

from wgnode.protocol.allowed_ips import Network
from wgnode.protocol.endpoint import Endpoint


class Activity(NamedTuple):
    """What a peer's sessions did since the last report. Times are seconds, None for never.

    `waiting_since` is when the first data was sent of which nothing authenticated has come back since;
    `owing_since` when the first data came that nothing was sent after, `owing_more` whether more data did.
    `endpoint` is where the newest authenticated message came from, None where that is the peer's endpoint already.
    """

    peer: int
    tx_bytes: int
    rx_bytes: int
    sent_at: float | None
    received_at: float | None
    waiting_since: float | None
    owing_since: float | None
    owing_more: bool
    endpoint: Endpoint | None


class Handed(NamedTuple):
    """What a plane leaves to the protocol: a datagram from `source`, or an inner packet to be sent (source None)."""

    data: bytes
    source: Endpoint | None


class SessionKeys(Protocol):
    """Both directions of a session: keys, send counter and replay window. Made, held and used by a plane."""

    send_counter: int
    """Of the next message. May be set to a higher one only."""

    def seal(self, padded: bytes) -> bytes:
        """A whole transport message."""

    def open(self, message: bytes, counter: int) -> bytes:
        """The padded inner packet of an authentic message that is no replay. Raises ProtocolError."""


class Plane(Protocol):
    """Told of each change of what it works with before the device's method returns. Peers are numbers here.

    A number is given to another peer only when nothing is left to tell about the one before.
    """

    datagrams: list[tuple[bytes, Endpoint]]
    """To be sent, in order; the protocol's own messages among them."""
    packets: list[bytes]
    """Checked inner packets to be delivered, in order."""

    @property
    def counters(self) -> Counter[str]:
        """Dropped messages and packets by errors.Drop."""

    # What it is told

    def set_mtus(self, mtu: int, route_mtus: tuple[int, ...]) -> None:
        """Bytes of inner packet, and those of routes, ascending: padding ends at the smallest that a packet fits in."""

    def set_identities(self, public_keys: tuple[bytes, ...]) -> None:
        """Whom handshake messages may be for: others need not be handed over."""

    def add_peer(self) -> int:
        """The new peer's number."""

    def remove_peer(self, peer: int) -> None:
        """With its networks. Its sessions have been removed."""

    def set_endpoint(self, peer: int, endpoint: Endpoint | None) -> None:
        """Where to send, until an authentic message comes from elsewhere."""

    def set_current(self, peer: int, session: SessionKeys | None) -> None:
        """The session that sends, which is confirmed by that."""

    def add_session(
        self, peer: int, indices: tuple[int, int], keys: tuple[bytes, bytes], now: float, *, confirmed: bool
    ) -> SessionKeys:
        """`indices` are local and remote, `keys` those to send and to receive with, which are wiped.

        While a session is not confirmed its messages are handed over.
        """

    def confirm_session(self, local_index: int) -> None:
        """The protocol needs not see the first of its messages any more."""

    def remove_session(self, local_index: int) -> None:
        """Nothing comes in by this index now; one that nobody has is ignored."""

    # Cryptokey routing (wp 2): see allowed_ips.AllowedIPs

    def add_network(self, network: str | Network, peer: int) -> None: ...

    def remove_network(self, network: str | Network, peer: int) -> None: ...

    def remove_networks(self, peer: int) -> None: ...

    def networks(self, peer: int) -> list[Network]: ...

    def sent_to(self, destination: bytes) -> int | None:
        """Whose an inner packet to this address (4 or 16 bytes) is."""

    def accepts(self, peer: int, source: bytes) -> bool:
        """Whether an inner packet from this address may come from the peer."""

    # What it does

    def send(self, packet: bytes, now: float) -> bool:
        """One inner packet. False when it was handed over."""

    def receive(self, data: bytes, source: Endpoint, now: float) -> bool:
        """One UDP payload. False when it was handed over."""

    def take_activity(self) -> list[Activity]:
        """Of each peer with any since the last call."""

    def take_handed(self) -> list[Handed]:
        """In order, once."""
