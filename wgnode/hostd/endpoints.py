"""Endpoints given as names: resolved here, because the gateway has no resolver, and set in the guest by UAPI.

A name that moves is followed only while the peer is silent: an endpoint that works, or roamed, is left alone.
"""

from __future__ import annotations

import base64
import os
import queue
import socket
import threading
from collections.abc import Callable, Container, Mapping
from ipaddress import ip_address

from wgnode.hostd.said import PeerPlace
from wgnode.io import address
from wgnode.io.loop import Loop

Resolved = dict[str, str]
"""An endpoint as it was given ("name:port") to one with an address ("192.0.2.1:51820"); failures are absent."""
SESSION_LIFETIME = 180.0
"""Seconds after which a peer without a new handshake is out of reach (REJECT_AFTER_TIME)."""


def split(endpoint: str) -> tuple[str, str]:
    """(host, port) of "name:port" or "[address]:port"."""
    host, _, port = endpoint.rpartition(":")
    return host.strip("[]"), port


def resolve(endpoint: str) -> str:
    """The first address of the name. Raises OSError, also for one that is nowhere: some resolvers block names so."""
    host, port = split(endpoint)
    answers = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM, proto=socket.IPPROTO_UDP)
    found = ip_address(answers[0][4][0])
    if why := address.nowhere(found):
        raise OSError(f"it resolves to {found}, an address that is {why}")
    return address.written(found, int(port))


def set_request(public_key: str, endpoint: str) -> str:
    """The UAPI request that points a peer (key in base64) at an endpoint, and never creates one."""
    key = base64.b64decode(public_key).hex()
    return f"set=1\npublic_key={key}\nupdate_only=true\nendpoint={endpoint}\n\n"


def due(
    named: dict[str, str], resolved: Resolved, applied: dict[str, str], handshakes: dict[str, float | None], now: float
) -> dict[str, str]:
    """Which peers (by public key) get which endpoint now.

    `applied` is what was set in this guest, `handshakes` the last ones in seconds since 1970, `now` likewise.
    """
    wanted = {}
    for key, name in named.items():
        address = resolved.get(name)
        if address is None:
            continue
        last = handshakes.get(key)
        silent = last is None or now - last > SESSION_LIFETIME
        if key not in applied or (silent and applied[key] != address):
            wanted[key] = address
    return wanted


def remembered(kept: Mapping[str, PeerPlace], named: Container[str], now: float) -> dict[str, str]:
    """By public key, where peers were last (StateFile.peers; `now` in seconds since 1970).

    One whose endpoint is a name only while a session may last: after that the name is the better guess.
    """
    return {
        key: peer.endpoint
        for key, peer in kept.items()
        if peer.endpoint and (key not in named or now - (peer.last_handshake or 0) < SESSION_LIFETIME)
    }


class Resolver:
    """Resolves on a thread of its own, because the system's resolver blocks; `on_done` is called in the loop."""

    def __init__(self, loop: Loop, on_done: Callable[[Resolved, list[str]], None]) -> None:
        self.loop, self.on_done = loop, on_done
        self._questions: queue.SimpleQueue[list[str]] = queue.SimpleQueue()
        self._answers: queue.SimpleQueue[tuple[Resolved, list[str]]] = queue.SimpleQueue()
        self._wake = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        loop.add_reader(self._wake, self._done)
        threading.Thread(target=self._work, name="resolver", daemon=True).start()

    def ask(self, names: list[str]) -> None:
        self._questions.put(names)

    def _work(self) -> None:
        while True:
            found: Resolved = {}
            problems = []
            for name in self._questions.get():
                try:
                    found[name] = resolve(name)
                except (OSError, ValueError) as error:
                    problems.append(f"{name}: {error}")
            self._answers.put((found, problems))
            os.eventfd_write(self._wake, 1)

    def _done(self) -> None:
        os.eventfd_read(self._wake)
        while not self._answers.empty():
            self.on_done(*self._answers.get())
