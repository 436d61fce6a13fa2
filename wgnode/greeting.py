"""What a server says before it is an SSH server, and what that means. sshd says why it takes nobody in plain text."""

from __future__ import annotations

import socket
from typing import Any

_KEPT = 4096  # bytes of a greeting and of what follows it
_KEXINIT = 20  # RFC 4253, section 7.1
_SHOWN = 100  # characters
_SHUT_OUT = "Not allowed at this time"
_MEANINGS = (
    (
        _SHUT_OUT,
        # sshd_config(5), PerSourcePenalties, which is on since OpenSSH 9.8 (Debian 13): each login that fails counts
        # 5 s, each connection that ends before a login 1 s, and from 15 s on it answers like this while they last.
        "its sshd takes nobody from this address for a while, after logins that failed or connections that tried none,"
        " also of others behind the same address; it lets us in again by itself within 10 min, mostly much sooner, if"
        " nobody goes on. `journalctl -u ssh` there names the penalty; PerSourcePenaltyExemptList in its sshd_config"
        " exempts an address",
    ),
    (
        "Exceeded MaxStartups",
        "its sshd has as many logins under way as it takes at once (MaxStartups in its sshd_config); run it again, and"
        " if it stays so, see there who connects (`ss -tn sport = :ssh`)",
    ),
)


class Heard:
    """A connected socket that remembers the first bytes that came. As much of a socket as paramiko uses."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._first = b""

    def recv(self, size: int) -> bytes:
        data = self._sock.recv(size)
        if len(self._first) < _KEPT:
            self._first += data[: _KEPT - len(self._first)]
        return data

    @property
    def first(self) -> bytes:
        return self._first

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sock, name)

    @property
    def lines(self) -> list[str]:
        """Printable; none where SSH began, as it may after a few lines: then they are not why it ended."""
        text = "" if b"SSH-" in self._first else self._first[: _SHOWN * 4].decode(errors="replace")
        return ["".join(sign for sign in line if sign.isprintable()) for line in text.splitlines() if line.strip()]


def host_key_types(first: bytes) -> list[str]:
    """What keys a server says that it has, from the first bytes that came: its greeting and its SSH_MSG_KEXINIT.

    RFC 4253, sections 6 and 7.1. Nothing where they are something else, or not all there.
    """
    packet = first[first.find(b"SSH-") :].partition(b"\n")[2]
    body = packet[5 : 4 + int.from_bytes(packet[:4], "big")]
    if body[:1] != bytes([_KEXINIT]):
        return []
    at = 17  # behind the message's number and the cookie
    at += 4 + int.from_bytes(body[at : at + 4], "big")  # and its ways of exchanging keys
    names = body[at + 4 : at + 4 + int.from_bytes(body[at : at + 4], "big")]
    return names.decode(errors="replace").split(",") if names else []


def meaning(lines: list[str], failure: str) -> str:
    """Why there is no SSH, from what a server said before it ended: how "port 22 answers" goes on.

    `failure` is what we met, where it said nothing.
    """
    for text, cause in _MEANINGS:
        if any(text in line for line in lines):
            return f" {text!r}: {cause}"
    said = f"it said {lines[0][:_SHOWN]!r}" if lines else failure
    return f", but not as an SSH server should ({said})"


def shuts_out(lines: list[str]) -> bool:
    """Whether it is an sshd that takes nobody from our address for a while."""
    return any(_SHUT_OUT in line for line in lines)
