"""What the host says, judged: bytes of the control channel become one of these frozen values, or are refused.

The host is trusted, but an older hostd passed on whatever a former guest had told it; one bad entry costs no other.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from wgnode.io import strict

LATEST = (1 << 32) * 10**9
"""Nanoseconds: the year 2106. A clock or time stamp beyond is nobody's."""
MOST_PEERS = 16_384
"""10,000 devices, and the sites."""
LONGEST_KEY = 64
MOST_LEARNED = 16
"""Sizes of one peer's paths."""
SMALLEST_LINK, LARGEST_WIRE = 68, 65575
"""Wire bytes that a path can have."""


class Refused(ValueError):
    """Not what a host says; nothing of it was done."""


@dataclass(frozen=True)
class Time:
    """The host's clock in nanoseconds since 1970."""

    unix_ns: int


@dataclass(frozen=True)
class Learned:
    """What a node before has found to pass to a peer, wire bytes, over IPv4 or IPv6 (4, 6), from that own address."""

    family: int
    own: str
    size: int


@dataclass(frozen=True)
class Resume:
    """What the host remembers. Of `endpoints` (text by text) only the shape is known; `skipped` says what was not.

    `learned` is by public key, as `endpoints` are.
    """

    unix_ns: int | None = None
    floor: int = 0
    endpoints: Mapping[str, str] = field(default_factory=dict)
    learned: Mapping[str, tuple[Learned, ...]] = field(default_factory=dict)
    skipped: tuple[str, ...] = ()


@dataclass(frozen=True)
class Greet:
    """Asks for a greeting."""


@dataclass(frozen=True)
class Uapi:
    id: Any
    text: str


@dataclass(frozen=True)
class Configure:
    """Both canonical JSON, judged by whoever applies it."""

    id: Any
    config: str
    secrets: str


@dataclass(frozen=True)
class Health:
    id: Any


@dataclass(frozen=True)
class Probe:
    """Search anew to the peer of this public key, None for all; `fresh`: after a handshake of its own."""

    id: Any
    peer: str | None
    fresh: bool = False


@dataclass(frozen=True)
class Other:
    """A message that only a newer version knows."""


Heard = Time | Resume | Greet | Uapi | Configure | Health | Probe | Other


def parse(body: bytes) -> Heard:
    """One message. Raises Refused, and nothing else."""
    try:
        message = strict.loads(body)
    except strict.Malformed as error:
        raise Refused(f"a message: {error}") from None
    if not isinstance(message, dict) or not isinstance(kind := message.get("type"), str):
        raise Refused("a message without a type")
    judge = _KINDS.get(kind)
    return Other() if judge is None else judge(message)


def _time(message: Mapping[str, Any]) -> Time:
    return Time(_moment(message.get("unix_ns")))


def _resume(message: Mapping[str, Any]) -> Resume:
    skipped = []
    moments = {"unix_ns": None, "tai64n": 0}
    for name in moments:
        try:
            moments[name] = _moment(message.get(name, moments[name]))
        except Refused as error:
            skipped.append(f"{name}: {error}")
    given = message.get("endpoints", {})
    if not isinstance(given, dict):
        given = {}
        skipped.append("endpoints: not an object")
    endpoints = {key: at for key, at in list(given.items())[:MOST_PEERS] if _short(key) and _short(at)}
    if len(endpoints) < len(given):
        skipped.append(f"{len(given) - len(endpoints)} endpoints")
    learned = _learned(message.get("path_mtu", {}), skipped)
    return Resume(moments["unix_ns"], moments["tai64n"] or 0, endpoints, learned, tuple(skipped))


def _learned(given: Any, skipped: list[str]) -> dict[str, tuple[Learned, ...]]:
    if not isinstance(given, dict):
        skipped.append("path_mtu: not an object")
        return {}
    found, bad = {}, 0
    for key, entries in list(given.items())[:MOST_PEERS]:
        listed = entries[:MOST_LEARNED] if isinstance(entries, list) and _short(key) else [None]
        good = tuple(one for one in map(_one_learned, listed) if one)
        bad += len(listed) - len(good)
        if good:
            found[key] = good
    if bad:
        skipped.append(f"{bad} sizes of paths")
    return found


def _one_learned(entry: Any) -> Learned | None:
    if not isinstance(entry, dict):
        return None
    family, own, size = (entry.get(name) for name in ("family", "own", "size"))
    if type(family) is not int or type(size) is not int or not isinstance(own, str) or not _short(own):
        return None
    good = family in (4, 6) and SMALLEST_LINK <= size <= LARGEST_WIRE
    return Learned(family, own, size) if good else None


def _uapi(message: Mapping[str, Any]) -> Uapi:
    return Uapi(_id(message), _text(message, "text"))


def _configure(message: Mapping[str, Any]) -> Configure:
    return Configure(_id(message), _text(message, "config"), _text(message, "secrets"))


def _probe(message: Mapping[str, Any]) -> Probe:
    peer = message.get("peer")
    if peer is not None and not _short(peer):
        raise Refused("a probe of no peer")
    return Probe(_id(message), peer, message.get("fresh") is True)


def _moment(value: Any) -> int:
    if type(value) is not int or not 0 <= value < LATEST:
        raise Refused(f"no time before 2106, in nanoseconds, but a {type(value).__name__}")
    return value


def _id(message: Mapping[str, Any]) -> Any:
    if type(number := message.get("id")) not in (int, str):
        raise Refused(f"a request whose id is a {type(number).__name__}")
    return number


def _text(message: Mapping[str, Any], name: str) -> str:
    text = message.get(name)
    try:
        if isinstance(text, str) and text.encode():
            return text
    except UnicodeEncodeError:  # half of a character
        pass
    raise Refused(f"{name}: no text")


def _short(value: Any) -> bool:
    return isinstance(value, str) and len(value) <= LONGEST_KEY and value.isascii()


_KINDS: Mapping[str, Callable[[Mapping[str, Any]], Heard]] = {
    "time": _time,
    "resume": _resume,
    "hello": lambda _: Greet(),
    "uapi": _uapi,
    "configure": _configure,
    "health": lambda message: Health(_id(message)),
    "probe": _probe,
}
