"""Outer datagrams over IPv6 that are longer than what was found to pass, of which the kernel knows nothing.

Where there is no socket for that, they go as others that may be fragmented: by what the machine knows of the way.
"""

from __future__ import annotations

import contextlib
import socket

from wgnode.platform import Fragmenter, SocketOptions
from wgnode.protocol.endpoint import Endpoint

OUTER = 48
"""Bytes of IPv6 and UDP header."""
KNOWN_SOURCES = 256

Address = tuple[str, int] | tuple[str, int, int, int]
"""Of a socket; a scope comes last."""


class Cuts:
    """`port` is ours. Which sizes are known, `set` says; of what is not known, nothing is cut. `options` None: nothing
    ever."""

    def __init__(self, port: int, options: SocketOptions | None, fwmark: int = 0) -> None:
        self._port, self._options, self._fwmark = port, options, fwmark
        self._sizes: dict[tuple[str, int], int] = {}
        self._sources: dict[Address, bytes] = {}
        self._fragmenter: Fragmenter | None = None
        if options is not None:
            with contextlib.suppress(OSError):
                self._fragmenter = options.fragmenter(fwmark)

    @property
    def descriptor(self) -> int | None:
        """Of the socket that sends fragments; None where there is none."""
        return None if self._fragmenter is None else self._fragmenter.fileno()

    def set(self, endpoint: Endpoint, size: int | None) -> None:
        """Wire bytes that are known to pass to this endpoint, None for not known."""
        if size is None:
            self._sizes.pop(endpoint[:2], None)
        else:
            self._sizes[endpoint[:2]] = size

    def routing_changed(self) -> None:
        self._sources.clear()

    def mark(self, fwmark: int) -> None:
        """Of what is sent from now on. Raises OSError."""
        if self._fragmenter is not None:
            self._fragmenter.mark(fwmark)
        self._fwmark = fwmark
        self._sources.clear()

    def close(self) -> None:
        if self._fragmenter is not None:
            self._fragmenter.close()
        self._fragmenter = None

    def send(self, data: bytes, endpoint: Endpoint, sticky: bool, to: Address) -> bool:
        """False where it is not for us to send. `sticky`: from the endpoint's source. Raises OSError."""
        size = self._sizes.get(endpoint[:2])
        fragmenter = self._fragmenter
        if fragmenter is None or size is None or len(data) + OUTER <= size:
            return False
        source = endpoint.source if sticky else None
        ours = self._source(to) if source is None else socket.inet_pton(socket.AF_INET6, source)
        scope = to[3] if len(to) == 4 else 0
        fragmenter.send(data, (self._port, endpoint.port), ours, (to[0], scope), size)
        return True

    def _source(self, to: Address) -> bytes:
        """Which of our addresses the routing table takes for it: the checksum is over that too."""
        known = self._sources.get(to)
        if known is None:
            with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as asking:
                if self._fwmark and self._options is not None:
                    self._options.mark(asking, self._fwmark)
                asking.connect(to)
                known = socket.inet_pton(socket.AF_INET6, asking.getsockname()[0].partition("%")[0])
            if len(self._sources) >= KNOWN_SOURCES:
                self._sources.clear()
            self._sources[to] = known
        return known
