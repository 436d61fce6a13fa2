"""Why a pair of sites need not talk: one that is away, does not run, or has not got the change yet excuses it.

Asked for pairs that do not talk, and for no others.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from pulumi_wgnode.errors import ExplainedError
from pulumi_wgnode.hosts.host import HostError, OutOfTime
from pulumi_wgnode.hosts.ssh import pool
from pulumi_wgnode.operations import recorded, site_status, stacks
from pulumi_wgnode.operations.gating import expected
from pulumi_wgnode.operations.gating.expected import Expected
from pulumi_wgnode.operations.hosts import bounded
from pulumi_wgnode.operations.stacks import SiteStack
from wgnode.nodeconfig import NodeConfig, PeerConfig
from wgnode.rollout.gate import Look, Pair

FRESH = 20.0
"""Seconds for which what was seen of a neighbour is not looked up again."""


class Neighbours:
    """Of an environment, or of all stacks of the project."""

    def __init__(self, folder: Path, environment: str | None) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._seen: dict[str, tuple[float, str | Expected]] = {}
        self._stacks = {}
        for stack in stacks.stacks(folder, environment):
            if name := stacks.site_name(folder, stack):
                self._stacks[name] = stack

    def excused(self, site: Expected, look: Look) -> Look:
        """Without the pairs that need not talk; they are told as notes."""
        kept, notes = [], []
        for pair in look.pairs:
            if (pair.problem or pair.unmeasured) and (why := self._why(site, pair)):
                notes.append(f"not judged with {pair.peer}: {why}")
            else:
                kept.append(pair)
        return replace(look, pairs=tuple(kept), notes=(*look.notes, *notes))

    def _why(self, site: Expected, pair: Pair) -> str | None:
        peer = next(one for one in site.config.peers if one.name == pair.peer)
        stack = self._stacks.get(pair.peer)
        if stack is None:
            return "no stack here is its"
        found = self._look(stack)
        return found if isinstance(found, str) else not_yet(site.config, peer, found.config)

    def _look(self, stack: str) -> str | Expected:
        with self._lock:
            known = self._seen.get(stack)
            if known is None or time.monotonic() - known[0] > FRESH:
                known = self._seen[stack] = (time.monotonic(), _seen(self._folder, stack))
            return known[1]


def not_yet(own: NodeConfig, peer: PeerConfig, theirs: NodeConfig) -> str | None:
    """Why two sites that both run can't talk, as they are configured; None where they can."""
    back = next((one for one in theirs.peers if set(one.public_keys) & set(own.public_keys)), None)
    if back is None or not set(peer.public_keys) & set(theirs.public_keys):
        return "one of the two does not know the other's key yet"
    if peer.endpoint is None and back.endpoint is None:
        return "neither of the two can be called"
    return None


def _seen(folder: Path, stack: str) -> str | Expected:
    try:
        deployment = recorded.export(folder, stack)
        there = expected.of(stack, deployment)
    except ExplainedError as error:
        return str(error)
    try:
        status = bounded(_status, SiteStack(stack, there.site, "", there.connection, None), late=OutOfTime)
    except HostError as error:
        return f"its host does not let us ask it ({error})"
    return there if status == "running" else f"its gateway is {status}"


def _status(site: SiteStack) -> str:
    health: Mapping[str, Any] = site_status.ask(pool.connect(site.connection), site.site).health
    return str(health.get("status") or "none")


Excuse = Callable[[Expected, Look], Look]
