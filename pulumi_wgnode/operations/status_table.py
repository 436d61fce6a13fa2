"""Site statuses as a table for people."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pulumi_wgnode.operations import part_words
from pulumi_wgnode.operations.site_parts import Part
from pulumi_wgnode.operations.site_status import Peer, SiteStatus, short
from wgnode import denied
from wgnode.figures import duration, size
from wgnode.pathmtu.known import Evidence

HEADING = ("peer", "endpoint", "handshake", "mtu", "received", "sent")


def render(sites: Sequence[SiteStatus]) -> str:
    """A block a site: the gateway, its digests, its peers, then what is wrong with it."""
    return "\n\n".join("\n".join(_site(site)) for site in sites)


def render_resting(resting: Mapping[str, Mapping[str, Any]]) -> Iterable[str]:
    """A line a mesh in which something rests, by its stack."""
    for mesh, sites in sorted(resting.items()):
        if sites:
            listed = ", ".join(f"{name} ({_facts(one)})" for name, one in sorted(sites.items()))
            yield f"resting in {mesh}: {listed}"


def _facts(one: Mapping[str, Any]) -> str:
    facts = [f"index {one['index']}", *one["addresses"]]
    return ", ".join(facts if one["publicKeys"] else [*facts, "private key lost"])


def _site(site: SiteStatus) -> Iterable[str]:
    up = f", up {duration(site.uptime)}" if site.uptime is not None else ""
    yield f"{site.site}: {site.status}{up}  ({site.host}, stack {site.stack})"
    if site.image or site.loaded:
        plane = f"  data plane {site.dataplane}" if site.dataplane else ""
        yield f"  image {short(site.image)}  {_configuration(site)}  live {short(site.live)}{plane}"
    if site.parts:
        yield f"  {_parts(site.parts)}"
    if site.peers:
        rows = [HEADING, *(_row(peer) for peer in site.peers)]
        widths = [max(len(row[column]) for row in rows) for column in range(len(HEADING))]
        for row in rows:
            cells = [
                text.rjust(width) if column > 2 else text.ljust(width)
                for column, (text, width) in enumerate(zip(row, widths, strict=True))
            ]
            yield "  " + "  ".join(cells).rstrip()
    for peer in site.peers:
        if peer.counted and peer.counted.denied:
            last = f"; last {denied.words(peer.counted.denials[-1])}" if peer.counted.denials else ""
            yield f"  {peer.name}: {peer.counted.denied} packets denied{last}"
    for problem in site.problems:
        yield _indented(f"  ! {problem}")
    yield from (_indented(f"  ? {note}") for note in site.notes)
    for part in site.parts:
        yield from (_indented(f"  ? {part.name}: {part_words.without_host(note)}") for note in part.notes)
    if way_out := part_words.mends(site.parts, site.stack):
        yield f"  {way_out}"


def _indented(text: str) -> str:
    return text.replace("\n", "\n    ")


def _parts(parts: Sequence[Part]) -> str:
    """ "host, firewall, image, gateway as wanted", or which of them are not."""
    well = ", ".join(part.name for part in parts if part.well)
    other = [
        f"{part.name} {'warned of' if part.state == 'as wanted' else part.state}" for part in parts if not part.well
    ]
    return "; ".join(filter(None, [f"{well} as wanted" if well else "", *other]))


def _configuration(site: SiteStatus) -> str:
    """One digest where all are the same, as they mostly are."""
    in_force = site.applied or site.loaded
    text = f"configuration {short(in_force)}"
    if site.applied and site.loaded != site.applied:
        text += f" (booted with {short(site.loaded)})"
    return text + (" as on disk" if in_force == site.wanted else f", on disk {short(site.wanted)}")


def _row(peer: Peer) -> tuple[str, ...]:
    age = "never" if peer.handshake_age is None else f"{duration(peer.handshake_age)} ago"
    traffic = peer.counted or peer
    told = "expired" if peer.expired else age
    return peer.name, peer.endpoint or "unknown", told, _mtu(peer), size(traffic.rx_bytes), size(traffic.tx_bytes)


def _mtu(peer: Peer) -> str:
    """Wire bytes to it, with a question mark where no probe has shown it (`wgnode mtu` says what else has)."""
    if peer.mtu is None:
        return "-"
    return f"{peer.mtu}{'' if peer.mtu_evidence == Evidence.PROBE else '?'}"
