"""What is known of the path MTU of each pair of sites, each way by the node that sends that way. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from wgnode.nodeconfig import CarrierConfig
from wgnode.pathmtu.known import Evidence, State
from wgnode.pathmtu.ladder import RESOLUTION
from wgnode.pathmtu.sizes import inner_of
from wgnode.protocol.constants import PADDING_MULTIPLE

WORDS = {
    Evidence.PROBE: "a probe of this size was answered",
    Evidence.ECHO: "its answer to an echo that is large both ways came in one piece",
    Evidence.HINT: "ICMP said so, and the peer answers no probes",
    Evidence.PROFILE: "the carrier's profile says so; not tried yet",
    Evidence.MEMORY: "it was so the last time; not tried yet",
    Evidence.UNKNOWN: "nothing vouches for it",
}


@dataclass(frozen=True)
class Asked:
    """A site that was asked, or why it could not be: `problem`. `health` is as said.py judged it."""

    stack: str
    site: str
    host: str
    status: str
    problem: str = ""
    health: Mapping[str, Any] = field(default_factory=dict)
    carrier: CarrierConfig | None = None
    searches: bool = True
    """Whether its configuration lets it."""


@dataclass(frozen=True)
class Former:
    """A size before, wire bytes; `age` in seconds since it was found."""

    size: int
    evidence: str
    age: float


@dataclass(frozen=True)
class Way:
    """One direction by the word of its sender. `size` is wire bytes, `inner` what fits inside; `age` in seconds."""

    size: int
    inner: int | None
    evidence: str
    age: float
    family: int | None
    own: str | None
    state: str | None
    history: tuple[Former, ...] = ()
    unmeasured: str | None = None
    """Why nothing is searched."""

    @property
    def proven(self) -> bool:
        return self.evidence == Evidence.PROBE


@dataclass(frozen=True)
class Pair:
    """A site and one of its peers; None for a direction that nobody told. `why`: what keeps the peer from telling."""

    site: str
    peer: str
    sends: Way | None
    receives: Way | None
    why: str = ""
    notes: tuple[str, ...] = ()


def pairs(asked: Sequence[Asked], now: float, site: str | None = None, peer: str | None = None) -> list[Pair]:
    """Of each site, or of one; with each of its peers, or with one. `now` in seconds since 1970."""
    by_key = {key: one for one in asked for key in _own(one)}
    found = []
    for one in asked:
        if site in (None, one.site):
            for raw in one.health.get("peers", ()):
                if peer in (None, raw.get("name"), raw["public_key"]):
                    found.append(_pair(one, raw, by_key, {each.site: each for each in asked}, now))
    return found


def unknown_peer(asked: Sequence[Asked], site: str | None, peer: str | None) -> bool:
    """Whether all that were asked answered, and none of them has this peer."""
    of = [one for one in asked if site in (None, one.site)]
    return peer is not None and not pairs(of, 0.0, site, peer) and not any(one.problem for one in of)


def to_probe(asked: Sequence[Asked], site: str | None, peer: str | None) -> dict[str, str | None]:
    """By stack, to which peer (its key; None for all) the node has to search, so that both ways are found anew."""
    if site is None:
        return {one.stack: None for one in asked if not one.problem}
    found: dict[str, str | None] = {}
    here = next(one for one in asked if one.site == site)
    for other in asked:
        told = _about(here, other) if other is not here else None
        if told and peer in (None, other.site, *_own(other)):
            found[other.stack] = told["public_key"]
    raws = here.health.get("peers", ())
    key = next((raw["public_key"] for raw in raws if peer in (raw.get("name"), raw["public_key"])), None)
    return found if here.problem else found | {here.stack: key}


def searching(asked: Sequence[Asked]) -> bool:
    """Whether somebody is answered, but has not found all yet."""
    ways = (way for pair in pairs(asked, 0.0) for way in (pair.sends, pair.receives) if way is not None)
    return any(way.state in (State.SEARCHING, State.ERROR) for way in ways)


def with_problem(one: Asked, problem: str | None) -> Asked:
    return replace(one, problem=one.problem or problem or "")


def way(raw: Mapping[str, Any] | None, now: float) -> Way | None:
    """What a node tells of its way to a peer (hostd/parts.py: path_mtu)."""
    if not raw:
        return None
    family = raw.get("family")
    former = tuple(Former(each["size"], each["evidence"], _age(each, now)) for each in raw.get("history", ()))
    inner = inner_of(raw["size"], family) if family in (4, 6) else None
    return Way(
        raw["size"],
        inner,
        raw["evidence"],
        _age(raw, now),
        family,
        raw.get("own"),
        raw.get("state"),
        former,
        raw.get("unmeasured"),
    )


def way_back(raw: Mapping[str, Any] | None, now: float) -> Way | None:
    """What a node has seen itself of a peer's way here."""
    back, family = (raw or {}).get("back"), (raw or {}).get("family")
    return way({**back, "family": family}, now) if back else None


def _pair(
    one: Asked, raw: Mapping[str, Any], by_key: Mapping[str, Asked], by_name: Mapping[str, Asked], now: float
) -> Pair:
    name = raw.get("name") or raw["public_key"]
    other = next((by_key[key] for key in _keys(raw) if key in by_key), by_name.get(name))
    told = _about(one, other) if other else None
    sends, receives = way(raw.get("path_mtu"), now), way((told or {}).get("path_mtu"), now)
    shown = None if receives else way_back(raw.get("path_mtu"), now)
    here, there = one.carrier, other.carrier if other else None
    notes = [
        *_switched_off(f"to {name}", one),
        *_switched_off(f"from {name}", other),
        *_unsearched(f"to {name}", sends),
        *_unsearched(f"from {name}", receives),
        *_against(f"to {name}", sends, _said(here, "up"), _said(there, "down")),
        *_against(f"from {name}", receives, _said(here, "down"), _said(there, "up")),
        *_at_least(name, sends, shown),
    ]
    why = "" if shown else _silence(name, other, told)
    return Pair(one.site, name, sends, receives or shown, why, tuple(notes))


def _about(one: Asked, other: Asked) -> Mapping[str, Any] | None:
    """What the other end has of this site."""
    own = set(_own(one))
    raws = other.health.get("peers", ())
    return next((raw for raw in raws if own & set(_keys(raw))), None)


def _own(one: Asked) -> Sequence[str]:
    keys: Sequence[str] = one.health.get("public_keys", ())
    return keys


def _keys(raw: Mapping[str, Any]) -> list[str]:
    return [raw["public_key"], *raw.get("public_keys", ())]


def _silence(name: str, other: Asked | None, told: Mapping[str, Any] | None) -> str:
    if other is None:
        return f"{name} is none of the sites that were asked, so its way here is not known; --probe asks it by echoes"
    if other.problem:
        return f"{name} can't be asked, so its way here is not known: {other.problem}"
    return "" if told else f"{name} does not know this site, so its way here is not known"


def _switched_off(where: str, sender: Asked | None) -> Iterator[str]:
    if sender is not None and not sender.searches:
        yield f"{where} nothing is searched: pathMtu is off in the stack file of {sender.site}"


def _unsearched(where: str, way: Way | None) -> Iterator[str]:
    if way and way.unmeasured:
        yield f"{where} nothing is searched: {way.unmeasured}"


Profile = tuple[str, int]
"""A carrier's name with its direction, and wire bytes."""


def _said(carrier: CarrierConfig | None, direction: str) -> Profile | None:
    size = getattr(carrier, direction) if carrier else None
    return (f"{carrier.name}, {direction}", size) if carrier and size is not None else None


def _against(where: str, found: Way | None, *profiles: Profile | None) -> Iterator[str]:
    """Only what probes have shown is held against a profile. The smaller of both ends' explains what is found; where
    neither does, the least of them is named, since the path is smaller still."""
    said = [one for one in profiles if one]
    if found is None or not found.proven or not said:
        return
    for name, size in said:
        if found.size > size:
            yield f"{where} {found.size} bytes pass, more than the profile of {name}, says: {size}"
    name, least = min(said, key=lambda one: one[1])
    if found.size < least - RESOLUTION:
        yield f"{where} only {found.size} bytes pass; the profile of {name}, says {least}"


def _at_least(name: str, sends: Way | None, shown: Way | None) -> Iterator[str]:
    """An echo goes as far as our own way there, less what a reply is padded by."""
    if sends and shown and shown.size > sends.size - PADDING_MULTIPLE:
        yield f"from {name} at least {shown.size} bytes pass: longer echoes don't reach it"


def _age(raw: Mapping[str, Any], now: float) -> float:
    return max(0.0, round(now - float(raw["since"]), 1))
