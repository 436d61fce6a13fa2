"""What a device tells whoever keeps something for each peer's path, such as its MTU: wgnode/io/paths.py."""

from __future__ import annotations

from typing import Protocol

from wgnode.protocol.plane import Activity


class PeerEvents(Protocol):
    """Told at once, in the middle of the device's own work: note it, act later. Peers are their numbers."""

    def session(self, peer: int, sends: bool) -> None:
        """It has another session that sends, or none any more."""

    def answered(self, peer: int, round_trip: float) -> None:
        """Our initiation was, after so many seconds."""

    def moved(self, peer: int) -> None:
        """It has another endpoint, or none."""

    def rekeyed(self, peer: int) -> None:
        """Its static keys are others."""

    def routed(self, peer: int) -> None:
        """Its networks, or the address to ask, are others."""

    def removed(self, peer: int) -> None: ...

    def active(self, activity: Activity) -> None:
        """What the plane has sent and received."""


class Unheard:
    """Nobody keeps anything."""

    def session(self, peer: int, sends: bool) -> None: ...

    def answered(self, peer: int, round_trip: float) -> None: ...

    def moved(self, peer: int) -> None: ...

    def rekeyed(self, peer: int) -> None: ...

    def routed(self, peer: int) -> None: ...

    def removed(self, peer: int) -> None: ...

    def active(self, activity: Activity) -> None: ...
