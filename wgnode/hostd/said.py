"""What a guest says, judged: bytes of the control channel become one of these frozen values, or are refused.

A guest is not trusted by its host. Nothing behind this file sees what it sent: hostd, the journal, the file of what is
kept, and the machine of whoever asks for its health get what stands here. The same judges what was kept on disk, and
what a host's hostd tells (it may be an older one, which passed on anything). Names and keys prove nothing here; which
peers there are is in the configuration layer on the host (layer.py).
The judges of single parts are in parts.py, which nobody else asks.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from errno import EMSGSIZE, EPROTO
from typing import Any

from wgnode.hostd import parts
from wgnode.hostd.parts import LONGEST_LINE as LONGEST_LINE
from wgnode.hostd.parts import LONGEST_NAME as LONGEST_NAME
from wgnode.hostd.parts import MOST_PEERS as MOST_PEERS
from wgnode.hostd.parts import Refused as Refused
from wgnode.hostd.parts import key as key
from wgnode.hostd.parts import printable as printable
from wgnode.io import address, strict

HOUR = 3600 * 10**9
"""Nanoseconds that a guest's clock may differ from its host's."""
NOT_UAPI = re.compile(r"[^\n -~]|^(?![a-z0-9_]+=)", re.MULTILINE)
UAPI_END = re.compile(r"(?:\A|\n)errno=-?[0-9]{1,9}\n\Z")
PROBED = "probe"
"""The evidence that is worth keeping (wgnode/pathmtu/known.py)."""
LEVELS = ("error", "warning", "info")


@dataclass(frozen=True)
class Hello:
    """A greeting. `error` is why no node runs, `can` what the node is able to do."""

    name: str | None = None
    version: str | None = None
    error: str | None = None
    can: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Heartbeat:
    """A sign of life. `tai64n` is the newest time stamp (nanoseconds since 1970), None for one that is not believed."""

    tai64n: int | None = None


@dataclass(frozen=True)
class LogLine:
    """A line that is safe to print."""

    level: str
    text: str


@dataclass(frozen=True)
class UapiText:
    """One whole answer, "" for an operation that does not exist."""

    text: str


@dataclass(frozen=True)
class Outcome:
    """Of a change: one of `applied`, `restart` and `error`."""

    report: Mapping[str, str]


@dataclass(frozen=True)
class PeerPlace:
    """Where a peer is called (None: nowhere that is worth keeping), and its last handshake in seconds since 1970."""

    endpoint: str | None
    last_handshake: float | None


@dataclass(frozen=True)
class Learned:
    """What probes have shown of the way to a peer: its key in base64, IPv4 or IPv6 (4, 6), our own address on that way
    ("" where the routing table chooses), wire bytes, and since when (seconds since 1970)."""

    key: str
    family: int
    own: str
    size: int
    at: float


@dataclass(frozen=True)
class Health:
    """`report` is made anew of what was judged, to be passed on; `places` are by public key, in base64."""

    report: Mapping[str, Any]
    places: Mapping[str, PeerPlace]
    learned: tuple[Learned, ...] = ()


@dataclass(frozen=True)
class Failure:
    """There is an answer, and it is none. `number` as UAPI says it."""

    error: str
    number: int = EPROTO


@dataclass(frozen=True)
class Reply:
    """To the request with this number."""

    number: int
    content: UapiText | Outcome | Health | Failure


@dataclass(frozen=True)
class Other:
    """A message that only a newer version knows."""

    kind: str


Said = Hello | Heartbeat | LogLine | Reply | Other


def parse(body: bytes, latest: int) -> Said:
    """One message of the channel. `latest` is the newest time that the host's clock has shown (nanoseconds).

    Raises Refused, and nothing else. A reply that can be told to belong to a request is never refused itself.
    """
    try:
        message = strict.loads(body)
    except strict.Malformed as error:
        raise Refused(f"a message: {error}") from None
    kind = parts.exactly(parts.exactly(message, dict, "a message").get("type"), str, "a message's type")
    judge = _KINDS.get(kind)
    if judge is None:
        return Other(printable(kind, LONGEST_NAME))
    return parts.named(kind, lambda message: judge(message, latest), message)  # type: ignore[no-any-return]


def report(raw: object, latest: int | None = None) -> Health:
    """A node's health. Raises Refused. Without `latest` (nanoseconds), as a host tells it on, times are only known to
    be numbers and keys to be base64: they are compared and shown, and nothing else.
    """
    given = parts.exactly(raw, dict, "health")
    judged = {name: parts.named(name, judge, given[name]) for name, judge in parts.HEALTH.items() if name in given}
    if latest is not None:
        parts.strict_keys(judged)
    if "peers" not in given:
        return Health(judged, {})
    peers = [parts.named("peers", parts.peer, one) for one in parts.entries(given["peers"], "peers", MOST_PEERS)]
    for one in peers if latest is not None else ():
        parts.strict_keys(one)
    places = {peer["public_key"]: place_of(peer, latest) for peer in peers}
    if len(places) != len(peers):
        raise Refused("peers: the same key twice")
    learned = () if latest is None else tuple(_learned(peers, latest))
    return Health({**judged, "peers": peers}, places, learned)


def answered(text: str) -> dict[str, Any]:
    """What a host's hostd told whoever asked it for health; {} for no answer at all."""
    try:
        answer = strict.loads(text.encode("utf-8", "replace"))
    except strict.Malformed:
        return {}
    return believed(answer) if isinstance(answer, dict) else {}


def believed(answer: object) -> dict[str, Any]:
    """hostd's answer, safe to show, to count and to compare.

    An older hostd passed on whatever its guest said: what is refused leaves an error, and no digest.
    """
    try:
        status = parts.optional(parts.word)(parts.exactly(answer, dict, "an answer").get("status"))
        return {**({} if status is None else {"status": status}), **report(answer).report}
    except Refused as error:
        return {"status": "silent", "error": f"what its hostd tells is not believed: {error}"}


def place_of(peer: Mapping[str, Any], latest: int | None) -> PeerPlace:
    """Of a peer in a report, or as it was kept. Raises Refused for a handshake in the future, and for no times."""
    last = parts.optional(parts.real)(peer.get("last_handshake"))
    if last is not None and latest is not None and last * 1e9 > latest + HOUR:
        raise Refused("peers: a handshake in the future")
    try:
        endpoint = peer.get("endpoint")
        return PeerPlace(None if endpoint is None else address.place(endpoint), last)
    except ValueError:
        return PeerPlace(None, last)


def learned_of(key: str, path: Mapping[str, Any], latest: int) -> Learned | None:
    """Of a path as it was judged (parts.path_mtu): None for what nobody can use the next time."""
    family, own = path.get("family"), path.get("own") or ""
    if family not in (4, 6) or (own and family != (6 if ":" in own else 4)) or path["since"] * 1e9 > latest + HOUR:
        return None
    return Learned(key, family, own, path["size"], path["since"])


def _learned(peers: list[dict[str, Any]], latest: int) -> Iterator[Learned]:
    for peer in peers:
        path = peer.get("path_mtu") or {}
        if path.get("evidence") == PROBED and (one := learned_of(peer["public_key"], path, latest)):
            yield one


def stamp(value: object) -> int:
    """A time stamp in nanoseconds since 1970, whenever. Raises Refused."""
    return parts.between(0, 1 << 80)(value)


# Kinds of message


def _hello(message: Mapping[str, Any], _: int) -> Hello:
    abilities = parts.named("can", parts.words, message.get("can", []))
    return Hello(
        parts.named("name", parts.optional(parts.label), message.get("name")),
        parts.named("version", parts.optional(parts.word), message.get("version")),
        parts.named("error", parts.optional(parts.line), message.get("error")),
        frozenset(abilities),
    )


def _heartbeat(message: Mapping[str, Any], latest: int) -> Heartbeat:
    """One without handshakes for long tells an old time stamp; that is as good as none."""
    newest = parts.named("tai64n", stamp, message.get("tai64n", 0))
    return Heartbeat(newest if newest <= latest + HOUR else None)


def _log(message: Mapping[str, Any], _: int) -> LogLine:
    level = message.get("level")
    return LogLine(level if level in LEVELS else "info", parts.named("text", parts.line, message.get("text")))


def _reply(message: Mapping[str, Any], latest: int) -> Reply:
    number = parts.named("id", parts.between(0, 1 << 62), message.get("id"))
    try:
        return Reply(number, _content(message, latest))
    except Refused as error:
        return Reply(number, Failure(f"its answer is refused: {error}"))


def _content(message: Mapping[str, Any], latest: int) -> UapiText | Outcome | Health | Failure:
    if "text" in message:
        return UapiText(_uapi(message["text"]))
    if "health" in message:
        return report(message["health"], latest)
    if "applied" in message:
        return Outcome({"applied": parts.named("applied", parts.word, message["applied"])})
    if "restart" in message:
        return Outcome({"restart": parts.named("restart", parts.line, message["restart"])})
    return Failure(parts.named("error", parts.line, message.get("error", "an answer without content")), EMSGSIZE)


def _uapi(value: object) -> str:
    """Exactly one answer: a blank line at its end and nowhere else, so that no client reads on into the next."""
    text = str(parts.exactly(value, str, "text"))
    if text and (
        not text.endswith("\n\n") or NOT_UAPI.search(text, 0, len(text) - 2) or not UAPI_END.search(text[:-1])
    ):
        raise Refused("text: no answer of UAPI")
    return text


_KINDS: Mapping[str, Callable[[Mapping[str, Any], int], Said]] = {
    "hello": _hello,
    "heartbeat": _heartbeat,
    "log": _log,
    "reply": _reply,
}
