"""A netlink socket, and the kernel's answers to what it is asked (netlink(7))."""

from __future__ import annotations

import os
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from wgnode.io.netlink.codec import NLM_F_REQUEST, NLMSG_DONE, NLMSG_ERROR, message, parse_messages, refusal

SOL_NETLINK, NETLINK_GET_STRICT_CHK = 270, 12
NETLINK_NETFILTER = 12
RECEIVE = 1 << 18
"""Bytes: more than the kernel ever sends at once."""
ANSWER_LIMIT = 5.0
"""Seconds; the kernel answers within the send itself."""


class NetlinkError(OSError):
    """The kernel refused a request; the text says which."""


@dataclass(frozen=True)
class Step:
    """One message of a batch: what it does, in words for an error, its type, and its body."""

    what: str
    kind: int
    body: bytes


class Connection:
    """A socket of one netlink family, in the network namespace where it was made. Raises OSError without it."""

    family = socket.NETLINK_ROUTE

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, self.family)
        self._socket.bind((0, 0))
        self._sequence = 0

    def close(self) -> None:
        self._socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def be_strict(self) -> None:
        """Have the kernel judge, and answer to, all that a dump asks for. Raises OSError before Linux 4.20."""
        self._socket.setsockopt(SOL_NETLINK, NETLINK_GET_STRICT_CHK, 1)

    def ask(self, kind: int, flags: int, body: bytes, what: str, *fine: int) -> list[bytes]:
        """Send one request, return the bodies of the answers. `fine` are errnos that mean "already so"."""
        self._sequence += 1
        self._socket.send(message(kind, NLM_F_REQUEST | flags, self._sequence, body))
        answers: list[bytes] = []
        while True:
            for answer, sequence, content in parse_messages(self._socket.recv(RECEIVE)):
                if sequence != self._sequence:
                    continue
                if answer in (NLMSG_ERROR, NLMSG_DONE):
                    if (code := refusal(content)) and code not in fine:
                        raise NetlinkError(code, f"{what}: {os.strerror(code)}")
                    return answers
                answers.append(content)


class Netfilter(Connection):
    """To the packet filter (linux/netfilter/nfnetlink.h), which takes many messages as one transaction."""

    family = NETLINK_NETFILTER

    def __init__(self) -> None:
        super().__init__()
        self._socket.settimeout(ANSWER_LIMIT)

    def transact(self, batch: bytes, steps: Sequence[Step], what: str) -> None:
        """All of the steps or, raising NetlinkError with the one that the kernel refused, none.

        The batch numbers its steps by their place, counted from 1, and has each of them acknowledged. Raises
        TimeoutError where that takes longer than ANSWER_LIMIT.
        """
        self._socket.send(batch)
        waiting = set(range(1, len(steps) + 1))
        while waiting:
            waiting -= acknowledged(self._socket.recv(RECEIVE), steps, what)


def acknowledged(data: bytes, steps: Sequence[Step], what: str) -> set[int]:
    """Sequence numbers of the steps that the kernel took. Raises NetlinkError for the first that it did not take."""
    taken = set()
    for kind, sequence, content in parse_messages(data):
        if kind != NLMSG_ERROR:
            continue
        if code := refusal(content):
            step = steps[sequence - 1].what if 1 <= sequence <= len(steps) else "whole transaction"
            raise NetlinkError(code, f"{what}: {step}: {os.strerror(code)}")
        taken.add(sequence)
    return taken
