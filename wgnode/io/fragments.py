"""Whether routers may fragment the outer datagrams (docs/decisions/outer-fragments.md). Numbers of linux/in.h."""

from __future__ import annotations

import socket

IP_MTU_DISCOVER = 10
IP_PMTUDISC_DONT = 0


def allow(made: socket.socket) -> None:
    """Send over IPv4 without DF, whatever net.ipv4.ip_no_pmtu_disc says; the kernel fragments what it knows to be too
    long for the way. IPv6 stays as it is: there only the sender fragments, and does so by default.
    """
    if made.family == socket.AF_INET:
        made.setsockopt(socket.IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DONT)
