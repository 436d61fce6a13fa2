"""Protection of the handshake (wp 5.3): a token bucket for each source, one for all, and when to call it load."""

from __future__ import annotations

from ipaddress import ip_address

from wgnode.protocol.constants import HANDSHAKE_QUEUE, UNDER_LOAD_HOLD

PACKETS_PER_SECOND = 20
PACKETS_BURST = 5
MAX_SOURCES = 16_384

_SECOND = 1_000_000_000
_COST = _SECOND // PACKETS_PER_SECOND
_CAPACITY = _COST * PACKETS_BURST

HANDSHAKES_PER_SECOND = 500
"""What we are ready to compute, under load or not: about a sixth of a tables."""


def address_bytes(address: str) -> bytes:
    """4 or 16 bytes of an IP address; a zone is left out, an IPv4-mapped address counts as IPv4."""
    parts = address.split(".")
    if len(parts) == 4 and address.isascii() and ":" not in address:  # during a flood it counts
        return bytes(map(int, parts))
    parsed = ip_address(address.partition("%")[0])
    if parsed.version == 6 and parsed.ipv4_mapped is not None:
        return parsed.ipv4_mapped.packed
    return parsed.packed


class RateLimiter:
    """20 messages a second and bursts of 5 for each IPv4 address or IPv6 /64, in bounded memory.

    Time is counted in nanoseconds, as integers, so that refills are exact.
    """

    def __init__(self) -> None:
        self._buckets: dict[bytes, tuple[int, int]] = {}
        self._swept = 0

    def allow(self, source: bytes, now: float) -> bool:
        """`source` is an address of 4 or 16 bytes. A full table refuses sources that it does not know."""
        now_ns = round(now * _SECOND)
        key = source[:8]
        bucket = self._buckets.get(key)
        if bucket is None:
            if len(self._buckets) >= MAX_SOURCES and not self._sweep(now_ns):
                return False
            tokens, updated = _CAPACITY, now_ns
        else:
            tokens, updated = bucket
        tokens = min(_CAPACITY, tokens + max(0, now_ns - updated))
        allowed = tokens >= _COST
        self._buckets[key] = (tokens - _COST if allowed else tokens, now_ns)
        return allowed

    def __len__(self) -> int:
        """Sources in the table."""
        return len(self._buckets)

    def _sweep(self, now_ns: int) -> bool:
        """Drop sources idle for a second, whose buckets are full again; at most once a second. Is there room?"""
        if 0 <= now_ns - self._swept < _SECOND:
            return False
        self._swept = now_ns
        self._buckets = {k: v for k, v in self._buckets.items() if 0 <= now_ns - v[1] < _SECOND}
        return len(self._buckets) < MAX_SOURCES


class Budget:
    """So much work a second for all sources together, and a tenth of that at once."""

    def __init__(self, per_second: int) -> None:
        self._per_second = per_second
        self._most = per_second / 10
        self._left = self._most
        self._updated = float("-inf")

    def spend(self, now: float) -> bool:
        """Is there enough for one more? A clock that jumps back neither fills nor blocks it."""
        earned = max(0.0, now - self._updated) * self._per_second
        self._updated = now
        self._left = min(self._left + earned, self._most)
        if self._left < 1:
            return False
        self._left -= 1
        return True


class LoadMeter:
    """Calls it load when handshake messages come faster than they are worth computing.

    Linux looks at its queue: load is more than an eighth of it waiting, and for a second after that. A sans-IO device
    has no queue, so this one is imagined: it fills by a message each and drains by HANDSHAKES_PER_SECOND.
    """

    def __init__(self) -> None:
        self._queued = 0.0
        self._updated = 0.0
        self._loaded_until = float("-inf")

    def __call__(self, now: float) -> bool:
        """A handshake message arrived; is the device under load?"""
        drained = max(0.0, now - self._updated) * HANDSHAKES_PER_SECOND
        self._queued = min(max(0.0, self._queued - drained) + 1, HANDSHAKE_QUEUE)
        self._updated = now
        if self._queued > HANDSHAKE_QUEUE / 8:
            self._loaded_until = now + UNDER_LOAD_HOLD
        return now < self._loaded_until
