"""How large a packet inside of the tunnel may be, as configured, and where nobody says. Pure.

`mtu` of a mesh is for all its sites, that of a site for what goes into and out of it: between two sites the smaller one
of both counts. It is a bound; what is found of a path counts below it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from wgnode.nodeconfig import DEFAULT_MTU

if TYPE_CHECKING:  # which needs the model, as that needs this
    from wgnode.topology.networks import Claim

SMALLEST = {4: 576, 6: 1280}
"""Bytes that every host takes (RFC 791 section 3.1, RFC 8200 section 5); below that, Linux has no IPv6 on a link."""
LARGEST = 1440
"""Bytes: with 60 around it over IPv4, a packet of 1,500, which is what the gateway's own links carry. So it is the most
that any peer can need, and what a tunnel has that searches its paths (docs/decisions/interface-mtu.md)."""
UNSEARCHED = DEFAULT_MTU
"""Bytes, of a tunnel that searches nothing: with 80 around it, it fits into 1,500 over IPv6 too."""


def of(given: int | None, *, searched: bool) -> int:
    """The tunnel's MTU at a site; `searched`: its node finds how much each path carries."""
    return given or (LARGEST if searched else UNSEARCHED)


def problems(
    raw: Mapping[str, Any], sites: Mapping[str, Mapping[str, Any]], claims: Iterable[Claim]
) -> Iterator[tuple[str, str]]:
    """(path, what is wrong). `claims` are the mesh's networks, valid ones only."""
    version = max((claim.network.version for claim in claims), default=4)
    given = {"mtu": ("the mesh", raw.get("mtu"))}
    given |= {f"sites.{name}.mtu": (f"site {name!r}", site.get("mtu")) for name, site in sites.items()}
    for path, (whose, mtu) in given.items():
        if isinstance(mtu, int) and not isinstance(mtu, bool) and not SMALLEST[version] <= mtu <= LARGEST:
            yield path, f"{whose}: mtu {mtu}: {_range(version)}"


def _range(version: int) -> str:
    why = ", since there are IPv6 networks inside," if version == 6 else ""
    return (
        f"give a number from {SMALLEST[version]}{why} to {LARGEST}: the path's MTU less 60 bytes over IPv4, or 80 over"
        " IPv6"
    )
