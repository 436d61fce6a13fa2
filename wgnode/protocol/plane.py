"""What a device and its data plane say to each other; the planes themselves are in wgnode.dataplane.

A plane moves the packets of established sessions. It holds what that needs, and each of it once: the sessions' keys,
counters and replay windows, the networks, of each peer which session sends and where to. The device tells it every
change, and hears from it what passed through (`Activity`) and what only the protocol can decide (`Handed`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from enum import StrEnum
from typing import NamedTuple, Protocol

from wgnode.policy.model import Denial, FlowFigures, Policy
from wgnode.protocol.allowed_ips import Network
from wgnode.protocol.endpoint import Endpoint


class Activity(NamedTuple):
    """What a peer's sessions did since the last report. Times are seconds, None for never.

    `waiting_since` is when the first data was sent of which nothing authenticated has come back since;
    `owing_since` when the first data came that nothing was sent after, `owing_more` whether more data did.
    `endpoint` is where the newest authenticated message came from, None where that is the peer's endpoint already.
    `longest` is the largest message sent, in bytes of UDP payload, 0 for none. Packets are messages that are no
    keepalives.
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
    longest: int = 0
    tx_packets: int = 0
    rx_packets: int = 0


class Limit(NamedTuple):
    """How large a packet to a peer may be, over the outer family of its present endpoint. Bytes of inner packet, both.

    `inner`: a longer one does not go as it is. IPv4 without DF is fragmented inside as a router does, at `inner`. Of
    another one its sender is told (ICMPv4 3/4, ICMPv6 2, from the packet's destination: Linux takes none from an own
    address, and none by another way than the route back; rate limited), and it is dropped. What nobody may be told
    of, which IPv6 up to 1280 bytes is, goes nevertheless, as do packets of up to `inner`.

    `whole`: a message whose padded packet has no more bytes is one datagram that nobody fragments (DF). A longer one
    goes by the sockets that leave fragmenting to kernel and routers (`Plane.fragmented`). For a size that was found it
    is `inner`; where nothing is known of a path, only what every path carries.

    Padding ends at whichever of both, the MTU, and the routes' MTUs is the smallest that the packet fits in. TCP's MSS
    in a SYN that comes *from* the peer is clamped by `inner`, so that each sender is limited by its own direction.
    """

    inner: int
    whole: int


class Fit(StrEnum):
    """What was done about sizes; the keys of `Plane.fitted`, which counts packets."""

    TOLD = "too_big_told"
    """Dropped, and its sender was told."""
    UNTOLD = "too_big_untold"
    """Dropped, and its sender was told so often of late that it was not again."""
    INSIDE = "fragmented_inside"
    """IPv4 without DF, in pieces of the limit; counted once."""
    OUTSIDE = "fragmented_outside"
    """Longer than the limit and sent for all that, as nobody may be told: kernel and routers fragment its datagram."""
    CLAMPED = "mss_clamped"
    """A SYN or SYN-ACK from the peer that said more than our way to it carries."""


class Echo(NamedTuple):
    """A reply to an echo that came from a peer's tunnel address to ours and may be a probe's. Where it is nobody's, it
    is to be delivered."""

    peer: int
    packet: bytes


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
    fragmented: list[tuple[bytes, Endpoint]]
    """To be sent by the sockets whose datagrams may be fragmented: messages longer than `Limit.whole`."""
    packets: list[bytes]
    """Checked inner packets to be delivered, in order; what senders are told about too long ones among them."""

    @property
    def counters(self) -> Counter[str]:
        """Dropped messages and packets by errors.Drop."""

    @property
    def fitted(self) -> Counter[str]:
        """Packets by Fit."""

    @property
    def keeps_limits(self) -> bool:
        """Whether it does what `set_limit` and `set_echo` say. Else no path is searched, and no datagram has DF."""

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

    def set_limit(self, peer: int, limit: Limit | None) -> None:
        """How large packets to the peer may be; None, as it begins: as they come, in datagrams that have DF or not as
        the sockets do."""

    def set_echo(self, peer: int, addresses: tuple[bytes, bytes] | None) -> None:
        """Tunnel addresses of 4 or 16 bytes, ours and the peer's: echo replies from that to this one, whole ones of
        ICMP or ICMPv6, are not delivered but kept for `take_echoes`. None: there are none, or no probe is under way."""

    # Access policy: see wgnode.policy. A peer without a class is a site, and its packets are not judged

    def set_policy(self, policy: Policy | None, classes: Mapping[int, int]) -> None:
        """The policy and all peers' classes at once: a peer that is not named has none. What differs from before
        judges every flow again at its next packet. None: nothing is judged, and all flows are forgotten."""

    def set_class(self, peer: int, number: int | None) -> None:
        """Of one peer. Where it differs its flows end."""

    def end_flows(self, peer: int) -> None:
        """Those that it has begun, and those that were begun to it."""

    def take_denials(self) -> list[Denial]:
        """Since the last call, at most MOST_DENIALS different ones and what is left of each peer's."""

    @property
    def flows(self) -> FlowFigures:
        """Of now, and since the start."""

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

    def take_echoes(self) -> list[Echo]:
        """In order, once."""

    # What it does for the protocol, with packets that are not its own

    def fit(self, peer: int, packet: bytes, now: float) -> list[bytes]:
        """What of an inner packet that was handed over goes to the peer, by its limit: itself, pieces, or nothing."""

    def bounds(self, peer: int) -> tuple[int, ...]:
        """Where padding of packets to the peer may end, ascending, its limit's and the routes' MTUs: see `pad`."""

    def transmit(self, peer: int, message: bytes, endpoint: Endpoint) -> None:
        """Queue a message that the protocol has sealed or made: to `datagrams`, or `fragmented` where it is longer."""

    def deliver(self, peer: int, packet: bytes, now: float) -> None:
        """An inner packet of the peer's that the protocol has opened and checked. Raises ProtocolError (DENIED)."""
