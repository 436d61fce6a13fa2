"""The WireGuard device without its sockets: bytes and the time go in, datagrams and packets come out.

`now` is monotonic time in seconds everywhere. After every call the shell drains `datagrams_to_send` and
`packets_to_deliver` and arms one timer for `next_deadline`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from ipaddress import IPv4Network, IPv6Network

from wgnode.protocol.endpoint import Endpoint
from wgnode.protocol.peer import Peer

Network = IPv4Network | IPv6Network


class Device:
    """Up to two identities (private keys: current, next) and any number of peers.

    `random(n)` gives n random bytes, `tai64n()` the 12-byte TAI64N label of the wall clock, `mtu` is bytes of inner
    packet. `under_load(now)`, asked once per handshake message, replaces the built-in load detection.
    """

    mtu: int
    listen_port: int
    fwmark: int
    running: bool
    counters: Counter[str]

    def __init__(
        self,
        private_keys: Sequence[bytes] = (),
        *,
        random: Callable[[int], bytes],
        tai64n: Callable[[], bytes],
        listen_port: int = 0,
        mtu: int = 1420,
        under_load: Callable[[float], bool] | None = None,
    ) -> None:
        raise NotImplementedError

    # Configuration: raises ValueError on our caller's misuse, with nothing changed.

    @property
    def private_keys(self) -> tuple[bytes, ...]:
        """Clamped private keys, 32 bytes each: current, next. Empty: none set."""
        raise NotImplementedError

    @property
    def public_keys(self) -> tuple[bytes, ...]:
        """The public halves, in the same order."""
        raise NotImplementedError

    def set_private_keys(self, keys: Sequence[bytes], now: float) -> None:
        """None to two raw keys (clamped here). Sessions of identities that go away end; peers that are us go."""
        raise NotImplementedError

    @property
    def peers(self) -> list[Peer]:
        """In the order they were added."""
        raise NotImplementedError

    def peer(self, public_key: bytes) -> Peer | None:
        """The peer that holds this static public key as its current or next one."""
        raise NotImplementedError

    def add_peer(self, public_keys: Sequence[bytes], name: str = "") -> Peer:
        """Raises ValueError for our own key, a key another peer holds, or not one or two 32-byte keys."""
        raise NotImplementedError

    def remove_peer(self, public_key: bytes) -> None:
        """Forget the peer, its sessions and its allowed IPs. Unknown keys are ignored."""
        raise NotImplementedError

    def set_public_keys(self, peer: Peer, keys: Sequence[bytes]) -> None:
        """Change a peer's static keys (rotation); sessions with keys that stay go on."""
        raise NotImplementedError

    def set_preshared_keys(self, peer: Peer, keys: Sequence[bytes]) -> None:
        """None to two 32-byte keys; takes effect with the next handshake."""
        raise NotImplementedError

    def set_endpoint(self, peer: Peer, endpoint: Endpoint | None) -> None:
        """Where to reach the peer until it roams."""
        raise NotImplementedError

    def set_keepalive(self, peer: Peer, seconds: int, now: float) -> None:
        """0..65535 seconds, 0 for off; switching it on makes a keepalive due at once (see next_deadline)."""
        raise NotImplementedError

    def add_allowed_ip(self, peer: Peer, network: str | Network) -> None:
        """Host bits are masked; a network that another peer holds moves here."""
        raise NotImplementedError

    def remove_allowed_ip(self, peer: Peer, network: str | Network) -> None:
        """Nothing happens unless this peer holds exactly this network."""
        raise NotImplementedError

    def replace_allowed_ips(self, peer: Peer, networks: Iterable[str | Network]) -> None:
        """Drop all of the peer's networks, then add these."""
        raise NotImplementedError

    def live_digest(self) -> str:
        """wgnode.nodeconfig.live_digest of the configuration as it is now."""
        raise NotImplementedError

    # Traffic: never raises for what comes from outside; it is counted in `counters` and dropped.

    def start(self, now: float) -> None:
        """Link up: persistent keepalives, hence handshakes, begin."""
        raise NotImplementedError

    def stop(self, now: float) -> None:
        """Link down: sessions and staged packets are forgotten, nothing is sent or accepted."""
        raise NotImplementedError

    def receive_datagram(self, data: bytes, source: Endpoint, now: float) -> None:
        """One UDP payload from `source`."""
        raise NotImplementedError

    def send_packet(self, packet: bytes, now: float) -> None:
        """One inner IP packet for whichever peer it is routed to."""
        raise NotImplementedError

    def handle_timer(self, now: float) -> None:
        """Do all that is due by `now`; harmless when nothing is."""
        raise NotImplementedError

    def datagrams_to_send(self) -> list[tuple[bytes, Endpoint]]:
        """UDP payloads in order, handed over once."""
        raise NotImplementedError

    def packets_to_deliver(self) -> list[bytes]:
        """Checked inner IP packets in order, handed over once."""
        raise NotImplementedError

    def next_deadline(self) -> float | None:
        """When to call `handle_timer` at the latest (may be in the past: at once), None for never."""
        raise NotImplementedError
