"""What a handshake message must show before it may cost a DH (wp 5.3, 5.4.7)."""

from __future__ import annotations

from collections.abc import Callable

from wgnode.protocol.endpoint import Endpoint
from wgnode.protocol.errors import Drop, ProtocolError
from wgnode.protocol.ratelimit import HANDSHAKES_PER_SECOND, Budget, LoadMeter, RateLimiter, address_bytes
from wgnode.protocol.statics import Identity
from wgnode.protocol.tables import Tables


class Defence:
    """`under_load(now)`, asked once per handshake message, replaces the built-in load detection."""

    def __init__(self, tables: Tables, under_load: Callable[[float], bool] | None = None) -> None:
        self._tables = tables
        self._limiter = RateLimiter()
        self._handshakes = Budget(HANDSHAKES_PER_SECOND)
        self._under_load = under_load or LoadMeter()

    def admit(self, data: bytes, source: Endpoint, now: float) -> Identity:
        """Whom an initiation or response is for: mac1, then under load mac2 and the rate. Raises ProtocolError."""
        identity = next((i for i in self._tables.identities if i.cookies.check_mac1(data)), None)
        if identity is None:
            raise ProtocolError(Drop.BAD_MAC1)
        if self._under_load(now):
            self._defend(identity, data, source, now)
        return identity

    def _defend(self, identity: Identity, data: bytes, source: Endpoint, now: float) -> None:
        """Only who proves its address by a cookie, and not too often, may cost us a DH. Raises ProtocolError.

        DHs are limited in all too, so that sessions keep their share of the core whoever comes with a cookie.
        """
        address = address_bytes(source.address)
        cookie_source = address + source.port.to_bytes(2, "big")
        if not identity.cookies.check_mac2(data, cookie_source, now):
            self._tables.plane.datagrams.append((identity.cookies.reply(data, cookie_source, now), source))
            raise ProtocolError(Drop.COOKIE_SENT)
        if not self._limiter.allow(address, now):
            raise ProtocolError(Drop.RATE_LIMITED)
        if not self._handshakes.spend(now):
            raise ProtocolError(Drop.OVERLOAD)
