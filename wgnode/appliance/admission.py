"""Which devices are let in: not those whose time is over, by the gateway's own clock, so that no `up` has to say so,
nor those whose address another machine of the LAN has."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

from wgnode.appliance.log import Log
from wgnode.io.loop import Loop, Timer
from wgnode.io.shell import Shell
from wgnode.nodeconfig import NodeConfig, PeerConfig

LOOK_AGAIN = 30.0
"""Seconds at most: the wall clock may be set meanwhile, also back."""


def due(devices: Iterable[PeerConfig], wall: float) -> tuple[list[PeerConfig], float | None]:
    """Those whose time is over at `wall` (seconds since 1970), and when that of the next one is."""
    limited = [(each.expires, each) for each in devices if each.expires is not None]
    over = [each for expires, each in limited if expires <= wall]
    return over, min((float(expires) for expires, _ in limited if expires > wall), default=None)


class Admission:
    """`wall` gives seconds since 1970. `taken` are the names of devices whose address is another machine's."""

    def __init__(self, loop: Loop, log: Log, wall: Callable[[], float] = time.time) -> None:
        self._loop, self._log, self._wall = loop, log, wall
        self._shell: Shell | None = None
        self._devices: tuple[PeerConfig, ...] = ()
        self._timer: Timer | None = None
        self.taken: frozenset[str] = frozenset()

    def watch(self, shell: Shell, config: NodeConfig) -> None:
        """From now on those of this configuration."""
        self._shell, self._devices = shell, config.devices
        self.look()

    def look(self) -> None:
        """Now, and again when the next is due; for whoever has set the clock, or changed what is taken, too."""
        if self._timer is not None:
            self._timer.cancel()
        if self._shell is None:
            return
        wall = self._wall()
        over, following = due(self._devices, wall)
        why = dict.fromkeys(self.taken, "its address is another machine's") | {each.name: "expired" for each in over}
        for each in self._devices:
            self._close(self._shell, each, why.get(each.name))
        if any(each.expires is not None for each in self._devices):
            rest = LOOK_AGAIN if following is None else min(LOOK_AGAIN, following - wall)
            self._timer = self._loop.call_later(rest, self.look)

    def _close(self, shell: Shell, each: PeerConfig, why: str | None) -> None:
        peer = shell.device.peer(each.public_keys[0])
        if peer is not None and peer.closed != (why is not None):
            shell.device.set_closed(peer, why is not None)
            self._log.info(f"{each.name} is refused: {why}" if why else f"{each.name} may connect again")
