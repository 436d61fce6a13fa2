"""What follows from what is known of a way, and whom to ask about it. Pure."""

from __future__ import annotations

from wgnode.pathmtu.known import Evidence, Known
from wgnode.pathmtu.sizes import inner_of
from wgnode.protocol.endpoint import Endpoint
from wgnode.protocol.peer import Peer
from wgnode.protocol.plane import Limit

CAREFUL = {4: 576, 6: 1280}
"""Wire bytes that every path carries (RFC 791 section 3.1, RFC 8200 section 5): what has DF while nothing is known."""
UNLIMITED = 65535


def limit_of(known: Known, family: int, *, vouched: bool) -> Limit:
    """`vouched`: something once did for a size. Nobody is held to one that nothing ever did."""
    inner, careful = inner_of(known.size, family), inner_of(CAREFUL[family], family)
    if known.evidence is Evidence.PROBE:
        return Limit(inner, inner)
    return Limit(inner, min(careful, inner)) if vouched else Limit(UNLIMITED, careful)


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
