"""Who moves packets between the TUN and the sockets of a shell: one for each data plane, in wgnode.dataplane."""

from __future__ import annotations

from collections import Counter
from typing import Protocol


class PlaneDied(RuntimeError):
    """No packet moves any more; the text says why. Only a new start helps."""


class PacketIO(Protocol):
    """Works from its making to `close`, on the shell's loop."""

    def sockets_changed(self) -> None:
        """The shell has other sockets now, or none."""

    def routing_changed(self) -> None: ...

    def sent(self) -> None:
        """The shell has sent what there was, and delivers after this: answers to that have to find what has changed."""

    def pause(self) -> None:
        """No packet moves until `resume`: what is changed meanwhile takes effect on packets as one."""

    def resume(self) -> None: ...

    @property
    def counters(self) -> Counter[str]:
        """What the kernel refused without our sockets and TUN knowing: "tun ENOSPC", "udp EMSGSIZE"..."""

    def close(self) -> None: ...
