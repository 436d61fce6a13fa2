"""A peer: who it is, where it is, what it may send, and the state of talking to it."""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network

from wgnode.protocol.endpoint import Endpoint


class Peer:
    """Read its attributes; change it through the Device, which keeps tables and timers in step.

    `public_keys` and `preshared_keys` hold up to two each (current, next). `persistent_keepalive` is in seconds,
    0 for off. `last_handshake` is the monotonic time (seconds, the clock of `now`) of the last completed handshake,
    None before the first. `rx_bytes` and `tx_bytes` count whole UDP payloads of authenticated messages.
    """

    name: str
    public_keys: tuple[bytes, ...]
    preshared_keys: tuple[bytes, ...]
    endpoint: Endpoint | None
    persistent_keepalive: int
    last_handshake: float | None
    rx_bytes: int
    tx_bytes: int

    @property
    def public_key(self) -> bytes:
        """The static public key in use: the first."""
        return self.public_keys[0]

    @property
    def allowed_ips(self) -> list[IPv4Network | IPv6Network]:
        """Its networks, in the order they were added."""
        raise NotImplementedError
