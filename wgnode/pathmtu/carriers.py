"""What is said about carriers: a table of rows (wgnode/pathmtu/carriers.toml), and the guess for a name. Pure."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from enum import StrEnum
from typing import Any

from wgnode.pathmtu.known import Evidence, Guess

SMALLEST, LARGEST = 576, 65535
"""Wire bytes that a row may say."""

_FIELDS = {"name": str, "networks": str, "wire": int, "direction": str, "source": str, "sure": str}


class Direction(StrEnum):
    """Which way of a site a row is about."""

    BOTH = "both"
    UP = "up"
    DOWN = "down"


class Sure(StrEnum):
    """How sure it is, best first."""

    STANDARD = "standard"
    OPERATOR = "operator"
    SHIPS = "ships"
    VENDOR = "vendor"
    MAINTAINERS = "maintainers"
    REPORT = "report"
    WEAK = "weak"


class CarrierError(ValueError):
    """A table or a name that is wrong: names the row, the value, and what to do."""


@dataclass(frozen=True)
class Carrier:
    """One row: what one source says about one network. `wire`: bytes of the largest IP packet."""

    name: str
    networks: str
    wire: int
    direction: Direction
    source: str
    sure: Sure


class Carriers:
    """The table."""

    def __init__(self, rows: Sequence[Carrier]) -> None:
        self.rows = tuple(rows)

    def names(self) -> list[str]:
        return sorted({row.name for row in self.rows})

    def about(self, name: str) -> list[Carrier]:
        """A carrier's rows, surest first. Raises CarrierError for a name that no row has."""
        rows = [row for row in self.rows if row.name == name]
        if not rows:
            raise CarrierError(f"carrier {name!r} is not known: give one of {', '.join(self._near(name))}, or none")
        return sorted(rows, key=lambda row: list(Sure).index(row.sure))

    def _near(self, name: str) -> list[str]:
        """What is written nearly so, or what the rows call so ("AT&T"); all where there is nothing of the kind."""
        wanted = _letters(name)
        close = get_close_matches(wanted, names := {_letters(each): each for each in self.names()}, 3)
        found = [names[each] for each in close]
        if len(wanted) > 2:
            found += [row.name for row in self.rows if wanted in _letters(f"{row.name} {row.networks}")]
        return list(dict.fromkeys(found)) or self.names()

    def guess(self, name: str, direction: Direction) -> Guess | None:
        """What to begin with that way (UP or DOWN): None where the carrier's rows are about the other one only."""
        for row in self.about(name):
            if row.direction in (Direction.BOTH, direction):
                return Guess(row.wire, Evidence.PROFILE)
        return None


def _letters(text: str) -> str:
    """As people write it, without what they write differently."""
    return "".join(each for each in text.lower() if each.isalnum())


def parse(text: str, file: str = "carriers.toml") -> Carriers:
    """The table in a text of TOML. Raises CarrierError; `file` is for its words."""
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise CarrierError(f"{file} is not TOML: {error}") from None
    unknown = sorted(set(raw) - {"carrier"})
    entries = raw.get("carrier")
    if unknown or not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise CarrierError(f"{file}: give [[carrier]] tables only{', not ' + ', '.join(unknown) if unknown else ''}")
    rows = []
    for number, entry in enumerate(entries, 1):
        where = f"{file}: [[carrier]] number {number} ({entry.get('name', 'without a name')!r})"
        problem = next(_problems(entry), None)
        if problem:
            raise CarrierError(f"{where}: {problem}")
        rows.append(_row(entry))
    return Carriers(rows)


def _row(entry: Mapping[str, Any]) -> Carrier:
    return Carrier(
        entry["name"],
        entry["networks"],
        entry["wire"],
        Direction(entry["direction"]),
        entry["source"],
        Sure(entry["sure"]),
    )


def _problems(entry: Mapping[str, Any]) -> Iterator[str]:
    for key in entry:
        if key not in _FIELDS:
            yield f"{key} is not known: give {', '.join(_FIELDS)}"
    for key, kind in _FIELDS.items():
        value = entry.get(key)
        if type(value) is not kind or value == "":  # bool is an int to isinstance
            yield f"{key} is {value!r}: give {'a number of bytes' if kind is int else 'a text'}"
    if not SMALLEST <= entry["wire"] <= LARGEST:
        yield f"wire is {entry['wire']}: give bytes of the largest IP packet, {SMALLEST} to {LARGEST}"
    for key, allowed in (("direction", list(Direction)), ("sure", list(Sure))):
        if entry[key] not in allowed:
            yield f"{key} is {entry[key]!r}: give one of {', '.join(allowed)}"
