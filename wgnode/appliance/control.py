"""The gateway's end of the control channel: answers the host, and tells it what happens here."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from wgnode.appliance import heard
from wgnode.appliance.heard import Configure, Greet, Health, Learned, Probe, Refused, Resume, Time, Uapi
from wgnode.appliance.log import Log
from wgnode.io.control import FrameError, Message
from wgnode.io.loop import Loop
from wgnode.platform import Line, Platform

HEARTBEAT = 1.0
"""Seconds between signs of life."""
PATIENCE = 2.0
"""Seconds that the node waits for what the host remembers of its predecessor, before it starts without."""
LARGEST_CORRECTION = 1.0
"""Seconds; a step of the clock beyond this is worth a line in the log."""


class Answers(Protocol):
    """Who knows the answers (the gateway)."""

    def uapi(self, text: str, reply: Callable[[str], None]) -> None: ...

    def health(self, reply: Callable[[dict[str, Any]], None]) -> None: ...

    def hello(self) -> dict[str, Any]: ...

    def clock_set(self) -> None: ...

    def heartbeat(self) -> dict[str, Any]: ...

    def begin(
        self,
        floor: int = 0,
        endpoints: Mapping[str, str] | None = None,
        learned: Mapping[str, Sequence[Learned]] | None = None,
    ) -> None: ...

    def configure(self, config: str, secrets: str, reply: Callable[[dict[str, Any]], None]) -> None: ...

    def probe(self, peer: str | None, reply: Callable[[dict[str, Any]], None], fresh: bool) -> None: ...


class Control:
    """Talks with the host as soon as that is there. Where the platform knows none, the node begins at once."""

    def __init__(self, loop: Loop, log: Log, answers: Answers, platform: Platform) -> None:
        self.loop, self.log, self.answers, self.platform = loop, log, answers, platform
        self.line: Line | None = None
        self._owed = 0
        if platform.control is not None:
            self.line = platform.control(loop, self._received, self._greet)
        self._heartbeat()
        loop.call_later(0 if self.line is None else PATIENCE, lambda: self._resume(Resume()))

    def _greet(self) -> None:
        self._send({"type": "hello", **self.answers.hello()})
        self.log.sink = self._send_log
        self.log.drain()

    def _send_log(self, level: str, text: str) -> bool:
        return self._send({"type": "log", "level": level, "text": text})

    def _send(self, message: Message) -> bool:
        return self.line is not None and self.line.send(message)

    def _heartbeat(self) -> None:
        if self.platform.machine is not None:
            self.platform.machine.alive()
        self._send({"type": "heartbeat", **self.answers.heartbeat()})
        self.loop.call_later(HEARTBEAT, self._heartbeat)

    def _received(self, body: bytes) -> None:
        """Messages that this version doesn't know are ignored: a newer host may send them."""
        try:
            said = heard.parse(body)
        except Refused as error:
            return self.log.warning(f"the host said what is not understood: {error}")
        if isinstance(said, Time):
            self._set_clock(said.unix_ns)
        elif isinstance(said, Resume):
            self._resume(said)
        elif isinstance(said, Greet):
            self._greet()
        elif isinstance(said, Uapi):
            reply = self._owe(said.id)
            self.answers.uapi(said.text, lambda text: reply({"text": text}))
        elif isinstance(said, Configure):
            self.answers.configure(said.config, said.secrets, self._owe(said.id))
        elif isinstance(said, Probe):
            self.answers.probe(said.peer, self._owe(said.id), said.fresh)
        elif isinstance(said, Health):
            reply = self._owe(said.id)
            self.answers.health(lambda health: reply({"health": health}))

    def _set_clock(self, unix_ns: int) -> None:
        if self.platform.set_clock is None:
            return
        try:
            off = self.platform.set_clock(unix_ns)
        except OSError as error:
            return self.log.warning(f"the clock can't be set to the host's: {error.strerror}")
        if abs(off) > LARGEST_CORRECTION:
            self.log.info(f"clock was {off:+.3f} s off the host's")
            self.answers.clock_set()

    def _resume(self, said: Resume) -> None:
        """The host's clock and memory come before the first handshake; a node that can't begin greets as failed."""
        if said.unix_ns is not None:
            self._set_clock(said.unix_ns)
        if said.skipped:
            self.log.warning(f"of what the host remembers, skipped: {'; '.join(said.skipped)}")
        was = self.answers.hello()
        self.answers.begin(said.floor, said.endpoints, said.learned)
        if self.answers.hello() != was:
            self._greet()

    def _owe(self, number: Any) -> Callable[[dict[str, Any]], None]:
        """The reply, due now or later. Until then nothing is read: requests wait in the host's memory, not ours."""
        self._owed += 1

        def reply(content: dict[str, Any]) -> None:
            self._owed -= 1
            if not self._owed and self.line is not None:
                self.line.listen(True)
            self._reply(number, content)

        if self.line is not None:
            self.line.listen(False)
        return reply

    def _reply(self, number: Any, content: dict[str, Any]) -> None:
        try:
            sent = self._send({"type": "reply", "id": number, **content})
        except FrameError as error:
            sent = self._send({"type": "reply", "id": number, "error": str(error)})
        if not sent:
            self.log.warning("an answer did not reach the host, which reads too slowly")
