"""The measurements, each in a world of its own: [a] ==== 50 ms there and back ==== [b], and a tunnel between them."""

from __future__ import annotations

import contextlib
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path as Folder

from tests.bench.flood import processor_seconds
from tests.bench.pathmtu import ask
from tests.bench.pathmtu.contenders import LARGEST, Contender, Tunnel
from tests.bench.pathmtu.flow import stream
from tests.lab import programs
from tests.lab.path.path import BOTH, Path, Way
from tests.lab.programs import Program
from tests.lab.scenarios.world import Device, World, outer_wire, ping
from wgnode.io.paths import OFF, SETTING

DELAY = 25.0
"""Milliseconds each way."""
RATE = 2.5e6
"""Bytes a second each way: what a mobile network gives, and what the lab's cable carries without effort."""
SLOW_START = 1.5


@dataclass(frozen=True)
class Goodput:
    """TCP payload in Mbit/s, and the longest message on the wire, each way; `usable` seconds until it was set up."""

    up: float
    down: float
    longest_up: int
    longest_down: int
    usable: float


@dataclass(frozen=True)
class Change:
    """A floor falls in the middle of a TCP flow: seconds until half of the former rate came through again, None for
    never; bytes that are sent after it."""

    silent: float | None
    size: int


@dataclass(frozen=True)
class Kept:
    """Under loss: `low` is the longest time (s) for which the value was more than 4 bytes too small; `share` what the
    probes cost of the peer's own traffic; `idle` bytes of probes in quiet seconds."""

    low: float
    share: float
    idle: int


def program(plane: str, *, searches: bool) -> Program:
    ours = programs.ours(plane)
    return replace(ours, command=lambda name: ("env", f"{SETTING}={'on' if searches else OFF}", *ours.command(name)))


@contextlib.contextmanager
def tunnel(
    plane: Program, floors: tuple[int, int], mtu: int | None = LARGEST, *, slow: bool = True
) -> Iterator[Tunnel]:
    """Two nodes that know each other, without a session. Nothing says what fits, and pieces are lost."""
    with tempfile.TemporaryDirectory(prefix="wgnode-pathmtu-") as directory:
        world = World(Folder(directory), plane)
        try:
            path = Path(world, delay=DELAY, rate=RATE) if slow else Path(world)
            try:
                for way, floor in zip(BOTH, floors, strict=True):
                    path.floor(way, floor)
                path.silent(*BOTH)
                path.no_fragments(*BOTH)
                one, two = world.all_devices([(path.a, ["10.9.0.1/24"]), (path.b, ["10.9.0.2/24"])], mtu=mtu)
                two.peer(one, "10.9.0.1/32")
                one.peer(two, "10.9.0.2/32", f"{path.address('b')}:51820")
                yield Tunnel(path, one, two, floors)
            finally:
                path.close()
        finally:
            world.close()


def goodput(contender: Contender, plane: str, floors: tuple[int, int], seconds: float) -> Goodput:
    with tunnel(program(plane, searches=contender.searches), floors, contender.mtu) as made:
        assert ping(made.one.space, "10.9.0.2")
        usable = contender.prepare(made)
        up = _flow(made.one, made.two, "10.9.0.2", seconds)
        down = _flow(made.two, made.one, "10.9.0.1", seconds)
        return Goodput(up[0], down[0], up[1], down[1], usable)


def _flow(source: Device, sink: Device, address: str, seconds: float) -> tuple[float, int]:
    """Mbit/s of one TCP flow past its slow start, and the longest message of it outside."""
    with outer_wire(source.space, "eth1" if source.space.name.endswith("-a") else "eth2") as lengths:
        try:
            with stream(source.space, sink.space, address) as arrived:
                time.sleep(SLOW_START)
                began, count = time.monotonic(), arrived[0]
                lengths()
                time.sleep(seconds)
                rate = (arrived[0] - count) * 8e-6 / (time.monotonic() - began)
                return rate, max(lengths(), default=0)
        except (TimeoutError, OSError):  # nothing larger than its handshake came through
            return 0.0, 0


def converge(plane: str, truth: int, rung: int) -> ask.Found | None:
    """From the first handshake, up."""
    with tunnel(program(plane, searches=True), (truth, 1500)) as made:
        made.one.space.spawn("ping", "-n", "-c", "3", "-i", "0.5", "10.9.0.2")
        return ask.found(made.one, made.two, truth, rung)


def change(plane: str, before: int, after: int) -> Change:
    with tunnel(program(plane, searches=True), (before, 1500)) as made:
        assert ping(made.one.space, "10.9.0.2")
        time.sleep(3)
        with stream(made.one.space, made.two.space, "10.9.0.2") as arrived:
            time.sleep(SLOW_START + 1)
            usual = _rate(arrived, 1.0)
            made.path.floor(Way.UP, after)
            began, silent = time.monotonic(), None
            time.sleep(0.3)  # what was under way
            while time.monotonic() - began < 30:
                if _rate(arrived, 0.1) > usual / 2:
                    silent = time.monotonic() - began - 0.1
                    break
            time.sleep(3)
            return Change(silent, ask.path(made.one, made.two).get("size", 0))


def _rate(arrived: list[int], seconds: float) -> float:
    began, count = time.monotonic(), arrived[0]
    time.sleep(seconds)
    return (arrived[0] - count) / (time.monotonic() - began)


def kept(plane: str, truth: int, seconds: float, percent: float = 5.0) -> Kept:
    """A flow under loss, then silence."""
    with tunnel(program(plane, searches=True), (truth, 1500)) as made:
        assert ping(made.one.space, "10.9.0.2")
        ask.found(made.one, made.two, truth, truth)
        made.path.loss(percent, *BOTH)
        sent, spent = made.one.transfer(made.two)[1], _spent(made)
        with stream(made.one.space, made.two.space, "10.9.0.2"):
            low = _low(made, truth, seconds)
        own = made.one.transfer(made.two)[1] - sent
        share = (_spent(made) - spent) / max(1, own)
        time.sleep(2)
        quiet = _spent(made)
        time.sleep(5)
        return Kept(low, share, _spent(made) - quiet)


def _spent(made: Tunnel) -> int:
    return int(ask.path(made.one, made.two).get("spent", 0))


def _low(made: Tunnel, truth: int, seconds: float) -> float:
    """Longest time below, looked at ten times a second."""
    until, longest, since = time.monotonic() + seconds, 0.0, None
    while (now := time.monotonic()) < until:
        low = ask.path(made.one, made.two)["size"] < truth - 4
        since = (since if since is not None else now) if low else None
        longest = max(longest, now - since if since is not None else 0.0)
        time.sleep(0.1)
    return longest


def cost(plane: str, *, searches: bool, seconds: float) -> float:
    """Mbit by second of both nodes' processor time, over a path that neither delays nor loses anything."""
    with tunnel(program(plane, searches=searches), (1500, 1500), slow=False) as made:
        assert ping(made.one.space, "10.9.0.2")
        with stream(made.one.space, made.two.space, "10.9.0.2") as arrived:
            time.sleep(SLOW_START)
            nodes = made.one.process.pid, made.two.process.pid
            busy, count = sum(map(processor_seconds, nodes)), arrived[0]
            time.sleep(seconds)
            return (arrived[0] - count) * 8e-6 / max(0.01, sum(map(processor_seconds, nodes)) - busy)
