"""The matches of iptables as questions to a packet (iptables-extensions(8)). Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from wgnode.firewall.others import questions
from wgnode.firewall.others.packet import Packet
from wgnode.firewall.others.walk import Answer, Test, guarded

_Ask = Callable[[Packet, Sequence[str]], Answer]
_ICMP = {"8": "echo-request", "0": "echo-reply", "128": "echo-request", "129": "echo-reply"}
_ICMP |= {"135": "nd-neighbor-solicit", "136": "nd-neighbor-advert", "neighbour-solicitation": "nd-neighbor-solicit"}
_ICMP |= {"neighbour-advertisement": "nd-neighbor-advert", "neighbor-solicitation": "nd-neighbor-solicit"}
_ICMP |= {"neighbor-advertisement": "nd-neighbor-advert", "133": "router-solicitation", "134": "router-advertisement"}


def test(option: str, values: Sequence[str], negated: bool) -> Test:
    """An option that is not known here cannot be answered."""
    ask = _QUESTIONS.get(option)

    def asked(packet: Packet) -> Answer:
        if ask is None or _absent(packet, option):
            return None if ask is None else False
        return questions.one_of([ask(packet, values)], negated)

    return guarded(asked)


def _absent(packet: Packet, option: str) -> bool:
    return option in _OF_PORTS and packet.protocol not in ("tcp", "udp")


def _ports(packet: Packet, name: str, text: str) -> Answer:
    """`text` is as in "22,8000:8080"."""
    value = getattr(packet, name)
    return questions.one_of(_port(value, one) for one in text.split(","))


def _port(value: int | None, text: str) -> Answer:
    low, colon, high = text.partition(":")
    if not all(part.isdigit() for part in (low, high) if part):
        return None
    return questions.number(value, int(low or 0), int(high or 65535) if colon else int(low))


def _either_port(packet: Packet, values: Sequence[str]) -> Answer:
    return questions.one_of(_ports(packet, name, values[0]) for name in ("sport", "dport"))


def _address(name: str) -> _Ask:
    def ask(packet: Packet, values: Sequence[str]) -> Answer:
        return questions.address(getattr(packet, name), values[0])

    return ask


def _range(name: str) -> _Ask:
    def ask(packet: Packet, values: Sequence[str]) -> Answer:
        low, _, high = values[0].partition("-")
        return questions.address(getattr(packet, name), low, high or low)

    return ask


def _interface(name: str) -> _Ask:
    return lambda packet, values: questions.interface(getattr(packet, name), values[0], "+")


def _protocol(packet: Packet, values: Sequence[str]) -> Answer:
    return values[0] in ("all", "0") or questions.protocol(packet, values[0])


def _states(packet: Packet, values: Sequence[str]) -> Answer:
    states = values[0].lower().split(",")
    return packet.state in states or (packet.dnat and "dnat" in states) or (None if "snat" in states else False)


def _flags(packet: Packet, values: Sequence[str]) -> Answer:
    mask, wanted = (part.lower().split(",") for part in values[:2])
    every = ["fin", "syn", "rst", "psh", "ack", "urg"]
    return packet.protocol == "tcp" and questions.flags(
        packet, every if mask == ["all"] else mask, [] if wanted == ["none"] else wanted
    )


def _syn(packet: Packet, _: Sequence[str]) -> Answer:
    return packet.protocol == "tcp" and questions.flags(packet, ("fin", "syn", "rst", "ack"), ("syn",))


def _icmp(packet: Packet, values: Sequence[str]) -> Answer:
    return values[0] == "any" or packet.icmp == _ICMP.get(values[0], values[0])


def _type(packet: Packet, values: Sequence[str]) -> Answer:
    if packet.hook not in ("input", "forward"):
        return None
    return ("LOCAL" if packet.hook == "input" else "UNICAST") in values[0].split(",")


def _hop_limit(packet: Packet, values: Sequence[str]) -> Answer:
    return values[0] == "255" if (packet.icmp or "").startswith("nd-") else None


def _bridged(packet: Packet, _: Sequence[str]) -> Answer:
    return packet.bridged


_OF_PORTS = ("--dport", "--sport", "--dports", "--sports", "--ports", "--destination-port", "--source-port")
_QUESTIONS: dict[str, _Ask] = {
    "-p": _protocol,
    "-s": _address("source"),
    "-d": _address("destination"),
    "-i": _interface("iif"),
    "-o": _interface("oif"),
    **dict.fromkeys(("--dport", "--dports"), lambda packet, values: _ports(packet, "dport", values[0])),
    **dict.fromkeys(("--sport", "--sports"), lambda packet, values: _ports(packet, "sport", values[0])),
    "--ports": _either_port,
    "--ctstate": _states,
    "--ctstatus": _states,
    "--state": _states,
    "--tcp-flags": _flags,
    "--syn": _syn,
    "--icmp-type": _icmp,
    "--icmpv6-type": _icmp,
    "--dst-type": _type,
    "--src-range": _range("source"),
    "--dst-range": _range("destination"),
    "--hl-eq": _hop_limit,
    "--rt-type": lambda packet, values: False,  # a header for source routing, which none of ours has
    "--physdev-is-bridged": _bridged,
}
