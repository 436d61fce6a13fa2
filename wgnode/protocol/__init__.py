"""Sans-IO WireGuard: everything in is bytes and the time, everything out is bytes and a deadline."""

from wgnode.protocol.device import Device
from wgnode.protocol.endpoint import Endpoint
from wgnode.protocol.peer import Peer

__all__ = ["Device", "Endpoint", "Peer"]
