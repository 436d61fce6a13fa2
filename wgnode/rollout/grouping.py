"""Equal changes told once: "997 sites: + peer paris"."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Group:
    """Sites, by name, to which a change does exactly the same."""

    sites: tuple[str, ...]
    lines: tuple[str, ...]


def grouped(changes: Mapping[str, Sequence[str]]) -> list[Group]:
    """The largest group first; sites to which nothing happens are in none."""
    sites: dict[tuple[str, ...], list[str]] = {}
    for name in sorted(changes):
        if changes[name]:
            sites.setdefault(tuple(changes[name]), []).append(name)
    groups = [Group(tuple(names), lines) for lines, names in sites.items()]
    return sorted(groups, key=lambda group: (-len(group.sites), group.sites))


def whose(sites: Sequence[str], shown: int = 3) -> str:
    """ "berlin", "berlin and cabin", "997 sites (berlin, cabin, oslo, …)"."""
    if len(sites) <= shown:
        return " and ".join([", ".join(sites[:-1]), sites[-1]] if len(sites) > 1 else sites)
    return f"{len(sites)} sites ({', '.join(sites[:shown])}, …)"
