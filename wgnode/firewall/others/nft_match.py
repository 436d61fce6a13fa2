"""The matches of nftables' JSON as questions to a packet. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from wgnode.firewall.others import questions
from wgnode.firewall.others.packet import Packet
from wgnode.firewall.others.walk import Answer, Test, guarded, together

Sets = Mapping[str, Mapping[str, Any]]
_NAMES = {"iifname": "iif", "iif": "iif", "oifname": "oif", "oif": "oif"}
_ICMP = {0: "echo-reply", 8: "echo-request", 128: "echo-request", 129: "echo-reply"}
_ICMP |= {135: "nd-neighbor-solicit", 136: "nd-neighbor-advert"}
_CHANGING = ("dynamic", "timeout")  # flags of sets that packets themselves fill


def test(match: Mapping[str, Any], sets: Sets) -> Test:
    """One that has another form than is known cannot be answered."""
    left, right, operator = match["left"], match["right"], match.get("op", "==")

    def ask(packet: Packet) -> Answer:
        if _absent(packet, left):
            return False
        if operator in ("<", ">", "<=", ">="):
            return _compared(packet, left, right, operator)
        items = elements(right, sets)
        if items is None:
            return None
        return questions.one_of((_is(packet, left, item) for item in items), negated=operator == "!=")

    return guarded(ask)


def elements(value: Any, sets: Sets) -> Sequence[Any] | None:
    """What a value stands for: those of a set, named or not, or itself. None where packets may change them."""
    if isinstance(value, str) and value.startswith("@"):
        body = sets.get(value[1:])
        flags = (body or {}).get("flags", ())
        if body is None or any(flag in flags for flag in _CHANGING):
            return None
        return list(_plain(body.get("elem", ())))
    if isinstance(value, Mapping) and "set" in value:
        inner = value["set"]
        return elements(inner, sets) if isinstance(inner, str) else list(_plain(inner))
    if isinstance(value, Mapping) and "|" in value:  # flags
        return _words(value)
    return value if isinstance(value, list) else [value]


def _plain(items: Any) -> Iterator[Any]:
    """Without counters, comments and timeouts of elements."""
    for item in items if isinstance(items, list) else [items]:
        if isinstance(item, list):  # of a map
            yield [next(_plain([item[0]])), item[1]]
        else:
            yield item["elem"]["val"] if isinstance(item, Mapping) and "elem" in item else item


def _is(packet: Packet, left: Any, item: Any) -> Answer:
    ((kind, body),) = left.items() if isinstance(left, Mapping) else (("", left),)
    if kind == "concat":
        parts = item.get("concat", ()) if isinstance(item, Mapping) else ()
        return together(_is(packet, one, part) for one, part in zip(body, parts, strict=False)) if parts else None
    if kind == "meta":
        return _meta(packet, body["key"], item)
    if kind == "payload":
        return _payload(packet, body, item)
    if kind == "ct":
        return _tracked(packet, body, item)
    if kind == "fib":
        return _route(packet, body, item)
    if kind == "&":
        return _masked(packet, body, item)
    return None


def _meta(packet: Packet, key: str, item: Any) -> Answer:
    if key in _NAMES:
        return questions.interface(getattr(packet, _NAMES[key]), str(item), "*") if isinstance(item, str) else None
    if key == "l4proto":
        return questions.protocol(packet, item) if isinstance(item, str | int) else None
    if key == "nfproto":
        return bool(item == ("ipv4" if packet.family == "ip" else "ipv6"))
    if key == "protocol":
        return bool(item == packet.family)
    if key in ("ibrname", "obrname"):
        return questions.interface(packet.bridge, str(item), "*")
    return None


def _payload(packet: Packet, body: Mapping[str, Any], item: Any) -> Answer:
    field = body.get("field")
    if field in ("saddr", "daddr") and body.get("protocol") in ("ip", "ip6"):
        value = packet.source if field == "saddr" else packet.destination
        return questions.address(value, *_bounds(item))
    if field in ("sport", "dport") and (limits := numbers(item)):
        return questions.number(getattr(packet, field), *limits)
    if field in ("protocol", "nexthdr") and isinstance(item, str | int):
        return questions.protocol(packet, item)
    if field == "type" and body.get("protocol") in ("icmp", "icmpv6"):
        return bool(packet.icmp == (_ICMP.get(item, str(item)) if isinstance(item, int) else item))
    if field == "hoplimit" and (packet.icmp or "").startswith("nd-"):
        return bool(item == 255)
    if field == "flags" and isinstance(item, str):
        return item in packet.flags
    return None


def _tracked(packet: Packet, body: Mapping[str, Any], item: Any) -> Answer:
    if body["key"] == "state":
        return packet.state == item if isinstance(item, str) else None
    if body["key"] == "status" and item in ("dnat", "snat"):
        return packet.dnat if item == "dnat" else None
    if body["key"] == "proto-dst" and body.get("dir") == "original" and (limits := numbers(item)):
        return questions.number(packet.original, *limits)
    if body["key"] == "direction" and packet.state == "new":
        return bool(item == "original")
    return None


def _route(packet: Packet, body: Mapping[str, Any], item: Any) -> Answer:
    """Packets come from where their answers go, so no reverse path is missing."""
    flags = [body["flags"]] if isinstance(body["flags"], str) else body["flags"]
    if "saddr" in flags:
        return item if isinstance(item, bool) else None
    if body["result"] == "oifname" and flags == ["daddr"]:
        return questions.interface(packet.oif, str(item), "*")
    if body["result"] == "type" and packet.hook in ("input", "forward"):
        return bool(item == ("local" if packet.hook == "input" else "unicast"))
    return None


def _masked(packet: Packet, operands: Sequence[Any], item: Any) -> Answer:
    """`tcp flags & (fin | syn) == syn`."""
    left, mask = operands
    if not isinstance(left, Mapping) or left.get("payload", {}).get("field") != "flags":
        return None
    return questions.flags(packet, _words(mask), _words(item))


def _words(value: Any) -> list[str]:
    if isinstance(value, Mapping):
        return [word for body in value.values() for word in _words(body)]
    return [word for one in value for word in _words(one)] if isinstance(value, list) else [str(value)]


def _compared(packet: Packet, left: Any, right: Any, operator: str) -> Answer:
    field = left.get("payload", {}).get("field") if isinstance(left, Mapping) else None
    value = getattr(packet, field) if field in ("sport", "dport") else None
    if value is None or not isinstance(right, int):
        return None
    return bool({"<": value < right, ">": value > right, "<=": value <= right, ">=": value >= right}[operator])


def _absent(packet: Packet, left: Any) -> bool:
    """nft leaves out of the listing what a field implies: a TCP port is one of TCP only, `ip saddr` one of IPv4."""
    if not isinstance(left, Mapping):
        return False
    if parts := left.get("concat") or left.get("&"):
        return any(_absent(packet, part) for part in parts)
    named = left.get("payload", {}).get("protocol")
    if named in ("ip", "ip6"):
        return bool(named != packet.family)
    if named == "th":
        return packet.protocol not in ("tcp", "udp")
    return named in (*questions.NUMBERS, "sctp", "udplite", "esp", "ah", "dccp", "igmp") and named != packet.protocol


def _bounds(item: Any) -> tuple[str] | tuple[str, str]:
    if isinstance(item, Mapping) and "prefix" in item:
        return (f"{item['prefix']['addr']}/{item['prefix']['len']}",)
    if isinstance(item, Mapping) and "range" in item:
        return (str(item["range"][0]), str(item["range"][1]))
    return (str(item),)


def numbers(item: Any) -> tuple[int, int] | None:
    if isinstance(item, int) and not isinstance(item, bool):
        return item, item
    found = item.get("range") if isinstance(item, Mapping) else None
    return (found[0], found[1]) if found and all(isinstance(one, int) for one in found) else None
