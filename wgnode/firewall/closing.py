"""What the uplink reaches now, and no more once our table is loaded, each with the line that leaves it open. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from wgnode.firewall.others.foreign import is_ours
from wgnode.firewall.others.packet import Packet
from wgnode.firewall.others.walk import DROP, DROPPED, Rule, Table, outcome, reached

ENDS = {"input": "input-end", "forward": "forward-end"}
"""The chains of ours that drop what none of our tables has let in."""


@dataclass(frozen=True)
class Way:
    """Something that the uplink may reach: `line` is what lets it in, in `firewall.allow` or `firewall.forward`."""

    name: str
    section: Literal["allow", "forward"]
    line: str
    packets: tuple[Packet, ...]


def closed(ways: Iterable[Way], before: Sequence[Table], after: Sequence[Table]) -> Iterator[Way]:
    """Those that nobody drops yet, and that ours then drop for sure; both are all the tables of the host."""
    after = [table for table in after if is_ours(table.family, table.name)]
    for way in ways:
        still = [packet for packet in way.packets if not _is_shut(before, packet)]
        if still and all(_drops(after, packet) for packet in still):
            yield way


def _is_shut(before: Sequence[Table], packet: Packet) -> bool:
    """Already. Where a packet would go is not always known, and then neither is what is dropped on the way."""
    return (packet.hook == "input" or packet.oif is not None) and _drops(before, packet)


def told(ways: Sequence[Way], uplink: str) -> str:
    """A sentence, and what goes into the stack file."""
    lines = ["    firewall:"]
    for section in ("allow", "forward"):
        chosen = list(dict.fromkeys(way.line for way in ways if way.section == section))
        lines += [f"      {section}:", *(f"        - {line}" for line in chosen)] if chosen else []
    names = "; ".join(dict.fromkeys(way.name for way in ways))
    keep = any(way.section == "forward" for way in ways)
    either = "\n(or `keep: true` there for all that is forwarded)" if keep else ""
    return (
        f"the firewall closes what {uplink} reaches now: {names}. To leave it open, add to the site in its stack"
        " file:\n" + "\n".join(lines) + either
    )


def _drops(tables: Sequence[Table], packet: Packet) -> bool:
    dropped = any(
        outcome(table, chain, packet) == DROPPED
        for table in tables
        if table.family in ("inet", packet.family)
        for chain in table.chains.values()
        if chain.hook == packet.hook and chain.kind != "nat"
    )
    return dropped or _let_in_by_none(tables, packet)


def _let_in_by_none(tables: Sequence[Table], packet: Packet) -> bool:
    """Ours mark what they let in, and drop behind all of them what has no mark (docs/decisions/two-firewalls.md)."""
    end = ENDS.get(packet.hook, "")
    ours = [table for table in tables if is_ours(table.family, table.name) and end in table.chains]
    judging = [table for table in ours if any(_asks_of(rule, packet) for rule in table.chains[end].rules)]
    return bool(judging) and not any("accept" in reached(one, one.chains[packet.hook], packet) for one in ours)


def _asks_of(rule: Rule, packet: Packet) -> bool:
    """Whether it is about the packet's interface; the mark is all else that it asks of."""
    return rule.verdict == DROP and not any(test(packet) is False for test in rule.tests)
