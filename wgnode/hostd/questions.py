"""What hostd is asked on its own socket, by people's commands and by what deploys gateways: one answer to each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from wgnode.hostd import live
from wgnode.hostd.guest import Content, GuestLink
from wgnode.hostd.layer import ConfigLayer
from wgnode.hostd.ledger import Ledger
from wgnode.hostd.lines import Reply
from wgnode.hostd.places import Places
from wgnode.hostd.said import LONGEST_NAME, Failure, Health, printable

AskHealth = Callable[[Callable[[Content | None], None]], None]
"""Asks the node for its health, learns from it, and hands it on."""


class Questions:
    """`applied` is called when the node has another configuration."""

    def __init__(
        self,
        places: Places,
        guest: GuestLink,
        layer: ConfigLayer,
        ledger: Ledger,
        ask_health: AskHealth,
        applied: Callable[[], None],
    ) -> None:
        self.places, self.guest, self.layer, self.ledger = places, guest, layer, ledger
        self._ask_health, self._applied = ask_health, applied

    def asked(self, question: dict[str, Any], reply: Reply) -> None:
        kind = question.get("type")
        if kind == "apply":
            self._apply(reply)
        elif kind == "probe":
            self._probe(question.get("peer"), question.get("fresh") is True, reply)
        elif kind == "accounts":
            reply(self.ledger.accounts())
        elif kind == "holders":
            reply(self.ledger.holders(question.get("address")))
        elif kind == "health":
            self._health(reply)
        else:
            reply({"error": f"unknown question {kind!r}"})

    def _health(self, reply: Reply) -> None:
        own = {"name": self.places.name, "status": self.guest.status, "error": None}
        if own["status"] in ("stopped", "booting"):
            return reply({**own, "error": f"the guest is {own['status']}"})

        def answered(answer: Content | None) -> None:
            if isinstance(answer, Health):
                return reply({**answer.report, **own, "error": answer.report.get("error")})
            why = answer.error if isinstance(answer, Failure) else "the guest does not answer"
            reply({**own, "status": "silent", "error": why})

        self._ask_health(answered)

    def _apply(self, reply: Reply) -> None:
        """A peer that goes is read before: the node forgets with it what it has counted of it."""
        if self.guest.status == "running" and self.guest.hello and "configure" in self.guest.hello.can:
            self._ask_health(lambda _: self._change(reply))
        else:
            self._change(reply)

    def _change(self, reply: Reply) -> None:
        def answered(answer: dict[str, Any]) -> None:
            self.ledger.changed(answer.get("applied"), self.layer.config(), self.guest.connected_at)
            if "applied" in answer:
                self._applied()
            reply(answer)

        self.ledger.changing()
        live.apply(self.guest, answered, self.places.config, self.places.secrets)

    def _probe(self, peer: object, fresh: bool, reply: Reply) -> None:
        """Search the path to a peer (its key), or to all, anew; what is found is in health as it comes. `fresh`: after
        a handshake of its own."""
        if peer is not None and peer not in (self.layer.keys() or ()):
            return reply({"error": f"no peer of this gateway has the key {printable(str(peer), LONGEST_NAME)}"})
        if self.guest.status != "running" or self.guest.hello is None:
            return reply({"error": f"the guest is {self.guest.status}"})
        if "probe" not in self.guest.hello.can:
            return reply({"error": f"version {self.guest.hello.version} of the node can't be asked to probe"})

        def answered(answer: Content | None) -> None:
            refused = answer.error if isinstance(answer, Failure) else "the guest does not answer"
            reply({"probing": True} if isinstance(answer, Health) else {"error": refused})

        self.guest.request({"type": "probe", "peer": peer, **({"fresh": True} if fresh else {})}, answered)
