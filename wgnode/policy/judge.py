"""The verdict on a new flow, by the compiled policy."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import ip_address, ip_network
from typing import NamedTuple

from wgnode.policy.model import NOTHING, Policy, Rule
from wgnode.policy.packet import PORTS


class _Network(NamedTuple):
    """`size` of its addresses in bytes, `shift` to the bits that count."""

    size: int
    bits: int
    shift: int

    def holds(self, address: bytes) -> bool:
        return len(address) == self.size and int.from_bytes(address, "big") >> self.shift == self.bits


class _Rule(NamedTuple):
    networks: tuple[_Network, ...]
    classes: frozenset[int]
    internet: bool
    protocols: frozenset[int]
    ports: tuple[tuple[int, int], ...]

    def fits(self, protocol: int, port: int) -> bool:
        """`port` is the packet's destination's."""
        if self.protocols and protocol not in self.protocols:
            return False
        return not self.ports or (protocol in PORTS and any(low <= port <= high for low, high in self.ports))


class Judge:
    """Of one policy."""

    def __init__(self, policy: Policy) -> None:
        self._classes = tuple(
            (tuple(map(_rule, one.outgoing)), tuple(map(_rule, one.incoming))) for one in policy.classes
        )
        self._known = _networks(policy.known)
        self._own = frozenset(ip_address(text).packed for text in policy.own)

    def allows(self, number: int, other: bytes, owner: int | None, protocol: int, port: int, *, outgoing: bool) -> bool:
        """Whether a device of this class may open a flow to the `other` address (`outgoing`), or have one opened from
        there. `owner` is the class of the device whose address that is, None where it is no device's."""
        rules = self._classes[number if number < len(self._classes) else NOTHING][0 if outgoing else 1]
        fitting = (rule for rule in rules if rule.fits(protocol, port))
        if owner is not None:
            return any(owner in rule.classes for rule in fitting)
        return any(self._reaches(rule, other, outgoing) for rule in fitting)

    def _reaches(self, rule: _Rule, other: bytes, outgoing: bool) -> bool:
        own = other in self._own
        if any(net.holds(other) and not (own and outgoing and net.shift) for net in rule.networks):
            return True
        return rule.internet and not own and not any(net.holds(other) for net in self._known)


def _rule(rule: Rule) -> _Rule:
    return _Rule(
        _networks(rule.networks), frozenset(rule.classes), rule.internet, frozenset(rule.protocols), rule.ports
    )


def _networks(texts: Iterable[str]) -> tuple[_Network, ...]:
    networks = map(ip_network, texts)
    return tuple(
        _Network(
            net.max_prefixlen // 8,
            int(net.network_address) >> net.max_prefixlen - net.prefixlen,
            net.max_prefixlen - net.prefixlen,
        )
        for net in networks
    )
