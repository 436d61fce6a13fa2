"""hostd: everything that a host does for its gateway while it runs."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wgnode.hostd import endpoints, live, state
from wgnode.hostd.guest import GuestLink
from wgnode.hostd.lines import LineListener, Reply
from wgnode.hostd.notify import Notifier
from wgnode.io.control import Message
from wgnode.io.loop import Loop
from wgnode.io.uapi_socket import UapiListener

UAPI_NAME = "uapi"
"""The socket's name in our own directory; a link with the gateway's name leads to it from where `wg` looks."""
TIME_INTERVAL = 60.0
POLL_INTERVAL = 30.0
BOOT_LIMIT = 120.0
"""Seconds that a guest may take from its start to its first word."""
NO_ANSWER = "errno=-110\n\n"
"""ETIMEDOUT, as UAPI says it."""
NO_GUEST = "errno=-19\n\n"
"""ENODEV."""
PRIORITY = {"error": "<3>", "warning": "<4>", "info": "<6>"}
"""What journald understands at the beginning of a line."""


@dataclass(frozen=True)
class Places:
    """`run` holds the sockets, `state` what is kept."""

    name: str
    run: Path
    state: Path


class Hostd:
    """`wall` is the host's clock in nanoseconds since 1970, `say` prints one line."""

    def __init__(
        self,
        loop: Loop,
        places: Places,
        notifier: Notifier,
        *,
        say: Callable[[str], None],
        wall: Callable[[], int] = time.time_ns,
    ) -> None:
        self.loop, self.places, self.notifier, self.say, self.wall = loop, places, notifier, say, wall
        self.kept = state.StateFile(places.state)
        self.named: dict[str, str] = {}
        self.applied: dict[str, str] = {}
        self.handshakes: dict[str, float | None] = {}
        self._problems: list[str] = []
        self.resolver = endpoints.Resolver(loop, self._resolved)
        self.guest = GuestLink(loop, places.run / "control.sock", self._told, self._warn)
        self.uapi = UapiListener(loop, UAPI_NAME, self._uapi, directory=places.run)
        self.lines = LineListener(loop, places.run / "hostd.sock", self._asked)
        self._status = ""
        self._tick()
        self._send_time()
        self._poll()
        notifier.ready()

    def close(self) -> None:
        self.notifier.stopping()
        self._keep({})
        self.lines.close()
        self.uapi.close()
        self.guest.close()

    # What the guest tells

    def _told(self, message: Message) -> None:
        if message["type"] == "log":
            self.say(f"{PRIORITY.get(str(message.get('level')), '<6>')}guest: {message.get('text')}")
        elif message["type"] == "heartbeat":
            self.kept.stamped(int(message.get("tai64n", 0)))
        elif message["type"] == "hello":
            self._greeted(message)

    def _greeted(self, hello: Message) -> None:
        error = hello.get("error")
        self.say(
            f"<6>guest greets: {hello.get('name')}, version {hello.get('version')}" if not error else f"<3>{error}"
        )
        self.applied = {}
        self._name(hello)
        self._resume()
        self._resolve()
        self._poll_once()

    def _name(self, message: Message) -> None:
        """Which endpoints are names now; one that was resolved for a name that stays is not set again."""
        named = message.get("endpoints")
        former, self.named = self.named, named if isinstance(named, dict) else {}
        self.applied = {key: at for key, at in self.applied.items() if self.named.get(key) == former.get(key)}

    def _resume(self) -> None:
        """Tell a guest that has just booted what its predecessor knew: the time, and where its peers were.

        One behind a NAT can't be called otherwise. A node that runs takes the endpoints of peers that have none.
        """
        wall = self.wall()
        known = endpoints.remembered(self.kept.peers, self.named, wall / 1e9)
        self.guest.send({"type": "resume", "unix_ns": wall, "tai64n": self.kept.floor, "endpoints": known})

    # What clients ask

    def _uapi(self, text: str, reply: Callable[[str], None]) -> None:
        if self.guest.status in ("stopped", "booting"):
            return reply(NO_GUEST)
        self.guest.request(
            {"type": "uapi", "text": text},
            lambda answer: reply(NO_ANSWER if answer is None else str(answer.get("text", NO_ANSWER))),
        )

    def _asked(self, question: dict[str, Any], reply: Reply) -> None:
        if question.get("type") == "apply":
            return live.apply(self.guest, lambda answer: self._applied(answer, reply))
        if question.get("type") != "health":
            return reply({"error": f"unknown question {question.get('type')!r}"})
        own = {"name": self.places.name, "status": self.guest.status, "error": None}
        if own["status"] in ("stopped", "booting"):
            return reply({**own, "error": f"the guest is {own['status']}"})

        def answered(answer: Message | None) -> None:
            health = None if answer is None else answer.get("health")
            if isinstance(health, dict):
                self._learn(health)
                reply({**own, **health})
            else:
                reply({**own, "status": "silent", "error": "the guest does not answer"})

        self.guest.request({"type": "health"}, answered)

    def _applied(self, answer: dict[str, Any], reply: Reply) -> None:
        if "endpoints" in answer:
            self._name(answer)
            self._resume()  # for a peer that is back
            self._resolve()
        reply({name: value for name, value in answer.items() if name != "endpoints"})

    # What happens by itself

    def _tick(self) -> None:
        """Feed the watchdog while there is life, or nothing to watch."""
        status = self.guest.status
        if status != self._status:
            self._status = status
            self.notifier.status(f"guest {status}")
        if self._lively(status):
            self.notifier.feed()
        self.loop.call_later(min(5.0, (self.notifier.watchdog or 20.0) / 4), self._tick)

    def _lively(self, status: str) -> bool:
        if status == "booting" and self.guest.connected_at is not None:
            return self.loop.now() - self.guest.connected_at < BOOT_LIMIT
        return status != "silent"

    def _send_time(self) -> None:
        if self.guest.hello is not None:
            self._set_guest_time()
        self.loop.call_later(TIME_INTERVAL, self._send_time)

    def _set_guest_time(self) -> None:
        self.guest.send({"type": "time", "unix_ns": self.wall()})

    def _poll(self) -> None:
        self._poll_once()
        self._resolve()
        self.loop.call_later(POLL_INTERVAL, self._poll)

    def _poll_once(self) -> None:
        self.guest.request({"type": "health"}, self._polled)

    def _polled(self, answer: Message | None) -> None:
        health = None if answer is None else answer.get("health")
        if isinstance(health, dict):
            self._learn(health)

    def _learn(self, health: dict[str, Any]) -> None:
        self.handshakes = {peer["public_key"]: peer["last_handshake"] for peer in health.get("peers", [])}
        self._keep(state.of_health(health))

    def _keep(self, peers: dict[str, Any]) -> None:
        try:
            self.kept.update(peers)
        except OSError as error:
            self._warn(f"state is not kept: {error}")

    def _resolve(self) -> None:
        if self.named:
            self.resolver.ask(sorted(set(self.named.values())))

    def _resolved(self, found: endpoints.Resolved, problems: list[str]) -> None:
        if problems and problems != self._problems:
            self._warn(f"endpoint names that don't resolve: {'; '.join(problems)}")
        self._problems = problems
        wall = self.wall() / 1e9
        for key, address in endpoints.due(self.named, found, self.applied, self.handshakes, wall).items():
            self.applied[key] = address
            self.say(f"<6>endpoint {self.named[key]} is {address}")
            self.guest.request({"type": "uapi", "text": endpoints.set_request(key, address)}, _ignore)

    def _warn(self, text: str) -> None:
        self.say(f"<4>{text}")


def _ignore(_: Message | None) -> None:
    """A refusal shows in the guest's own log."""
