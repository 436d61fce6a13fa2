"""What is said of packets that an access policy denied, and where the stack file says what it does. Reads nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ruamel.yaml.nodes import MappingNode, Node, ScalarNode

from wgnode import yamlfile
from wgnode.policy.model import MOST_FLOWS, MOST_OF_DEVICE, Reason

_PROTOCOLS = {1: "ICMP", 6: "TCP", 17: "UDP", 58: "ICMPv6"}
_WHY = {
    Reason.FULL: f"no place for another flow ({MOST_OF_DEVICE:,} of a device, {MOST_FLOWS:,} in all)",
    Reason.SPOOFED: "it had a device's address and did not come out of that device's tunnel",
    Reason.FRAGMENT: "a later fragment of a packet that was not let through, or came before its first",
    Reason.ICMP: "an ICMP error about a packet of no flow",
    Reason.UNREADABLE: "its headers end early, or can't be followed",
    Reason.MORE: "of more different ones than are told one by one",
}
GROUPS = ("config", "wgmesh:site", "groups")


def words(denial: Mapping[str, Any]) -> str:
    """Such as "3 packets to 10.1.0.7, TCP port 22: nothing allows it"; of an accounts.Denial."""
    packets = f"{denial['packets']} packet{'' if denial['packets'] == 1 else 's'}"
    rule = denial["rule"]
    why = "nothing allows it" if rule == Reason.NOTHING_ALLOWS else _WHY.get(rule, rule)
    if rule == Reason.MORE:
        return f"{packets} {why}"
    way = f"to {denial['destination']}" if denial["outgoing"] else f"from {denial['source']}"
    number = denial["protocol"]
    protocol = _PROTOCOLS.get(number, f"protocol {number}")
    port = f" port {denial['port']}" if denial["port"] else ""
    return f"{packets} {way}, {protocol}{port}: {why}"


def places(text: str, groups: Iterable[str], *, outgoing: bool) -> Iterator[tuple[str, int]]:
    """Of each group what says what its members reach (`outgoing`) or are reached from, and its line in the stack file;
    the group's own where it says nothing of that. Raises YamlError."""
    listed = _at(yamlfile.compose(text), GROUPS)
    for name in groups:
        entry = _entry(listed, name)
        if entry is None:
            continue
        wanted = ("reach",) if outgoing else ("reachableFrom", "reach")
        found = next(((word, one) for word in wanted if (one := _entry(entry[1], word)) is not None), None)
        path = f"groups.{name}" + (f".{found[0]}" if found else "")
        yield path, int((found[1] if found else entry)[0].start_mark.line) + 1


def _at(node: Node | None, path: Iterable[str]) -> Node | None:
    for step in path:
        entry = _entry(node, step)
        node = entry[1] if entry else None
    return node


def _entry(node: Node | None, name: str) -> tuple[Node, Node] | None:
    """Key and value."""
    pairs = node.value if isinstance(node, MappingNode) else ()
    return next(((key, one) for key, one in pairs if isinstance(key, ScalarNode) and key.value == name), None)
