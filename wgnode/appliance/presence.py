"""The addresses of users' devices in the LAN: taken, answered for and watched there, as long as a device has them."""

from __future__ import annotations

import os
from collections.abc import Callable
from ipaddress import IPv6Address, ip_network

from wgnode.appliance.log import Log
from wgnode.io.loop import Loop, Timer
from wgnode.nodeconfig import NodeConfig
from wgnode.platform import Neighbours
from wgnode.responder.guard import Guard
from wgnode.responder.packets import Address, solicited_node

READ_AT_ONCE = 64


def _random() -> float:
    """0 to 1, without a module that a gateway would have for this alone."""
    return int.from_bytes(os.urandom(4), "big") / 2**32


class Presence:
    """`on_taken` hears of the devices, by name, whose addresses other machines have, whenever that changes."""

    def __init__(
        self,
        loop: Loop,
        log: Log,
        open_wire: Callable[[], Neighbours] | None,
        on_taken: Callable[[frozenset[str]], None],
    ) -> None:
        self._loop, self._log, self._open, self._on_taken = loop, log, open_wire, on_taken
        self._card: _Card | None = None
        self._owners: dict[Address, str] = {}
        self._taken: dict[Address, bytes] = {}
        self._shut_out = frozenset[str]()

    def watch(self, config: NodeConfig) -> None:
        """Exactly the addresses of its devices from now on. Without any, nothing of the LAN is listened to."""
        self._owners = {
            ip_network(network).network_address: each.name for each in config.devices for network in each.allowed_ips
        }
        if self._owners and self._card is None:
            self._card = self._begin(config)
        if self._card is not None:
            self._card.hold(self._owners)

    def told(self) -> dict[str, dict[str, str]]:
        """By address that another machine has: whose it should be, and the machine's MAC."""
        return {
            str(address): {"device": self._owners[address], "mac": mac.hex(":")} for address, mac in self._taken.items()
        }

    def _begin(self, config: NodeConfig) -> _Card | None:
        if self._open is None:
            return None
        try:
            wire = self._open()
        except OSError as error:
            self._log.error(f"nobody answers for devices' addresses in the LAN: {error}")
            return None
        guard = Guard(bytes.fromhex(config.lan.mac.replace(":", "")), _random)
        return _Card(self._loop, wire, guard, self._look)

    def _look(self, taken: dict[Address, bytes]) -> None:
        former, self._taken = self._taken, taken
        for address in taken.keys() - former.keys():
            mac = taken[address].hex(":")
            self._log.warning(f"{self._owners[address]}: {address} is {mac}'s in the LAN; the device is shut out")
        for address in former.keys() & self._owners.keys() - taken.keys():
            self._log.info(f"{self._owners[address]}: {address} is nobody else's any more")
        shut_out = frozenset(self._owners[address] for address in taken)
        if shut_out != self._shut_out:  # also where one has another name
            self._shut_out = shut_out
            self._on_taken(shut_out)


class _Card:
    """A guard at the LAN's card. `look` sees which addresses are taken after all that happens there."""

    def __init__(
        self, loop: Loop, wire: Neighbours, guard: Guard, look: Callable[[dict[Address, bytes]], None]
    ) -> None:
        self._loop, self._wire, self._guard, self._look = loop, wire, guard, look
        self._timer: Timer | None = None
        for fd in wire.fds:
            loop.add_reader(fd, self._readable)

    def hold(self, addresses: dict[Address, str]) -> None:
        self._wire.join(solicited_node(one) for one in addresses if isinstance(one, IPv6Address))
        self._guard.want(addresses, self._loop.now())
        self._flush()

    def _readable(self) -> None:
        for frame in self._wire.read(READ_AT_ONCE):
            self._guard.receive(frame, self._loop.now())
        self._flush()

    def _due(self) -> None:
        self._guard.handle_timer(self._loop.now())
        self._flush()

    def _flush(self) -> None:
        """A frame that can't be sent is lost, as on a wire."""
        for frame in self._guard.frames_to_send():
            self._wire.send(frame)
        if self._timer is not None:
            self._timer.cancel()
        if (due := self._guard.next_deadline()) is not None:
            self._timer = self._loop.call_at(due, self._due)
        self._look(self._guard.taken)
