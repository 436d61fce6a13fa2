"""Parts of what a guest says. Each judge takes anything, and gives it back as it may be passed on or raises Refused.

Only for said.py, where bytes come in and whole messages go out.
"""

from __future__ import annotations

import math
import re
import socket
from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping
from typing import Any

from wgnode import endpoint as parsed

LONGEST_LINE = 2000
LONGEST_NAME = 64
MOST_PEERS = 16_384
"""10,000 devices, and the sites."""
MOST_COUNTERS = 1000
MOST_MEASURES = 64
WORD = re.compile(r"[A-Za-z0-9_.+~:-]{1,64}")
BASE64 = re.compile(r"[A-Za-z0-9+/]{1,64}={0,2}")


class Refused(ValueError):
    """Not what a gateway says. Names the part; never quotes more of it than a line that is safe to print."""


Judge = Callable[[Any], Any]


def printable(text: str, limit: int = LONGEST_LINE) -> str:
    """One line that no terminal and no journal takes for more: all but what is seen is escaped, the rest cut off."""
    cut = text[:limit]
    more = f"[{len(text) - limit} characters more]" if len(text) > limit else ""
    shown = (one if one.isprintable() else one.encode("unicode_escape", "backslashreplace").decode() for one in cut)
    return (cut if cut.isprintable() else "".join(shown)) + more


def key(value: object) -> str:
    """A public key in base64, in the one way that `wg` writes it. Raises Refused."""
    text = str(exactly(value, str, "a key"))
    try:
        data = b64decode(text, validate=True) if len(text) == 44 else b""
    except ValueError:
        data = b""
    if len(data) != 32 or b64encode(data).decode() != text:
        raise Refused("a key is none")
    return text


def named(name: str, judge: Judge, value: Any) -> Any:
    try:
        return judge(value)
    except Refused as error:
        raise Refused(f"{name}: {error}") from None


def exactly(value: Any, kind: type, what: str) -> Any:
    """Never a bool for an int: to Python it is one."""
    if type(value) is not kind:
        raise Refused(f"{what} is a {type(value).__name__} instead of a {kind.__name__}")
    return value


def optional(judge: Judge) -> Judge:
    return lambda value: None if value is None else judge(value)


def between(least: int, most: int) -> Callable[[Any], int]:
    def judge(value: Any) -> int:
        if not least <= (number := int(exactly(value, int, "it"))) <= most:
            raise Refused(f"it is not within {least} and {most}")
        return number

    return judge


def real(value: Any) -> float:
    """Finite, and small enough for whoever computes with it."""
    if type(value) not in (int, float) or not math.isfinite(value) or abs(value) > 1e12:
        raise Refused("it is no number of this world")
    return value  # type: ignore[no-any-return]


def word(value: Any) -> str:
    if not WORD.fullmatch(text := str(exactly(value, str, "it"))):
        raise Refused("it is not one word of at most 64 letters, digits and ._+~:-")
    return text


def label(value: Any) -> str:
    text = str(exactly(value, str, "it"))
    if len(text) > LONGEST_NAME or not text.isprintable():
        raise Refused(f"it is no name of at most {LONGEST_NAME} printable characters")
    return text


def line(value: Any) -> str:
    return printable(exactly(value, str, "it"))


def entries(value: Any, what: str, most: int) -> list[Any]:
    if len(items := exactly(value, list, what)) > most:
        raise Refused(f"{what}: {len(items)} entries; the limit is {most}")
    return list(items)


def each(judge: Judge, most: int) -> Judge:
    return lambda value: [judge(one) for one in entries(value, "it", most)]


def endpoint(value: Any) -> str:
    """Any address: where a report says that a peer is. Which of them are kept is `address.place`'s."""
    try:
        return parsed.written(*parsed.literal(value))
    except ValueError:
        raise Refused("it is no address with a port") from None


def network(value: Any) -> str:
    """As ip_network writes it. 100,000 of them can be judged while others wait, so not by it."""
    text = str(exactly(value, str, "it"))
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


def wire(value: Any) -> int:
    """Bytes of an IP packet outside, which is no shorter than any link's (RFC 791) and no longer than can be said."""
    return between(68, 65575)(value)


def own_address(value: Any) -> str:
    """An address without a scope, in the one way that it is written; "" where the routing table chooses one."""
    text = str(exactly(value, str, "it"))
    if not text:
        return ""
    family = socket.AF_INET6 if ":" in text else socket.AF_INET
    try:
        return socket.inet_ntop(family, socket.inet_pton(family, text))
    except (OSError, ValueError):
        raise Refused("it is no address") from None


def former_size(value: Any) -> dict[str, Any]:
    return _all_of(_FORMER_SIZE, value)


def path_mtu(value: Any) -> dict[str, Any]:
    """What a node has found of its way to a peer; parts that only newer versions know are left out."""
    given = exactly(value, dict, "it")
    judged = _all_of(_FORMER_SIZE, given)
    return judged | {name: named(name, judge, given[name]) for name, judge in _PATH.items() if name in given}


def _all_of(judges: Mapping[str, Judge], value: Any) -> dict[str, Any]:
    given = exactly(value, dict, "it")
    if missing := [name for name in judges if name not in given]:
        raise Refused(f"one without {missing[0]}")
    return {name: named(name, judge, given[name]) for name, judge in judges.items()}


def pid1(value: Any) -> dict[str, Any]:
    given = exactly(value, dict, "it")
    return {name: judge(given[name]) for name, judge in _PID1.items() if name in given}


def counters(value: Any) -> dict[str, int]:
    given = exactly(value, dict, "it")
    if len(given) > MOST_COUNTERS:
        raise Refused(f"it has {len(given)} entries; the limit is {MOST_COUNTERS}")
    return {label(name): count(number) for name, number in given.items()}


def confinement(value: Any) -> dict[str, str]:
    """By measure what the guest's kernel says of it."""
    given = exactly(value, dict, "it")
    if len(given) > MOST_MEASURES:
        raise Refused(f"it has {len(given)} entries; the limit is {MOST_MEASURES}")
    return {label(name): label(said) for name, said in given.items()}


def taken(value: Any) -> dict[str, dict[str, str]]:
    """Addresses of devices that other machines of the LAN have."""
    given = exactly(value, dict, "it")
    if len(given) > MOST_PEERS:
        raise Refused(f"it has {len(given)} entries; the limit is {MOST_PEERS}")
    return {own_address(address): _all_of({"device": label, "mac": word}, one) for address, one in given.items()}


def reason(value: Any) -> str:
    """Why something was denied: see policy.model.Reason, of which a newer version may have more."""
    return "" if value == "" else word(value)


def denial(value: Any) -> dict[str, Any]:
    """Packets of one kind that a device's policy did not allow."""
    return _all_of(_DENIAL, value)


def strict_keys(judged: Mapping[str, Any]) -> None:
    for one in (judged.get("public_key"), *judged.get("public_keys", ())):
        if one is not None:
            key(one)


def base64(value: Any) -> str:
    if not BASE64.fullmatch(text := str(exactly(value, str, "it"))):
        raise Refused("it is no base64")
    return text


def peer(value: Any) -> dict[str, Any]:
    if "public_key" not in (given := exactly(value, dict, "one")):
        raise Refused("one without a key")
    return {name: named(name, judge, given[name]) for name, judge in _PEER.items() if name in given}


count = between(0, (1 << 64) - 1)
words = each(word, 64)
keys = each(base64, 2)
_PID1: Mapping[str, Judge] = {"pid": count, "exe": line, "argv": each(line, 64)}
HEALTH: Mapping[str, Judge] = {
    "format": count,
    "mesh": optional(label),
    "name": optional(label),
    "loaded": optional(word),
    "applied": optional(word),
    "version": optional(word),
    "error": optional(line),
    "run": word,
    "uptime": real,
    "time": real,
    "python": word,
    "kernel": word,
    "pid1": pid1,
    "image": optional(word),
    "dataplane": optional(word),
    "confinement": confinement,
    "unconfined": words,
    "offloads": words,
    "live": optional(word),
    "public_key": optional(base64),
    "public_keys": keys,
    "listen_port": between(0, 65535),
    "fwmark": between(0, (1 << 32) - 1),
    "counters": counters,
    "taken": taken,
    "flows": lambda value: _all_of(_FLOWS, value),
}
MOST_DENIALS = 16
_FLOWS: Mapping[str, Judge] = {"flows": count, "refused": count, "denied": count}
_DENIAL: Mapping[str, Judge] = {
    "outgoing": lambda value: exactly(value, bool, "it"),
    "rule": reason,
    "source": own_address,
    "destination": own_address,
    "protocol": between(0, 255),
    "port": between(0, 65535),
    "packets": count,
    "at": real,
}
_FORMER_SIZE: Mapping[str, Judge] = {"size": wire, "evidence": word, "since": real}
_PATH: Mapping[str, Judge] = {
    "family": optional(between(4, 6)),
    "own": optional(own_address),
    "state": optional(word),
    "why": optional(word),
    "back": optional(former_size),
    "inner": optional(between(0, 65575)),
    "unmeasured": optional(line),
    "spent": count,
    "round_trip": optional(real),
    "small_sent": count,
    "small_answered": count,
    "history": each(former_size, 64),
}
_PEER: Mapping[str, Judge] = {
    "name": optional(label),
    "public_key": base64,
    "public_keys": keys,
    "preshared_keys": each(word, 2),
    "endpoint": optional(endpoint),
    "allowed_ips": each(network, 100_000),
    "last_handshake": optional(real),
    "rx_bytes": count,
    "tx_bytes": count,
    "rx_packets": count,
    "tx_packets": count,
    "sessions": count,
    "serial": count,
    "persistent_keepalive": between(0, 65535),
    "path_mtu": optional(path_mtu),
    "denied": count,
    "denials": each(denial, MOST_DENIALS),
    "closed": lambda value: exactly(value, bool, "it"),
}
