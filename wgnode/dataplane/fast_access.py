"""The access policy told to the engine, which makes the verdicts: see fastpath/src/engine/access/."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from ipaddress import ip_address, ip_network

import wgnode_fastpath

from wgnode.policy.model import Denial, FlowFigures, Policy, Rule


class FastAccess:
    """Of one plane. What each method is: see plane.Plane. Before the first policy the engine is asked nothing."""

    def __init__(self, engine: wgnode_fastpath.Engine) -> None:
        self._engine = engine
        self._access: wgnode_fastpath.Access | None = None
        self._policy: Policy | None = None
        self._classes: dict[int, int] = {}

    @property
    def figures(self) -> FlowFigures:
        return FlowFigures() if self._access is None else FlowFigures(*self._access.figures())

    def set_policy(self, policy: Policy | None, classes: Mapping[int, int]) -> None:
        if policy is None:
            classes = {}
        if (policy, classes) == (self._policy, self._classes):
            return
        self._policy, self._classes = policy, dict(classes)
        if self._access is None:
            self._access = wgnode_fastpath.Access(self._engine)
        self._access.set_policy(None if policy is None else _said(policy), list(classes.items()))

    def set_class(self, peer: int, number: int | None) -> None:
        if self._access is None or self._policy is None or self._classes.get(peer) == number:
            return
        self._classes.pop(peer, None)
        if number is not None:
            self._classes[peer] = number
        self._access.set_class(peer, number)

    def forget(self, peer: int) -> None:
        """It is no peer any more, which the engine knows."""
        self._classes.pop(peer, None)

    def end_flows(self, peer: int) -> None:
        if self._access is not None:
            self._access.end_flows(peer)

    def take_denials(self) -> list[Denial]:
        return [] if self._access is None else list(map(_denial, self._access.denials()))

    def passes(self, peer: int, packet: bytes, now: float) -> bool:
        """Whether a packet that the protocol has opened may go on."""
        return self._access is None or peer not in self._classes or self._access.passes(peer, packet, now)


_Network = tuple[bytes, int]
_Rule = tuple[list[_Network], tuple[int, ...], bool, tuple[int, ...], tuple[tuple[int, int], ...]]


def _denial(one: wgnode_fastpath.Denial) -> Denial:
    return Denial(one.peer, one.outgoing, one.rule, one.source, one.destination, one.protocol, one.port, one.packets)


def _said(policy: Policy) -> tuple[list[tuple[list[_Rule], list[_Rule]]], list[_Network], list[bytes]]:
    classes = [(list(map(_rule, one.outgoing)), list(map(_rule, one.incoming))) for one in policy.classes]
    return classes, _networks(policy.known), [ip_address(text).packed for text in policy.own]


def _rule(rule: Rule) -> _Rule:
    return _networks(rule.networks), rule.classes, rule.internet, rule.protocols, rule.ports


def _networks(texts: Iterable[str]) -> list[_Network]:
    networks = map(ip_network, texts)
    return [(net.network_address.packed, net.prefixlen) for net in networks]
