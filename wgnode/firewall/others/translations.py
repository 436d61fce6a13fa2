"""What others on a host forward by destination NAT: port forwards, Docker's published ports. Pure."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from wgnode.firewall.others import nft_match, questions
from wgnode.firewall.others.foreign import is_ours
from wgnode.firewall.others.walk import UNREADABLE

_EVERY = (0, 65535)
Ports = tuple[int, int]


@dataclass(frozen=True)
class Translation:
    """Of the host's own `port` to an address behind it; `to_port` is None where it stays the same."""

    protocol: str
    port: int
    to: str
    to_port: int | None
    by: str

    def __str__(self) -> str:
        return f"{self.protocol.upper()} {self.port}, which {self.by} forwards to {self.to}"


def translations(listing: str, saved: Iterable[str], uplink: str) -> list[Translation]:
    """Those of what comes in by the uplink. `saved` is from `iptables-save` of either kind, which nft shows in part."""
    found = [*_of_nft(listing, uplink)]
    for text in saved:
        found += _of_iptables(text, uplink)
    return sorted(set(found), key=lambda one: (one.protocol, one.port, one.to))


def _of_nft(listing: str, uplink: str) -> Iterator[Translation]:
    items = json.loads(listing)["nftables"] if listing.strip() else []
    sets: dict[tuple[str, str], dict[str, Any]] = {}
    for item in items:
        for kind in ("set", "map"):
            if kind in item:
                sets.setdefault((item[kind]["family"], item[kind]["table"]), {})[item[kind]["name"]] = item[kind]
    for rule in (item["rule"] for item in items if "rule" in item):
        if not is_ours(rule["family"], rule["table"]):
            own = sets.get((rule["family"], rule["table"]), {})
            with suppress(*UNREADABLE):  # what it forwards is not told
                yield from list(_of_rule(rule, own, uplink))


def _of_rule(rule: Mapping[str, Any], sets: nft_match.Sets, uplink: str) -> Iterator[Translation]:
    expressions = [one for one in rule.get("expr", ()) if isinstance(one, Mapping)]
    target = next((one["dnat"] for one in expressions if one.get("dnat")), None)
    if target is None:
        return
    protocol, ports = "", [*_mapped(target.get("addr"), sets)]
    for match in (one["match"] for one in expressions if "match" in one):
        left = match["left"]
        if "payload" in left and left["payload"].get("field") == "dport" and match["op"] == "==":
            protocol = left["payload"]["protocol"]
            items = nft_match.elements(match["right"], sets) or ()
            ports += [(limits, target.get("addr")) for item in items if (limits := nft_match.numbers(item))]
        elif left == {"meta": {"key": "l4proto"}} and isinstance(match["right"], str):
            protocol = match["right"]
        elif left == {"meta": {"key": "iifname"}} and not _comes_by(match, uplink, sets):
            return
    by = (
        "Docker"
        if rule["chain"] == "DOCKER" or rule["table"].startswith("docker")
        else f"{rule['family']} {rule['table']}"
    )
    to_port = target.get("port") if isinstance(target.get("port"), int) else None
    kind = next((one["map"]["key"]["payload"]["protocol"] for one in [target.get("addr")] if _is_map(one)), protocol)
    for limits, address in ports:
        for port in _few(limits):
            yield Translation(kind if kind in ("tcp", "udp") else "tcp", port, str(address), to_port, by)


def _is_map(address: Any) -> bool:
    return isinstance(address, Mapping) and "payload" in address.get("map", {}).get("key", {})


def _mapped(address: Any, sets: nft_match.Sets) -> Iterator[tuple[Ports, str]]:
    """Of `dnat to tcp dport map { 80 : 10.0.0.2 }`."""
    if _is_map(address):
        for element in nft_match.elements(address["map"]["data"], sets) or ():
            if isinstance(element, list) and (limits := nft_match.numbers(element[0])):
                to = element[1]
                yield limits, to if isinstance(to, str) else str(to.get("concat", [to])[0])


def _comes_by(match: Mapping[str, Any], uplink: str, sets: nft_match.Sets) -> bool:
    items = nft_match.elements(match["right"], sets) or ()
    answers = (questions.interface(uplink, str(item), "*") for item in items)
    return questions.one_of(answers, match["op"] == "!=") is not False


def _of_iptables(text: str, uplink: str) -> Iterator[Translation]:
    for line in text.splitlines():
        if " DNAT " in line and line.startswith("-A "):
            with suppress(*UNREADABLE):
                yield from list(_of_line(shlex.split(line), uplink))


def _of_line(words: Sequence[str], uplink: str) -> Iterator[Translation]:
    if "--to-destination" not in words or not _of_uplink(words, uplink):
        return
    address, to_port = _split(words[words.index("--to-destination") + 1])
    ports = next((words[words.index(one) + 1] for one in ("--dport", "--dports") if one in words), "")
    protocol = words[words.index("-p") + 1] if "-p" in words else "tcp"
    for part in ports.split(","):
        low, colon, high = part.partition(":")
        limits = (int(low), int(high if colon else low)) if low.isdigit() else _EVERY
        by = "Docker" if words[1] == "DOCKER" else f"iptables ({words[1]})"
        yield from (Translation(protocol, port, address, to_port, by) for port in _few(limits))


def _of_uplink(words: Sequence[str], uplink: str) -> bool:
    if "-i" not in words:
        return True
    place = words.index("-i")
    return questions.interface(uplink, words[place + 1], "+") is not (words[place - 1] == "!")


def _split(target: str) -> tuple[str, int | None]:
    """ "10.0.0.2:80", "[fd00::2]:80", "10.0.0.2"."""
    if target.startswith("["):
        address, _, port = target[1:].partition("]:")
    elif target.count(":") == 1:
        address, _, port = target.partition(":")
    else:
        address, port = target, ""
    return address.rstrip("]"), int(port) if port.isdigit() else None


def _few(limits: Ports) -> Iterator[int]:
    """Of a long range the first, which stands for it."""
    low, high = limits
    yield from range(low, high + 1) if high - low < 16 else (low,)
