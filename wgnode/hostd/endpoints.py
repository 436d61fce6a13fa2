"""Endpoints given as names: resolved here, because the gateway has no resolver, and set in the guest by UAPI.

Which of a name's addresses is a peer's turn is decided in turns.py.
"""

from __future__ import annotations

import base64
import os
import queue
import socket
import threading
from collections.abc import Callable, Container, Iterable, Mapping
from functools import partial
from ipaddress import ip_address

from wgnode import endpoint
from wgnode.hostd.said import PeerPlace
from wgnode.hostd.turns import SESSION_LIFETIME
from wgnode.io import address
from wgnode.io.loop import Loop

Addresses = tuple[str, ...]
Resolved = dict[str, Addresses]
"""An endpoint as it was given ("name:port") to those with an address ("192.0.2.1:51820"), in the resolver's order."""
MOST_ADDRESSES = 16
AT_ONCE = 256
"""Names that are asked for at the same time, each on a thread that sleeps nearly always."""
DOUBTFUL = AT_ONCE // 2
"""How many of them may be names that did not resolve last time."""
STACK = 256 << 10
"""Bytes of a thread's."""


def resolve(text: str) -> Addresses:
    """All addresses of the name. Raises OSError, also for one that is nowhere: some resolvers block names so."""
    host, port = endpoint.split(text)
    answers = socket.getaddrinfo(str(host), port, type=socket.SOCK_DGRAM, proto=socket.IPPROTO_UDP)
    found = dict.fromkeys(endpoint.plain(ip_address(answer[4][0])) for answer in answers)
    good = [endpoint.written(one, port) for one in found if not address.nowhere(one)]
    if not good:
        one = next(iter(found))
        raise OSError(f"it resolves to {one}, an address that is {address.nowhere(one)}")
    return tuple(good[:MOST_ADDRESSES])


def set_request(public_key: str, at: str) -> str:
    """The UAPI request that points a peer (key in base64) at an endpoint, and never creates one."""
    key = base64.b64decode(public_key).hex()
    return f"set=1\npublic_key={key}\nupdate_only=true\nendpoint={at}\n\n"


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
    """Resolves on threads, because the system's resolver blocks, one name on each: none waits for another's answer.

    `on_done` is called in the loop as each answer comes, with the addresses of a name, or with what was wrong with it.
    A name that is still being asked for is not asked for again, so that nothing piles up while DNS is silent.
    """

    def __init__(self, loop: Loop, on_done: Callable[[Resolved, dict[str, str]], None]) -> None:
        self.loop, self.on_done = loop, on_done
        self._questions: queue.PriorityQueue[tuple[bool, int, str]] = queue.PriorityQueue()
        """Names for which there is no thread yet; those that did not resolve last time come last."""
        self._waiting: set[str] = set()
        self._running: dict[str, bool] = {}
        """Names that a thread asks for, and whether they did not resolve last time."""
        self._failed: set[str] = set()
        self._asked = 0
        self._answers: queue.SimpleQueue[tuple[str, Addresses, str]] = queue.SimpleQueue()
        self._wake = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        loop.add_reader(self._wake, self._done)

    def ask(self, names: Iterable[str]) -> None:
        """These and no others, from now on."""
        wanted = set(names)
        self._failed &= wanted
        for name in sorted(wanted - self._waiting - self._running.keys()):
            self._asked += 1
            self._waiting.add(name)
            self._questions.put((name in self._failed, self._asked, name))
        self._begin()

    def _begin(self) -> None:
        while self._waiting and len(self._running) < AT_ONCE:
            doubtful, number, name = self._questions.get()
            if doubtful and sum(self._running.values()) >= DOUBTFUL:
                self._questions.put((doubtful, number, name))
                return
            self._waiting.remove(name)
            self._running[name] = doubtful
            _thread(partial(self._work, name))

    def _work(self, name: str) -> None:
        try:
            answer = (name, resolve(name), "")
        except (OSError, ValueError) as error:
            answer = (name, (), str(error) or type(error).__name__)
        self._answers.put(answer)
        os.eventfd_write(self._wake, 1)

    def _done(self) -> None:
        os.eventfd_read(self._wake)
        while not self._answers.empty():
            name, addresses, problem = self._answers.get()
            del self._running[name]
            if problem:
                self._failed.add(name)
            else:
                self._failed.discard(name)
            self.on_done({} if problem else {name: addresses}, {name: problem} if problem else {})
        self._begin()


def _thread(work: Callable[[], None]) -> None:
    former = threading.stack_size(STACK)
    try:
        threading.Thread(target=work, name="resolver", daemon=True).start()
    finally:
        threading.stack_size(former)
