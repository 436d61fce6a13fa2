"""What moves the packets of established sessions, as the device sees it. The plain plane is the device itself.

Another plane (wgnode.dataplane) handles the common case outside of Python and hands over what it does not. For that it
has to know the sessions, the allowed IPs and, of each peer, which session sends and where to; and it tells now and
then what passed through it, for the timers and counters.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, NamedTuple, Protocol

from wgnode.protocol.allowed_ips import AllowedIPs, Network
from wgnode.protocol.endpoint import Endpoint
from wgnode.protocol.session import Keypair

if TYPE_CHECKING:
    from wgnode.protocol.peer import Peer


class Routes(Protocol):
    """Networks and the peers that own them: see allowed_ips.AllowedIPs, which is the plain one."""

    def insert(self, network: str | Network, owner: Peer) -> None: ...

    def remove(self, network: str | Network, owner: Peer) -> None: ...

    def remove_owner(self, owner: Peer) -> None: ...

    def networks(self, owner: Peer) -> list[Network]: ...

    def lookup(self, address: bytes) -> Peer | None: ...


class Plane(Protocol):
    """Told of each change of what it works with, before the device's method returns."""

    keypair: Callable[..., Keypair]
    """Holds a session's keys, its send counter and its replay window: once, whoever seals and opens."""
    routes: Routes

    def peer_added(self, peer: Peer) -> None: ...

    def peer_removed(self, peer: Peer) -> None: ...

    def peer_changed(self, peer: Peer) -> None:
        """Its endpoint is another one, or which of its sessions sends."""

    def session_added(self, keypair: Keypair) -> None: ...

    def session_removed(self, keypair: Keypair) -> None: ...

    def identities_changed(self, public_keys: Iterable[bytes]) -> None:
        """Whom handshake messages may be for."""

    def mtu_changed(self, mtu: int, route_mtus: Iterable[int]) -> None:
        """Bytes of inner packet, and those of routes, ascending: padding ends at the smallest that a packet fits in."""


class PlainPlane:
    """Nothing outside of the device that would have to know anything."""

    keypair: Callable[..., Keypair] = staticmethod(Keypair)

    def __init__(self) -> None:
        self.routes: Routes = AllowedIPs["Peer"]()

    def peer_added(self, peer: Peer) -> None: ...

    def peer_removed(self, peer: Peer) -> None: ...

    def peer_changed(self, peer: Peer) -> None: ...

    def session_added(self, keypair: Keypair) -> None: ...

    def session_removed(self, keypair: Keypair) -> None: ...

    def identities_changed(self, public_keys: Iterable[bytes]) -> None: ...

    def mtu_changed(self, mtu: int, route_mtus: Iterable[int]) -> None: ...


class Activity(NamedTuple):
    """What a peer's sessions did outside of the device since the last report. Times are seconds, None for never.

    `waiting_since` is when the first data was sent of which nothing authenticated has come back since;
    `owing_since` when the first data came that nothing was sent after, `owing_more` whether more data did.
    `endpoint` is where the newest authenticated message came from, None where that is the peer's endpoint already.
    """

    tx_bytes: int
    rx_bytes: int
    sent_at: float | None
    received_at: float | None
    waiting_since: float | None
    owing_since: float | None
    owing_more: bool
    endpoint: Endpoint | None
