"""The compiled data plane. See fastpath/src/python/; wgnode.dataplane.fast is what to use."""

from collections.abc import Sequence
from typing import final

@final
class Place:
    """An endpoint; two of the same are equal. `address` and `source` (or None) have 4 or 16 bytes."""

    address: bytes
    port: int
    scope: int
    """Interface of a link-local address, or 0."""
    source: bytes | None
    """Local address."""
    def __init__(self, address: bytes, port: int, scope: int = 0, source: bytes | None = None) -> None: ...

@final
class Activity:
    """What a peer's sessions did since the last time: see wgnode.protocol.plane.Activity for what the names mean."""

    peer: int
    tx_bytes: int
    tx_packets: int
    longest: int
    rx_bytes: int
    rx_packets: int
    sent_at: float | None
    received_at: float | None
    waiting_since: float | None
    owing_since: float | None
    owing_more: bool
    endpoint: Place | None

@final
class Handed:
    """What the protocol has to handle: a datagram and where it came from, or an inner packet, which has no place."""

    data: bytes
    place: Place | None

@final
class Message:
    """A sealed message, and whom it is for."""

    peer: int
    data: bytes
    long: bool
    """Longer than what goes in one datagram for sure: by the sockets whose datagrams may be fragmented."""

@final
class Echo:
    """A reply that may be a probe's: see wgnode.protocol.plane.Echo."""

    peer: int
    packet: bytes

@final
class TooLong:
    """A message of so many bytes was too long for the link to there, and has gone by the sockets that fragment."""

    place: Place
    message: int

@final
class Network:
    """Its address and its prefix's bits."""

    address: bytes
    length: int

@final
class Refusal:
    """Packets that the kernel did not take: `whose` is "tun" or "udp"."""

    whose: str
    errno: int
    packets: int

class Suite: ...

def choose_crypto(wanted: str | None = None) -> tuple[Suite, str]:
    """Which code seals and opens, and why. `wanted`: "ring", "avx512" or None for the best. Raises ValueError."""

class Session:
    """Keys, send counter and replay window of one session. `indices` are local and remote, keys send and receive."""

    send_counter: int
    """Of the next message; may be set forward only (ValueError)."""
    def __init__(self, indices: tuple[int, int], keys: tuple[bytes, bytes], created: float, suite: Suite) -> None: ...
    def seal(self, padded: bytes) -> bytes:
        """A whole transport message. Raises OverflowError beyond REJECT_AFTER_MESSAGES."""
    def open(self, message: bytes) -> bytes | bool | None:
        """The padded inner packet; False: not authentic; None: a replay."""

@final
class Events:
    """What the engine's threads have to tell. `died`: why they have ended by themselves; None while they run."""

    handed: list[Handed]
    activity: list[Activity]
    echoes: list[Echo]
    too_long: list[TooLong]
    tun_gone: bool
    died: str | None

_Network = tuple[bytes, int]
_Rule = tuple[Sequence[_Network], Sequence[int], bool, Sequence[int], Sequence[tuple[int, int]]]

@final
class Denial:
    """See wgnode.policy.model.Denial for what the names mean."""

    peer: int
    outgoing: bool
    rule: str
    source: bytes
    destination: bytes
    protocol: int
    port: int
    packets: int

class Access:
    """What an engine does by the access policy: see wgnode.protocol.plane.Plane."""

    def __init__(self, engine: Engine) -> None: ...
    def set_policy(
        self,
        said: tuple[
            Sequence[tuple[Sequence[_Rule], Sequence[_Rule]]],
            Sequence[_Network],
            Sequence[bytes],
        ]
        | None,
        classes: Sequence[tuple[int, int]],
    ) -> None:
        """Classes with their outgoing and incoming rules (networks, classes, internet, protocols, ports), networks that
        are known and own addresses; each peer's class. Networks are address and prefix's bits. Raises ValueError."""
    def set_class(self, peer: int, number: int | None) -> None: ...
    def end_flows(self, peer: int) -> None: ...
    def passes(self, peer: int, packet: bytes, now: float) -> bool:
        """Whether a packet of this device's that the protocol has opened may go on. Raises ValueError."""
    def denials(self) -> list[Denial]: ...
    def figures(self) -> tuple[int, int, int]:
        """Flows now; of packets since the start those that found no place, and all that were denied."""

class Engine:
    """The data plane; times are seconds of CLOCK_BOOTTIME, peers are numbers that `add_peer` gives once."""

    def set_mtus(self, mtus: Sequence[int]) -> None: ...
    def set_mac1_keys(self, keys: Sequence[bytes]) -> None: ...
    def add_peer(self) -> int: ...
    def remove_peer(self, peer: int) -> None: ...
    def add_session(self, session: Session, peer: int, confirmed: bool) -> None: ...
    def confirm_session(self, local: int) -> None: ...
    def remove_session(self, local: int) -> None: ...
    def set_current(self, peer: int, local: int | None) -> None: ...
    def set_endpoint(self, peer: int, at: Place | None, to: tuple[Place, bool] | None) -> None: ...
    def forget_destinations(self) -> None: ...
    def add_route(self, network: bytes, length: int, peer: int) -> None: ...
    def remove_route(self, network: bytes, length: int, peer: int) -> None: ...
    def remove_routes(self, peer: int) -> None: ...
    def routes(self, peer: int) -> list[Network]: ...
    def route_count(self) -> int: ...
    def lookup(self, address: bytes) -> int | None: ...
    def set_limit(self, peer: int, limit: tuple[int, int] | None) -> None:
        """`inner` and `whole` of wgnode.protocol.plane.Limit."""
    def set_echo(self, peer: int, addresses: tuple[bytes, bytes] | None) -> None:
        """Tunnel addresses of 4 or 16 bytes, ours and the peer's: what `echoes` are looked for. Raises ValueError."""
    def echoes(self) -> list[Echo]: ...
    def told(self) -> list[bytes]:
        """Packets for the TUN that say to their senders what was too long: where no thread writes them."""
    def may_tell(self, sender: bytes, now: float) -> bool:
        """Whether this sender may be told once more of a packet that was too long, now."""
    def fitted(self) -> dict[str, int]:
        """Packets by wgnode.protocol.plane.Fit."""
    def send(self, frame: bytes, now: float) -> list[Message] | None: ...
    def receive(self, data: bytes, at: Place, now: float, segment: int | None = None, ecn: int = 0) -> list[bytes]: ...
    def handed(self) -> list[Handed]:
        """What `events` would hand over, dealt with as far as the engine is concerned: where no threads run."""
    def activity(self) -> list[Activity]: ...
    def dropped(self) -> dict[str, int]: ...
    def refused(self) -> list[Refusal]: ...
    def cut_off(self) -> int: ...
    def sessions(self) -> int: ...
    def set_tun(
        self, fd: int | None, *, vnet_header: bool = False, tso4: bool = False, tso6: bool = False, uso: bool = False
    ) -> None: ...
    def set_sockets(
        self,
        v4: int | None,
        v6: int | None,
        gso: bool,
        fragmenting: tuple[int | None, int | None] = (None, None),
        cutting: tuple[int, int] | None = None,
    ) -> None:
        """`fragmenting`: of both families, for messages that may be fragmented, where those are others; `cutting`: a
        raw one for fragments of our own over IPv6, and the port that they are from."""
    def start(self, threads: int = 1) -> int:
        """Threads of the engine's move packets from now on, of the TUN and the sockets that are set after this.

        The descriptor that is given is readable while there are `events`. Raises ValueError for less than 1 and more
        than 64, and where some run already.
        """
    def events(self) -> Events:
        """All that has happened since the last time, but of handshake messages some: then the descriptor stays
        readable. `settle` is to follow."""
    def settle(self) -> None:
        """What the last events handed over is dealt with, and what came of it is sent and delivered. Until then what
        else comes of these peers the same way is handed over too: nothing overtakes."""
    def pause(self) -> None:
        """No packet moves until `resume`, and what had been read is written: what is told meanwhile takes effect as
        one."""
    def resume(self) -> None: ...
    def stop(self) -> None:
        """The threads have ended and use no descriptor any more. May be called again; `start` begins anew."""
