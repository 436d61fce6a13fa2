"""The peers whose endpoints are names: their names are asked for, and the guest is told which address has its turn."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from wgnode.hostd import endpoints, turns
from wgnode.hostd.said import Health
from wgnode.hostd.turns import Seen, Turn
from wgnode.io.loop import Loop


class NamedPeers:
    """By public key. `set_endpoint(key, address)` tells the guest; `wall` is the clock in seconds since 1970."""

    def __init__(
        self,
        loop: Loop,
        set_endpoint: Callable[[str, str], None],
        say: Callable[[str], object],
        wall: Callable[[], float],
    ) -> None:
        self.set_endpoint, self.say, self.wall = set_endpoint, say, wall
        self.named: dict[str, str] = {}
        self._resolved: endpoints.Resolved = {}
        self._problems: dict[str, str] = {}
        self._turns: dict[str, Turn] = {}
        self._seen: dict[str, Seen] = {}
        self._resolver = endpoints.Resolver(loop, self._answered)

    def rename(self, named: Mapping[str, str]) -> None:
        """Which endpoints are names now; a turn goes on where the name stays."""
        self._turns = {key: turn for key, turn in self._turns.items() if named.get(key) == self.named.get(key)}
        self.named = dict(named)
        names = set(named.values())
        self._resolved = {name: found for name, found in self._resolved.items() if name in names}
        self._problems = {name: problem for name, problem in self._problems.items() if name in names}

    def another_guest(self) -> None:
        """It knows nothing of what was set in the one before."""
        self._turns, self._seen = {}, {}

    def ask(self) -> None:
        """For all names; those that are known are used meanwhile."""
        self._resolver.ask(self.named.values())
        self._set()

    def learn(self, health: Health) -> None:
        sent = {peer["public_key"]: peer.get("tx_bytes") for peer in health.report.get("peers", ())}
        self._seen = {
            key: Seen(place.endpoint, place.last_handshake, sent.get(key)) for key, place in health.places.items()
        }
        self._turns = turns.renewed(self._turns, self._seen, self.wall())
        self._set()

    def _answered(self, found: endpoints.Resolved, problems: dict[str, str]) -> None:
        for name, problem in problems.items():
            if self._problems.get(name) != problem:
                self.say(f"<4>endpoint name {name} does not resolve: {problem}")
        names = set(self.named.values())
        self._problems |= problems
        for name in found.keys() & names:
            self._problems.pop(name, None)
            self._resolved[name] = found[name]
        self._set()

    def _set(self) -> None:
        now = self.wall()
        for key, address in turns.due(self.named, self._resolved, self._turns, self._seen, now).items():
            peer = self._seen.get(key)
            self._turns[key] = Turn(address, now, None if peer is None else peer.sent)
            if peer is not None:
                self._seen[key] = replace(peer, endpoint=address)
            self.say(f"<6>endpoint {self.named[key]} is {address}")
            self.set_endpoint(key, address)
