"""What passes between a gateway and each of its peers, from two looks at its counters. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pulumi_wgnode.operations.gateways.asked import Asked
from pulumi_wgnode.operations.gateways.restart import peer_name
from wgnode.figures import duration, size

HEADING = ("peer", "endpoint", "handshake", "round trip", "in", "out", "received", "sent")
_LEFT = 2
"""Columns that are words."""


@dataclass(frozen=True)
class Flow:
    """With one peer. `handshake_age` and `round_trip` are seconds, traffic is bytes since the guest's start.

    `rx_rate` and `tx_rate` are bits a second, as `wg show` counts them; None where there is nothing to compare with: a
    peer or a guest that is new.
    """

    peer: str
    public_key: str
    endpoint: str | None
    handshake_age: float | None
    round_trip: float | None
    rx_rate: float | None
    tx_rate: float | None
    rx_bytes: int
    tx_bytes: int


def flows(before: Asked | None, now: Asked) -> list[Flow]:
    """The busiest first. The guest's own clock since its boot measures; it is never set."""
    seconds = _between(before, now)
    old = {raw["public_key"]: raw for raw in (before.health.get("peers") or () if before and seconds else ())}
    found = [_flow(raw, old.get(raw["public_key"]), seconds, now.at) for raw in now.health.get("peers") or ()]
    return sorted(found, key=lambda one: (-(one.rx_rate or 0) - (one.tx_rate or 0), one.peer))


def _between(before: Asked | None, now: Asked) -> float:
    """Seconds from one look to the other, 0 where they are of two guests."""
    then, since = (look.health.get("uptime") if look else None for look in (before, now))
    return 0.0 if then is None or since is None else max(0.0, float(since - then))


def _flow(raw: Mapping[str, Any], old: Mapping[str, Any] | None, seconds: float, now: float) -> Flow:
    last = raw.get("last_handshake")

    def rate(counter: str) -> float | None:
        if old is None or (more := raw.get(counter, 0) - old.get(counter, 0)) < 0:
            return None
        return round(float(more) * 8 / seconds, 1)

    return Flow(
        peer_name(raw),
        raw["public_key"],
        raw.get("endpoint"),
        None if last is None else max(0.0, round(now - last, 1)),
        (raw.get("path_mtu") or {}).get("round_trip"),
        rate("rx_bytes"),
        rate("tx_bytes"),
        raw.get("rx_bytes", 0),
        raw.get("tx_bytes", 0),
    )


def render(site: str, now: Asked, found: Sequence[Flow]) -> str:
    """A line of the gateway, one of all peers' traffic, then a row a peer."""
    up = f", up {duration(uptime)}" if (uptime := now.health.get("uptime")) is not None else ""
    sums = [sum(rate for rate in rates if rate is not None) for rates in zip(*map(_rates, found), strict=True)]
    total = f"; in {speed(sums[0])}, out {speed(sums[1])}" if sums else ""
    return "\n".join([f"{site}: {now.status}{up}{total}", *_table([HEADING, *map(_row, found)] if found else [])])


def _rates(flow: Flow) -> tuple[float | None, float | None]:
    return flow.rx_rate, flow.tx_rate


def _row(flow: Flow) -> tuple[str, ...]:
    age = "never" if flow.handshake_age is None else f"{duration(flow.handshake_age)} ago"
    trip = "-" if flow.round_trip is None else f"{flow.round_trip * 1000:.1f} ms"
    traffic = speed(flow.rx_rate), speed(flow.tx_rate), size(flow.rx_bytes), size(flow.tx_bytes)
    return flow.peer, flow.endpoint or "unknown", age, trip, *traffic


def _table(rows: Sequence[tuple[str, ...]]) -> Iterator[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = [
            text.ljust(width) if number < _LEFT else text.rjust(width)
            for number, (text, width) in enumerate(zip(row, widths, strict=True))
        ]
        yield "  " + "  ".join(cells).rstrip()


def speed(rate: float | None) -> str:
    """Bits a second with a decimal unit: "0", "812 bit/s", "1.5 Mbit/s"; "-" where it is not known."""
    if not rate:
        return "-" if rate is None else "0"
    for unit in ("bit/s", "kbit/s", "Mbit/s"):
        if rate < 1000:
            return f"{rate:.0f} bit/s" if unit == "bit/s" else f"{rate:.1f} {unit}"
        rate /= 1000
    return f"{rate:.1f} Gbit/s"
