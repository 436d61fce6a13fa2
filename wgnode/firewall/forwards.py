"""What a host forwards for others than its gateways: what the uplink may still reach behind it, and what must not
become possible because we switch forwarding on. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

from wgnode.firewall.expressions import (
    ACCEPT,
    DROP,
    PASSED,
    Expression,
    Network,
    Rule,
    coming_from,
    established,
    family,
    match,
    payload,
    prefix,
    sources,
)


@dataclass(frozen=True)
class Forward:
    """What comes in by the uplink for others: to the networks `to`, or where there is none, to a port of the host's own
    that somebody on the host translates, as Docker publishes one. `sources` empty means from anywhere."""

    protocol: Literal["tcp", "udp"] | None = None
    port: int | None = None
    to: Network | None = None
    sources: tuple[Network, ...] = ()


@dataclass(frozen=True)
class Before:
    """How a host forwarded before we switched it on: `versions` of IP, and the bridges of then, with the LAN's;
    `left_alone`, interfaces from which new ways are wanted.

    Frames within a bridge are no forwarding, but br_netfilter shows them to our table as such.
    """

    versions: tuple[int, ...] = (4, 6)
    bridges: tuple[str, ...] = ()
    left_alone: tuple[str, ...] = ()


def allowed(
    name: str, when: tuple[Expression, ...], forwards: Iterable[Forward], keep: bool, before: Before
) -> Iterator[Rule]:
    """From outside. `keep`: all that was forwarded before us, and what is translated."""
    yield from _forwards(f"{name}-allow", when, forwards)
    if keep:
        yield Rule(f"{name}-keep-translated", (*when, _translated(), *PASSED))
        for version in sorted(before.versions):
            yield Rule(f"{name}-keep-v{version}", (*when, _version(version), *PASSED))


def opened(forwards: Iterable[Forward], before: Before) -> Iterator[Rule]:
    """What is named, of that which `closed` drops."""
    versions = _not_forwarded(before)
    if not versions:
        return
    # The LAN's is among these, but no frame of it is forwarded from anywhere else than from its bridge.
    for name in before.left_alone:
        if name not in before.bridges:
            yield Rule(f"forward-left-alone-{name}", (coming_from(name), *PASSED))
    yield from _forwards("forward-also", (), [one for one in forwards if one.to and one.to.version in versions])


def closed(before: Before, gateways: Iterable[str], *when: Expression) -> Iterator[Rule]:
    """Of the versions of IP that the host did not forward before: nothing but what answers, and what somebody on the
    host translates, unless `when` says otherwise. `gateways` are the transit links, which their own tables judge."""
    versions = _not_forwarded(before)
    if not versions:
        return
    yield Rule("forward-answers", (established(), ACCEPT))
    yield Rule("forward-translated", (_translated(), ACCEPT))
    for number, pattern in enumerate(gateways, 1):
        yield Rule(f"forward-from-gateway-{number}", (coming_from(pattern), ACCEPT))
    for version in versions:
        for bridge in sorted(set(before.bridges)):
            elsewhere = match({"meta": {"key": "oifname"}}, bridge, "!=")
            none = (coming_from(bridge), elsewhere, _version(version), *when, DROP)
            yield Rule(f"forward-none-{bridge}-v{version}", none)
        # A bridge that came later is that of somebody who wants its machines to be reached: Docker, libvirt.
        no_bridge = match({"meta": {"key": "iifkind"}}, "bridge", "!=")
        yield Rule(f"forward-none-v{version}", (no_bridge, _version(version), *when, DROP))


def _not_forwarded(before: Before) -> list[int]:
    return [version for version in (4, 6) if version not in before.versions]


def _forwards(name: str, first: tuple[Expression, ...], forwards: Iterable[Forward]) -> Iterator[Rule]:
    taken: dict[str, int] = {}
    for one in forwards:
        for version, source in _sources(one):
            full = "-".join([name, *_words(one), *([f"v{version}"] if version else [])])
            taken[full] = taken.get(full, 0) + 1
            unique = full if taken[full] == 1 else f"{full}-{taken[full]}"
            yield Rule(unique, (*first, *source, *_target(one), *PASSED))


def _sources(one: Forward) -> Iterator[tuple[int | None, tuple[Expression, ...]]]:
    """Once, or once for each version of IP that sources are given of."""
    if not one.sources:
        yield None, ()
    for version in (4, 6):
        source = sources(one.sources, version)
        if source and (one.to is None or one.to.version == version):
            yield version, (source,)


def _target(one: Forward) -> Iterator[Expression]:
    if one.to is not None:
        yield match(payload(family(one.to), "daddr"), prefix(one.to))
        if one.protocol and one.port:
            yield match(payload(one.protocol, "dport"), one.port)
        elif one.protocol:
            yield match({"meta": {"key": "l4proto"}}, one.protocol)
        return
    yield _translated()
    yield match({"meta": {"key": "l4proto"}}, one.protocol)
    yield match({"ct": {"key": "proto-dst", "dir": "original"}}, one.port)


def _words(one: Forward) -> Iterator[str]:
    if one.protocol:
        yield one.protocol
    if one.port:
        yield str(one.port)
    if one.to:
        yield str(one.to)


def _version(version: int) -> Expression:
    return match({"meta": {"key": "nfproto"}}, f"ipv{version}")


def _translated() -> Expression:
    status: Any = {"ct": {"key": "status"}}
    return match(status, "dnat", "in")
