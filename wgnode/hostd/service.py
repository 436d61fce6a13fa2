"""hostd: everything that a host does for its gateway while it runs."""

from __future__ import annotations

import errno
import re
import time
from collections.abc import Callable

from wgnode.hostd import endpoints, state
from wgnode.hostd.background import Background
from wgnode.hostd.guest import Content, GuestLink
from wgnode.hostd.layer import ConfigLayer
from wgnode.hostd.ledger import Ledger
from wgnode.hostd.lines import LineListener
from wgnode.hostd.naming import NamedPeers
from wgnode.hostd.notify import Notifier
from wgnode.hostd.pathmemory import PathMemory
from wgnode.hostd.places import Places
from wgnode.hostd.questions import Questions
from wgnode.hostd.rates import Bucket
from wgnode.hostd.said import Failure, Health, Heartbeat, Hello, LogLine, Said, UapiText
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
LARGEST_UAPI = 4 << 20
"""Bytes of a request: 10,000 peers are 3 MB, and what more becomes on its way would not fit into the guest's memory."""
NO_UAPI = re.compile(r"[^\n -~]")
LINES = (20.0, 600.0)
"""Of the guest's log in the journal: a second, and at once. A guest boots with at most 500 that wait."""
GREETINGS = (0.5, 10.0)
"""Each makes a few lines and questions; one that comes after too many only counts for what it says."""
MOST_WRITES = 8
"""Contents of what is kept that may wait for a slow disk."""
STEP = 10**9
"""Nanoseconds; a clock that was set by more is told to the guest at once."""
PRIORITY = {"error": "<3>", "warning": "<4>", "info": "<6>"}
"""What journald understands at the beginning of a line."""


class Hostd:
    """`wall` is the host's clock in nanoseconds since 1970, `say` prints one line."""

    def __init__(
        self,
        loop: Loop,
        places: Places,
        notifier: Notifier,
        *,
        say: Callable[[str], object],
        wall: Callable[[], int] = time.time_ns,
    ) -> None:
        self.loop, self.places, self.notifier, self.say, self.wall = loop, places, notifier, say, wall
        self.background = Background(MOST_WRITES)
        self.layer = ConfigLayer(lambda: places.config, self._warn)
        self.kept = state.StateFile(places.state, wall(), self._warn, self.background.do)
        self.paths = PathMemory(places.state, self.kept.latest, self._warn, self.background.do)
        self.ledger = Ledger(places.state, lambda: self._latest() / 1e9, self._warn, self.background.do)
        self._lines, self._greetings = Bucket(*LINES), Bucket(*GREETINGS)
        self._left_out = 0
        self._connected_at: float | None = None
        self._doubted = False
        self._offset = self._clock_offset()
        self.peers = NamedPeers(loop, self._set_endpoint, say, lambda: wall() / 1e9)
        self.guest = GuestLink(loop, places.controls, self._told, self._warn, self._latest)
        self.uapi = UapiListener(loop, UAPI_NAME, self._uapi, directory=places.run, largest=LARGEST_UAPI)
        self.questions = Questions(places, self.guest, self.layer, self.ledger, self._ask_health, self._applied)
        self.lines = LineListener(loop, places.run / "hostd.sock", self.questions.asked)
        self._status = ""
        self._tick()
        self._send_time()
        self._poll()
        notifier.ready()

    def close(self) -> None:
        self.notifier.stopping()
        self.kept.save()
        self.paths.save()
        self.ledger.save(at_once=True)
        self.lines.close()
        self.uapi.close()
        self.guest.close()
        self.background.close()

    def _latest(self) -> int:
        return self.kept.clock(self.wall())

    # What the guest tells

    def _told(self, message: Said) -> None:
        if isinstance(message, LogLine):
            self._log(message)
        elif isinstance(message, Heartbeat):
            self._stamped(message)
        elif isinstance(message, Hello):
            self._greeted(message)

    def _log(self, line: LogLine) -> None:
        if not self._lines.offer(self.loop.now()):
            self._left_out += 1
            return
        if self._left_out:
            self._warn(f"{self._left_out} lines of the guest were left out, because it wrote too many")
            self._left_out = 0
        self.say(f"{PRIORITY[line.level]}guest: {line.text}")

    def _stamped(self, heartbeat: Heartbeat) -> None:
        """One that is not believed is a sign of life all the same: the node may run, and its clock is set by us."""
        self.ledger.alive(self.guest.connected_at)
        if heartbeat.tai64n is not None:
            self.kept.stamped(heartbeat.tai64n)
        elif not self._doubted:
            self._warn("the guest's time stamps are more than an hour beyond this host's clock, and are not kept")
        self._doubted = heartbeat.tai64n is None

    def _greeted(self, hello: Hello) -> None:
        if self._connected_at != self.guest.connected_at:  # another machine
            self._connected_at, self._greetings = self.guest.connected_at, Bucket(*GREETINGS)
        if not self._greetings.offer(self.loop.now()):
            return
        greeting = f"<6>guest greets: {hello.name}, version {hello.version}"
        self.say(f"<3>guest: {hello.error}" if hello.error else greeting)
        self.peers.another_guest()
        self.peers.rename(self.layer.named())
        self._resume()
        self.peers.ask()
        self._poll_once()

    def _resume(self) -> None:
        """Tell a guest that has just booted what its predecessor knew: the time, where its peers were, and what passed.

        One behind a NAT can't be called otherwise. A node that runs takes the endpoints of peers that have none.
        """
        wall = self.wall()
        keys = self.layer.keys() or frozenset()
        kept = {key: place for key, place in self.kept.peers.items() if key in keys}
        known = endpoints.remembered(kept, self.peers.named, wall / 1e9)
        told = {"unix_ns": wall, "tai64n": self.kept.floor, "endpoints": known, "path_mtu": self.paths.offered(keys)}
        self.guest.send({"type": "resume", **told})

    # What clients ask

    def _uapi(self, text: str, reply: Callable[[str], None]) -> None:
        if self.guest.status in ("stopped", "booting"):
            return reply(NO_GUEST)
        if NO_UAPI.search(text):
            return reply(f"errno=-{errno.EINVAL}\n\n")
        self.guest.request({"type": "uapi", "text": text}, lambda answer: reply(_uapi_answer(answer)))

    def _applied(self) -> None:
        """The node has another configuration."""
        self.peers.rename(self.layer.named())
        self._resume()  # for a peer that is back
        self.peers.ask()

    # What happens by itself

    def _tick(self) -> None:
        """Feed the watchdog while there is life, or nothing to watch."""
        status = self.guest.status
        if status != self._status:
            self._status = status
            self.notifier.status(f"guest {status}")
            if status == "stopped":
                self.ledger.save(at_once=True)  # there is nobody to read again what was counted
        if self._lively(status):
            self.notifier.feed()
        self._follow_clock()
        self.loop.call_later(min(5.0, (self.notifier.watchdog or 20.0) / 4), self._tick)

    def _lively(self, status: str) -> bool:
        if status == "booting" and self.guest.connected_at is not None:
            return self.loop.now() - self.guest.connected_at < BOOT_LIMIT
        return status != "silent"

    def _send_time(self) -> None:
        if self.guest.hello is not None:
            self._set_guest_time()
        self.loop.call_later(TIME_INTERVAL, self._send_time)

    def _follow_clock(self) -> None:
        """A host's clock that was wrong at its boot is set within a minute; the guest's time stamps should not wait."""
        former, self._offset = self._offset, self._clock_offset()
        if abs(self._offset - former) > STEP and self.guest.hello is not None:
            self._set_guest_time()

    def _clock_offset(self) -> int:
        return self.wall() - int(self.loop.now() * 1e9)

    def _set_guest_time(self) -> None:
        self.guest.send({"type": "time", "unix_ns": self.wall()})

    def _poll(self) -> None:
        self._poll_once()
        self.peers.ask()
        self.loop.call_later(POLL_INTERVAL, self._poll)

    def _poll_once(self) -> None:
        self._ask_health(_ignore)

    def _ask_health(self, answered: Callable[[Content | None], None]) -> None:
        asked = self.wall()

        def judged(answer: Content | None) -> None:
            if isinstance(answer, Health):
                self._learn(answer)
                self._check_clock(asked, answer.report.get("time"))
            answered(answer)

        self.guest.request({"type": "health"}, judged)

    def _check_clock(self, asked: int, told: float | None) -> None:
        """What was told between then and now. On a busy machine the message that set it may have come late."""
        if told is not None and not asked - STEP <= told * 1e9 <= self.wall() + STEP:
            self._set_guest_time()

    def _learn(self, health: Health) -> None:
        """Of the peers that the configuration has: what a guest says of others is passed on, and not kept."""
        self.peers.learn(health)
        self.ledger.heard(health.report, self.layer.config(), self.guest.connected_at)
        keys = self.layer.keys()
        if keys is None:
            self.kept.save()
        else:
            self.kept.update(health.places, keys)
            self.paths.update(health.learned, keys)

    def _set_endpoint(self, key: str, address: str) -> None:
        self.guest.request({"type": "uapi", "text": endpoints.set_request(key, address)}, _ignore)

    def _warn(self, text: str) -> None:
        self.say(f"<4>{text}")


def _uapi_answer(answer: Content | None) -> str:
    if isinstance(answer, UapiText):
        return answer.text
    return f"errno=-{answer.number}\n\n" if isinstance(answer, Failure) else NO_ANSWER


def _ignore(_: Content | None) -> None:
    """A refusal shows in the guest's own log."""
