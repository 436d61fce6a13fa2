"""Which data plane a node runs on."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

from wgnode.dataplane import offloads
from wgnode.io.mover import NewMover, PlainMover
from wgnode.io.node import NewDevice
from wgnode.io.tun import TunOffloads
from wgnode.protocol.device import Device

AUTO, PYTHON, FAST = NAMES = ("auto", "python", "fast")


class Unavailable(Exception):
    """The compiled plane was asked for and can't run; the text says why and what to do."""


@dataclass(frozen=True)
class DataPlane:
    """What a node is built from: its device, its mover, and what its TUN asks of the kernel. `why` is for a person."""

    name: str
    why: str
    new_device: NewDevice
    mover: NewMover
    tun_offloads: TunOffloads


def choose(wanted: str = AUTO, environment: Mapping[str, str] = os.environ) -> DataPlane:
    """`wanted` is one of NAMES. Raises Unavailable for FAST where the extension is missing, ValueError for another name
    and for settings that mean nothing (WGNODE_CRYPTO, WGNODE_OFFLOADS)."""
    if wanted not in NAMES:
        raise ValueError(f"no data plane {wanted!r}: choose of {', '.join(NAMES)}")
    if wanted == PYTHON:
        return _python("as asked for")
    allowed = offloads.parse(environment.get("WGNODE_OFFLOADS", ""))
    try:
        import wgnode_fastpath
    except ImportError as error:
        if wanted == FAST:
            raise Unavailable(f"the compiled data plane is not there ({error}): install wgnode-fastpath") from None
        return _python(f"slower, as the compiled data plane is not there ({error})")
    from wgnode.dataplane.fast import FastDevice
    from wgnode.dataplane.mover import FastMover

    suite, why = wgnode_fastpath.choose_crypto(environment.get("WGNODE_CRYPTO"))
    tun = TunOffloads(allowed.vnet_header, allowed.tso, allowed.tso, allowed.uso)
    return DataPlane(FAST, why, partial(FastDevice, suite=suite), partial(FastMover, allowed=allowed), tun)


def _python(why: str) -> DataPlane:
    return DataPlane(PYTHON, why, Device, PlainMover, TunOffloads())
