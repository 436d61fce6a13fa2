"""Sizes of packets by the configuration alone, where no way is searched and the kernel has no routes with MTUs.

What Linux does with a route's MTU, the node then does itself: a packet that is too long for its peer is fragmented or
answered with the MTU, and TCP's MSS in what comes out of the tunnel is clamped (docs/decisions/path-mtu-search.md).
"""

from __future__ import annotations

from wgnode.io.shell import Shell
from wgnode.nodeconfig import NodeConfig
from wgnode.protocol.plane import Limit

WHOLE = 65535
"""Bytes: nothing goes by sockets that fragment, since there are no others."""


def keep_to(shell: Shell, config: NodeConfig) -> None:
    """From now on, for each peer; nothing is done where the platform knows of routes, or the plane keeps no limits."""
    device = shell.device
    if shell.platform.routing is not None or not device.plane.keeps_limits:
        return
    for each in config.everybody:
        peer = device.peer(each.public_keys[0])
        if peer is not None:
            device.set_limit(peer, Limit(min(config.mtu, each.mtu or config.mtu), WHOLE))
