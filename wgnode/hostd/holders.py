"""Which device had which address, from when to when, as the running gateway had it configured; pure.

A change is known to have happened between two moments: the last at which the former configuration was known to run, and
the first at which the new one was. Between them nobody can say whose an address was, and nobody claims to. What has
ended is kept as long as there is room, and the record says since when it is whole.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from ipaddress import ip_network
from typing import Any

from wgnode.hostd import parts
from wgnode.hostd.parts import Refused
from wgnode.nodeconfig import NodeConfig, encode_key

MOST_ENDED = 20_000
"""Of all addresses together: with two a device, those of 10,000."""
MOST = MOST_ENDED + 2 * parts.MOST_PEERS
Between = tuple[float, float]
"""Seconds since 1970."""


@dataclass(frozen=True)
class Holding:
    """`name` is user/device, `key` its public key in base64, `expires` its end by the gateway's clock (seconds since
    1970)."""

    address: str
    name: str
    key: str
    expires: int | None
    begun: Between
    ended: Between | None = None

    def surely(self, at: float) -> bool:
        return self.begun[1] <= at and (self.ended is None or at <= self.ended[0])

    def perhaps(self, at: float) -> bool:
        """At that time it was given or taken away."""
        return not self.surely(at) and self.begun[0] < at and (self.ended is None or at < self.ended[1])

    def told(self) -> dict[str, Any]:
        return {
            "address": self.address,
            "name": self.name,
            "key": self.key,
            "expires": self.expires,
            "begun": list(self.begun),
            "ended": None if self.ended is None else list(self.ended),
        }


class Holders:
    """`since` is when the record begins to be whole, None while it has not begun; `digest` is of the configuration that
    it knows last."""

    def __init__(self, since: float | None = None, digest: str = "", holdings: Iterable[Holding] = ()) -> None:
        self.since, self.digest = since, digest
        self._now: dict[str, Holding] = {}
        self._ended: list[Holding] = []
        for one in holdings:
            if one.ended is None:
                self._now[one.address] = one
            else:
                self._ended.append(one)

    def __iter__(self) -> Iterator[Holding]:
        return iter((*self._ended, *self._now.values()))

    def told(self, address: str) -> dict[str, Any]:
        """Whose this address was, in the order in which it ended."""
        return {"since": self.since, "holdings": [one.told() for one in self if one.address == address]}

    def follow(self, config: NodeConfig, after: float, at: float) -> None:
        """This one was in force at `at` for the first time, as far as is known, and its predecessor at `after` for the
        last."""
        change = (min(after, at), at)
        if self.since is None:
            self.since, change = at, (at, at)
        self.digest = config.digest
        wanted = {(one.address, one.name, one.key, one.expires): one for one in _of(config, change)}
        kept = {}
        for address, one in self._now.items():
            if wanted.pop((address, one.name, one.key, one.expires), None) is None:
                self._ended.append(replace(one, ended=change))
            else:
                kept[address] = one
        self._now = kept | {one.address: one for one in wanted.values()}
        self._forget()

    def _forget(self) -> None:
        gone, self._ended = self._ended[:-MOST_ENDED], self._ended[-MOST_ENDED:]
        if gone and self.since is not None:
            self.since = max(self.since, *(one.ended[1] for one in gone if one.ended))


def read(raw: Any) -> Holding:
    """One that was told, or kept. Raises Refused."""
    given = parts.exactly(raw, dict, "a holding")
    address = parts.own_address(given.get("address"))
    if not address:
        raise Refused("a holding of no address")
    return Holding(
        address,
        parts.label(given.get("name")),
        parts.key(given.get("key")),
        parts.optional(parts.count)(given.get("expires")),
        _between(given.get("begun")),
        parts.optional(_between)(given.get("ended")),
    )


def _between(raw: Any) -> Between:
    moments = [parts.real(one) for one in parts.entries(raw, "it", 2)]
    if len(moments) != 2 or moments[0] > moments[1]:
        raise Refused("not from one moment to a later one")
    return moments[0], moments[1]


def _of(config: NodeConfig, change: Between) -> Iterator[Holding]:
    for device in config.devices:
        for network in device.allowed_ips:
            address, key = str(ip_network(network).network_address), encode_key(device.public_keys[0])
            yield Holding(address, device.name, key, device.expires, change)
