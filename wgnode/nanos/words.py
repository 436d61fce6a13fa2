"""What the image's manifest tells the program by its environment, for who writes it and who reads it. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface
from typing import TypeVar

Value = TypeVar("Value")

CONTROL_PORT = 51819
"""TCP, on the transit link only; a listen port of WireGuard is UDP, so both may have the same number."""
SHARE = "/cfg"
"""Where the 9P share is mounted."""
TRANSIT, NEXT_HOP, LAN, PORT, UNPROVEN = (
    "WGNODE_TRANSIT",
    "WGNODE_NEXT_HOP",
    "WGNODE_LAN",
    "WGNODE_CONTROL_PORT",
    "WGNODE_FORWARDING",
)
FOLDER = "WGNODE_SHARE"


@dataclass(frozen=True)
class Environment:
    """`transit` and `lan` are the cards' addresses as the image has them, `next_hop` the host's on the transit link.

    `unproven`: forwarding is taken for given, for a kernel that does not answer as forward.py expects.
    """

    transit: IPv4Interface
    next_hop: IPv4Address
    lan: IPv4Interface
    port: int = CONTROL_PORT
    share: str = SHARE
    unproven: bool = False

    @property
    def control(self) -> tuple[str, int]:
        return str(self.transit.ip), self.port

    @property
    def hosts(self) -> frozenset[str]:
        """Who may talk to the control port."""
        return frozenset({str(self.next_hop)})

    def to_dict(self) -> dict[str, str]:
        """As `read` understands it; what is as ever is left out."""
        told = {TRANSIT: str(self.transit), NEXT_HOP: str(self.next_hop), LAN: str(self.lan)}
        if self.port != CONTROL_PORT:
            told[PORT] = str(self.port)
        if self.share != SHARE:
            told[FOLDER] = self.share
        return told | ({UNPROVEN: "unproven"} if self.unproven else {})

    @classmethod
    def read(cls, given: Mapping[str, str]) -> Environment:
        """Raises ValueError, naming the variable."""
        return cls(
            _of(given, TRANSIT, IPv4Interface),
            _of(given, NEXT_HOP, IPv4Address),
            _of(given, LAN, IPv4Interface),
            _of(given, PORT, int) if PORT in given else CONTROL_PORT,
            given.get(FOLDER, SHARE),
            given.get(UNPROVEN) == "unproven",
        )


def _of(given: Mapping[str, str], name: str, kind: Callable[[str], Value]) -> Value:
    try:
        return kind(given[name])
    except KeyError:
        raise ValueError(f"{name} is not in the environment: was this image made by `wgnode image nanos`?") from None
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None
