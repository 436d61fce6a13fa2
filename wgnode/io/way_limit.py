"""What follows from what is known of a way, or is not, and whom to ask about it. Pure."""

from __future__ import annotations

from wgnode.pathmtu.known import Evidence, Known
from wgnode.pathmtu.ladder import ETHERNET
from wgnode.pathmtu.sizes import inner_of
from wgnode.protocol.endpoint import Endpoint
from wgnode.protocol.peer import Peer
from wgnode.protocol.plane import Limit

CAREFUL = {4: 576, 6: 1280}
"""Wire bytes that every path carries (RFC 791 section 3.1, RFC 8200 section 5): what has DF while nothing is known."""
UNLIMITED = 65535
LARGEST, UNSEARCHED = inner_of(ETHERNET, 4), inner_of(ETHERNET, 6)
"""MTUs of a tunnel where nobody says another: what the usual wire takes over IPv4, for those who find where that is too
much; and over either family, for all others."""


def limit_of(known: Known, family: int) -> Limit:
    """Where something vouches for a size, or once did."""
    inner, careful = inner_of(known.size, family), inner_of(CAREFUL[family], family)
    return Limit(inner, inner if known.evidence is Evidence.PROBE else min(careful, inner))


def unvouched(family: int, *, by_itself: bool, asked: bool) -> Limit:
    """Where nothing ever did. Nobody is held to a size that nothing vouches for, where somebody has set the interface's
    MTU. Where it is so large `by_itself`, for other peers, a peer has of it what the usual wire takes while it is
    `asked`, and what any family takes if it can't be, or does not answer."""
    careful = inner_of(CAREFUL[family], family)
    return Limit((inner_of(ETHERNET, family) if asked else UNSEARCHED) if by_itself else UNLIMITED, careful)


def family_of(endpoint: Endpoint) -> int:
    return 6 if ":" in endpoint.address else 4


def target_of(peer: Peer) -> bytes | None:
    """The peer's tunnel address: as configured, or its only /32, or its only /128."""
    if peer.probe is not None:
        return peer.probe
    hosts = [network.network_address.packed for network in peer.allowed_ips if network.num_addresses == 1]
    for length in (4, 16):
        if len(found := [host for host in hosts if len(host) == length]) == 1:
            return found[0]
    return None
