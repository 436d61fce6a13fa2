"""Path MTUs as a table for people."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pulumi_wgnode.operations.mtu_judge import Asked, Pair, Way
from wgnode.figures import duration
from wgnode.nodeconfig import CarrierConfig

HEADING = ("peer", "to it", "inside", "evidence", "since", "from it", "inside", "evidence", "since")
UNKNOWN = ("-", "", "", "")


def render(asked: Sequence[Asked], pairs: Sequence[Pair], *, history: bool) -> str:
    """A block a site: its carrier, a row a peer with both directions, then what is to be said of them."""
    blocks = []
    for one in asked:
        own = [pair for pair in pairs if pair.site == one.site]
        if own or one.problem:
            blocks.append("\n".join(_site(one, own, history)))
    return "\n\n".join(blocks)


def _site(one: Asked, pairs: Sequence[Pair], history: bool) -> Iterable[str]:
    yield f"{one.site}: {one.status}  ({one.host}, stack {one.stack}){_carrier(one.carrier)}"
    if one.problem:
        yield f"  ! {one.problem}".replace("\n", "\n    ")
    if pairs:
        yield from _rows([HEADING, *((pair.peer, *_cells(pair.sends), *_cells(pair.receives)) for pair in pairs)])
    for pair in pairs:
        yield from (f"  ? {note}" for note in (*pair.notes, pair.why) if note)
        if history:
            yield from _history(f"to {pair.peer}", pair.sends)
            yield from _history(f"from {pair.peer}", pair.receives)


def _rows(rows: Sequence[Sequence[str]]) -> Iterable[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        yield "  " + "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip()


def _cells(way: Way | None) -> tuple[str, ...]:
    if way is None:
        return UNKNOWN
    return str(way.size), "" if way.inner is None else str(way.inner), way.evidence, f"{duration(way.age)} ago"


def _history(where: str, way: Way | None) -> Iterable[str]:
    """Newest first."""
    for former in reversed(way.history if way else ()):
        yield f"    {where} before: {former.size}, {former.evidence}, from {duration(former.age)} ago"


def _carrier(carrier: CarrierConfig | None) -> str:
    if carrier is None:
        return ""
    said = [f"{size} {name}" for name, size in (("up", carrier.up), ("down", carrier.down)) if size is not None]
    return f"  carrier {carrier.name}: {', '.join(said)}"
