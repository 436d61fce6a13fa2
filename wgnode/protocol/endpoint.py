"""Where datagrams come from and go to."""

from __future__ import annotations

from typing import NamedTuple


class Endpoint(NamedTuple):
    """A peer's outer address: IP text (IPv4 or IPv6, link-local ones with "%scope") and UDP port.

    `source` is the local address that the peer wrote to, for shells that reply from it; None leaves the choice to
    the routing table. The protocol carries it along and forgets it where the whitepaper wants another path tried.
    """

    address: str
    port: int
    source: str | None = None

    def __str__(self) -> str:
        """As `wg` writes it: 192.0.2.1:51820 or [2001:db8::1]:51820."""
        return f"[{self.address}]:{self.port}" if ":" in self.address else f"{self.address}:{self.port}"
