"""What a guest says, judged: bytes of the control channel become one of these frozen values, or are refused.

A guest is not trusted by its host. Nothing behind this file sees what it sent: hostd, the journal, the file of what is
kept, and the machine of whoever asks for its health get what stands here. The same judges what was kept on disk, and
what a host's hostd tells (it may be an older one, which passed on anything). Names and keys prove nothing here; which
peers there are is in the configuration layer on the host (layer.py).
"""

from __future__ import annotations

import math
import re
import socket
from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from errno import EMSGSIZE, EPROTO
from typing import Any

from wgnode.io import address, strict

HOUR = 3600 * 10**9
"""Nanoseconds that a guest's clock may differ from its host's."""
LONGEST_LINE = 2000
LONGEST_NAME = 64
MOST_PEERS = 10_000
MOST_COUNTERS = 1000
WORD = re.compile(r"[A-Za-z0-9_.+~:-]{1,64}")
BASE64 = re.compile(r"[A-Za-z0-9+/]{1,64}={0,2}")
NOT_UAPI = re.compile(r"[^\n -~]|^(?![a-z0-9_]+=)", re.MULTILINE)
UAPI_END = re.compile(r"(?:\A|\n)errno=-?[0-9]{1,9}\n\Z")
LEVELS = ("error", "warning", "info")


class Refused(ValueError):
    """Not what a gateway says. Names the part; never quotes more of it than a line that is safe to print."""


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
class Health:
    """`report` is made anew of what was judged, to be passed on; `places` are by public key, in base64."""

    report: Mapping[str, Any]
    places: Mapping[str, PeerPlace]


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
Judge = Callable[[Any], Any]


def parse(body: bytes, latest: int) -> Said:
    """One message of the channel. `latest` is the newest time that the host's clock has shown (nanoseconds).

    Raises Refused, and nothing else. A reply that can be told to belong to a request is never refused itself.
    """
    try:
        message = strict.loads(body)
    except strict.Malformed as error:
        raise Refused(f"a message: {error}") from None
    kind = _one(_one(message, dict, "a message").get("type"), str, "a message's type")
    judge = _KINDS.get(kind)
    if judge is None:
        return Other(printable(kind, LONGEST_NAME))
    return _named(kind, lambda message: judge(message, latest), message)  # type: ignore[no-any-return]


def printable(text: str, limit: int = LONGEST_LINE) -> str:
    """One line that no terminal and no journal takes for more: all but what is seen is escaped, the rest cut off."""
    cut = text[:limit]
    more = f"[{len(text) - limit} characters more]" if len(text) > limit else ""
    shown = (one if one.isprintable() else one.encode("unicode_escape", "backslashreplace").decode() for one in cut)
    return (cut if cut.isprintable() else "".join(shown)) + more


def report(raw: object, latest: int | None = None) -> Health:
    """A node's health. Raises Refused. Without `latest` (nanoseconds), as a host tells it on, times are only known to
    be numbers and keys to be base64: they are compared and shown, and nothing else.
    """
    given = _one(raw, dict, "health")
    judged = {name: _named(name, judge, given[name]) for name, judge in _HEALTH.items() if name in given}
    if latest is not None:
        _strict_keys(judged)
    if "peers" not in given:
        return Health(judged, {})
    peers = [_named("peers", _peer, one) for one in _list(given["peers"], "peers", MOST_PEERS)]
    for one in peers if latest is not None else ():
        _strict_keys(one)
    places = {peer["public_key"]: place_of(peer, latest) for peer in peers}
    if len(places) != len(peers):
        raise Refused("peers: the same key twice")
    return Health({**judged, "peers": peers}, places)


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
        status = _optional(_word)(_one(answer, dict, "an answer").get("status"))
        return {**({} if status is None else {"status": status}), **report(answer).report}
    except Refused as error:
        return {"status": "silent", "error": f"what its hostd tells is not believed: {error}"}


def place_of(peer: Mapping[str, Any], latest: int | None) -> PeerPlace:
    """Of a peer in a report, or as it was kept. Raises Refused for a handshake in the future, and for no times."""
    last = _optional(_number)(peer.get("last_handshake"))
    if last is not None and latest is not None and last * 1e9 > latest + HOUR:
        raise Refused("peers: a handshake in the future")
    try:
        endpoint = peer.get("endpoint")
        return PeerPlace(None if endpoint is None else address.place(endpoint), last)
    except ValueError:
        return PeerPlace(None, last)


def key(value: object) -> str:
    """A public key in base64, in the one way that `wg` writes it. Raises Refused."""
    text = str(_one(value, str, "a key"))
    try:
        data = b64decode(text, validate=True) if len(text) == 44 else b""
    except ValueError:
        data = b""
    if len(data) != 32 or b64encode(data).decode() != text:
        raise Refused("a key is none")
    return text


def stamp(value: object) -> int:
    """A time stamp in nanoseconds since 1970, whenever. Raises Refused."""
    return _between(0, 1 << 80)(value)


# Kinds of message


def _hello(message: Mapping[str, Any], _: int) -> Hello:
    abilities = _named("can", _words, message.get("can", []))
    return Hello(
        _named("name", _optional(_name), message.get("name")),
        _named("version", _optional(_word), message.get("version")),
        _named("error", _optional(_line), message.get("error")),
        frozenset(abilities),
    )


def _heartbeat(message: Mapping[str, Any], latest: int) -> Heartbeat:
    """One without handshakes for long tells an old time stamp; that is as good as none."""
    newest = _named("tai64n", stamp, message.get("tai64n", 0))
    return Heartbeat(newest if newest <= latest + HOUR else None)


def _log(message: Mapping[str, Any], _: int) -> LogLine:
    level = message.get("level")
    return LogLine(level if level in LEVELS else "info", _named("text", _line, message.get("text")))


def _reply(message: Mapping[str, Any], latest: int) -> Reply:
    number = _named("id", _between(0, 1 << 62), message.get("id"))
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
        return Outcome({"applied": _named("applied", _word, message["applied"])})
    if "restart" in message:
        return Outcome({"restart": _named("restart", _line, message["restart"])})
    return Failure(_named("error", _line, message.get("error", "an answer without content")), EMSGSIZE)


def _uapi(value: object) -> str:
    """Exactly one answer: a blank line at its end and nowhere else, so that no client reads on into the next."""
    text = str(_one(value, str, "text"))
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


# Parts of messages. Each takes anything, and gives it back as it may be passed on or raises Refused.


def _named(name: str, judge: Judge, value: Any) -> Any:
    try:
        return judge(value)
    except Refused as error:
        raise Refused(f"{name}: {error}") from None


def _one(value: Any, kind: type, what: str) -> Any:
    """Never a bool for an int: to Python it is one."""
    if type(value) is not kind:
        raise Refused(f"{what} is a {type(value).__name__} instead of a {kind.__name__}")
    return value


def _optional(judge: Judge) -> Judge:
    return lambda value: None if value is None else judge(value)


def _between(least: int, most: int) -> Callable[[Any], int]:
    def judge(value: Any) -> int:
        if not least <= (number := int(_one(value, int, "it"))) <= most:
            raise Refused(f"it is not within {least} and {most}")
        return number

    return judge


def _number(value: Any) -> float:
    """Finite, and small enough for whoever computes with it."""
    if type(value) not in (int, float) or not math.isfinite(value) or abs(value) > 1e12:
        raise Refused("it is no number of this world")
    return value  # type: ignore[no-any-return]


def _word(value: Any) -> str:
    if not WORD.fullmatch(text := str(_one(value, str, "it"))):
        raise Refused("it is not one word of at most 64 letters, digits and ._+~:-")
    return text


def _name(value: Any) -> str:
    text = str(_one(value, str, "it"))
    if len(text) > LONGEST_NAME or not text.isprintable():
        raise Refused(f"it is no name of at most {LONGEST_NAME} printable characters")
    return text


def _line(value: Any) -> str:
    return printable(_one(value, str, "it"))


def _list(value: Any, what: str, most: int) -> list[Any]:
    if len(items := _one(value, list, what)) > most:
        raise Refused(f"{what}: {len(items)} entries; the limit is {most}")
    return list(items)


def _each(judge: Judge, most: int) -> Judge:
    return lambda value: [judge(one) for one in _list(value, "it", most)]


def _endpoint(value: Any) -> str:
    """Any address: where a report says that a peer is. Which of them are kept is `address.place`'s."""
    try:
        return address.written(*address.parse(value))
    except ValueError:
        raise Refused("it is no address with a port") from None


def _network(value: Any) -> str:
    """As ip_network writes it. 100,000 of them can be judged while others wait, so not by it."""
    text = str(_one(value, str, "it"))
    host, _, length = text.partition("/")
    family, bits = (socket.AF_INET6, 128) if ":" in host else (socket.AF_INET, 32)
    try:
        packed = socket.inet_pton(family, host)
        prefix = int(length) if length.isascii() and length.isdigit() and len(length) < 4 else bits + 1
    except (OSError, ValueError):
        raise Refused("it is no network") from None
    if prefix > bits or int.from_bytes(packed, "big") & ((1 << (bits - prefix)) - 1):
        raise Refused("it is no network")
    return f"{socket.inet_ntop(family, packed)}/{prefix}"


def _pid1(value: Any) -> dict[str, Any]:
    given = _one(value, dict, "it")
    return {name: judge(given[name]) for name, judge in _PID1.items() if name in given}


def _counters(value: Any) -> dict[str, int]:
    given = _one(value, dict, "it")
    if len(given) > MOST_COUNTERS:
        raise Refused(f"it has {len(given)} entries; the limit is {MOST_COUNTERS}")
    return {_name(name): _count(number) for name, number in given.items()}


def _strict_keys(judged: Mapping[str, Any]) -> None:
    for one in (judged.get("public_key"), *judged.get("public_keys", ())):
        if one is not None:
            key(one)


def _base64(value: Any) -> str:
    if not BASE64.fullmatch(text := str(_one(value, str, "it"))):
        raise Refused("it is no base64")
    return text


def _peer(value: Any) -> dict[str, Any]:
    if "public_key" not in (given := _one(value, dict, "one")):
        raise Refused("one without a key")
    return {name: _named(name, judge, given[name]) for name, judge in _PEER.items() if name in given}


_count = _between(0, (1 << 64) - 1)
_words = _each(_word, 64)
_keys = _each(_base64, 2)
_PID1: Mapping[str, Judge] = {"pid": _count, "exe": _line, "argv": _each(_line, 64)}
_HEALTH: Mapping[str, Judge] = {
    "format": _count,
    "mesh": _optional(_name),
    "name": _optional(_name),
    "loaded": _optional(_word),
    "applied": _optional(_word),
    "version": _optional(_word),
    "error": _optional(_line),
    "uptime": _number,
    "time": _number,
    "python": _word,
    "kernel": _word,
    "pid1": _pid1,
    "image": _optional(_word),
    "dataplane": _optional(_word),
    "offloads": _words,
    "live": _optional(_word),
    "public_key": _optional(_base64),
    "public_keys": _keys,
    "listen_port": _between(0, 65535),
    "fwmark": _between(0, (1 << 32) - 1),
    "counters": _counters,
}
_PEER: Mapping[str, Judge] = {
    "name": _optional(_name),
    "public_key": _base64,
    "public_keys": _keys,
    "preshared_keys": _each(_word, 2),
    "endpoint": _optional(_endpoint),
    "allowed_ips": _each(_network, 100_000),
    "last_handshake": _optional(_number),
    "rx_bytes": _count,
    "tx_bytes": _count,
    "persistent_keepalive": _between(0, 65535),
}
