"""Which data plane a node runs on."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

from wgnode.dataplane import offloads
from wgnode.dataplane import threads as counting
from wgnode.dataplane.plain import PlainPlane
from wgnode.dataplane.plain_io import PlainIO
from wgnode.io.packet_io import PacketIO
from wgnode.io.shell import Shell
from wgnode.io.tun import TunOffloads
from wgnode.protocol.plane import Plane

AUTO, PYTHON, FAST = NAMES = ("auto", "python", "fast")


class Unavailable(Exception):
    """The compiled plane was asked for and can't run; the text says why and what to do."""


@dataclass(frozen=True)
class Choice:
    """What a node is built from: its plane, who moves its packets, and what its TUN asks of the kernel.

    `why` is for a person, `threads` move its packets.
    """

    name: str
    why: str
    new_plane: Callable[[], Plane]
    packet_io: Callable[[Shell], PacketIO]
    tun_offloads: TunOffloads
    threads: int = 1


def choose(wanted: str = AUTO, environment: Mapping[str, str] = os.environ, *, threads: int | None = None) -> Choice:
    """`wanted` is one of NAMES, `threads` as many as help when None. Raises Unavailable for FAST where the extension is
    missing, and for threads that the plain plane has not; ValueError for another name, for a number of threads that is
    none, and for settings that mean nothing (WGNODE_CRYPTO, WGNODE_OFFLOADS)."""
    if wanted not in NAMES:
        raise ValueError(f"no data plane {wanted!r}: choose of {', '.join(NAMES)}")
    if wanted == PYTHON:
        return _python("as asked for", threads)
    allowed = offloads.parse(environment.get("WGNODE_OFFLOADS", ""))
    try:
        import wgnode_fastpath
    except ImportError as error:
        if wanted == FAST:
            raise Unavailable(f"the compiled data plane is not there ({error}): install wgnode-fastpath") from None
        return _python(f"slower, as the compiled data plane is not there ({error})", threads)
    from wgnode.dataplane.fast import FastPlane
    from wgnode.dataplane.fast_io import FastIO

    suite, why = wgnode_fastpath.choose_crypto(environment.get("WGNODE_CRYPTO"))
    tun = TunOffloads(allowed.vnet_header, allowed.tso, allowed.tso, allowed.uso)
    count = counting.here() if threads is None else threads
    if not 1 <= count <= counting.MOST:
        raise ValueError(f"{count} threads: 1 to {counting.MOST} can move packets")
    packet_io = partial(FastIO, allowed=allowed, threads=count)
    return Choice(FAST, why, partial(FastPlane, suite), packet_io, tun, count)


def _python(why: str, threads: int | None) -> Choice:
    if threads not in (None, 1):
        raise Unavailable(
            f"the plain data plane, {PYTHON}, moves packets on one thread, not {threads}: the compiled one, "
            f"wgnode-fastpath, may have more ({why})"
        )
    return Choice(PYTHON, why, PlainPlane, PlainIO, TunOffloads())
