"""What a server says before it is an SSH server, and what that means. sshd says why it takes nobody in plain text."""

from __future__ import annotations

import socket
from typing import Any

from infra.hosts.host import HostUnreachable, ShutOut

_KEPT = 400  # bytes; more is no greeting
_SHOWN = 100  # characters
_MEANINGS: tuple[tuple[str, type[HostUnreachable], str], ...] = (
    (
        "Not allowed at this time",
        ShutOut,
        # sshd_config(5), PerSourcePenalties, which is on since OpenSSH 9.8 (Debian 13): each login that fails counts
        # 5 s, each connection that ends before a login 1 s, and from 15 s on it answers like this while they last.
        "its sshd takes nobody from this address for a while, after logins that failed or connections that tried none,"
        " also of others behind the same address; it lets us in again by itself within 10 min, mostly much sooner, if"
        " nobody goes on. `journalctl -u ssh` there names the penalty; PerSourcePenaltyExemptList in its sshd_config"
        " exempts an address",
    ),
    (
        "Exceeded MaxStartups",
        HostUnreachable,
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

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sock, name)

    @property
    def lines(self) -> list[str]:
        """Those before the one by which SSH begins, printable."""
        text = self._first.partition(b"SSH-")[0].decode(errors="replace")
        return ["".join(sign for sign in line if sign.isprintable()) for line in text.splitlines() if line.strip()]


def error(server: str, lines: list[str], failure: str) -> HostUnreachable:
    """Why there is no SSH, from what a server said before it ended; `server` is such as "host x: port 22".

    `failure` is what we met, where it said nothing.
    """
    for text, kind, cause in _MEANINGS:
        if any(text in line for line in lines):
            return kind(f"{server} answers {text!r}: {cause}")
    said = f"it said {lines[0][:_SHOWN]!r}" if lines else failure
    return HostUnreachable(f"{server} answers, but not as an SSH server should ({said})")
