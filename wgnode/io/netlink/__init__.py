"""The kernel's links, addresses, routes, neighbours and packet filter by raw netlink (netlink(7), rtnetlink(7)).

Small and without imports of weight, because it is what PID 1 in the gateway configures its network with.
`codec` is bytes, `connection` a socket with questions and answers, `links` and `routes` what may be asked,
`monitor` what the kernel tells unasked.
"""

from __future__ import annotations

from wgnode.io.netlink.connection import NetlinkError
from wgnode.io.netlink.links import Links
from wgnode.io.netlink.routes import Routes

__all__ = ["NetlinkError", "Rtnetlink"]


class Rtnetlink(Links, Routes):
    """A socket to the kernel's links and routing tables, in the network namespace where it was made.

    Every change is idempotent: what is already so is no error. Raises NetlinkError.
    """
