"""Two nodes that have a session, in two namespaces of their own, and what they have used of the machine."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from subprocess import Popen
from typing import Protocol

from tests.bench.flood import processor_seconds
from tests.lab.interop import OUTER_PREFIX, Namespace, Node, bench, wait_for
from tests.lab.programs import Program

MTU = 1420
"""Of every tunnel: implementations differ in what they set by themselves."""
LOG_END = 12
"""Lines of a log that are shown of a node that died."""


class Failed(Exception):
    """A measurement came to nothing; the message says why."""


class Died(Failed):
    """A node has ended by itself. The message has its exit status and the end of its log."""


class End(Protocol):
    """What makes one end of the tunnel."""

    @property
    def name(self) -> str: ...
    @property
    def process(self) -> Popen[bytes]: ...
    @property
    def log(self) -> Path: ...
    def handshake(self) -> int:
        """When the last one was, seconds since 1970; 0 for never."""


@dataclass
class Pair:
    """The two namespaces that traffic starts and ends in, and the tunnel's ends, which may be in others in between.

    `target` is B's address that traffic goes to; `nodes` is empty for the bare cable. `families` are those of the inner
    and the outer packets, 4 or 6.
    """

    one: Namespace
    two: Namespace
    nodes: Sequence[End]
    target: str
    directory: Path
    between: tuple[Namespace, ...] = ()
    families: tuple[int, int] = (4, 4)
    throughput: float | None = field(default=None, init=False)
    """Gbit/s of one TCP flow, once measured; others are measured at a part of it."""

    def wait_for_answer(self, patience: float) -> None:
        """`patience` in seconds. Raises Failed, or Died."""
        try:
            wait_for(self._answers, f"no ping from A to {self.target} is answered", patience)
        except AssertionError as error:
            raise Failed(str(error)) from None

    def _answers(self) -> bool:
        self.check()
        return "bytes from" in self.one.run("ping", "-n", "-c", "1", "-W", "1", self.target, check=False)

    def death(self) -> Died | None:
        """Of the first node that is no more."""
        for end, node in zip("AB", self.nodes, strict=False):
            if (status := node.process.poll()) is not None:
                return Died(f"{node.name} at {end} ended with exit status {status}\n{end_of(node.log)}")
        return None

    def check(self) -> None:
        """Raises Died."""
        if (died := self.death()) is not None:
            raise died

    def processor(self) -> list[float]:
        """Seconds that A's and B's processes have used so far; none for the bare cable. Raises Died."""
        self.check()
        return [processor_seconds(node.process.pid) for node in self.nodes]

    def resident(self) -> list[float]:
        """Megabytes that A's and B's processes have in memory. Raises Died."""
        self.check()
        return [resident(node.process.pid) for node in self.nodes]

    def namespaces(self) -> set[int]:
        """The inodes by which /proc tells whose namespace a process is in."""
        return {os.stat(f"/run/netns/{space.name}").st_ino for space in (self.one, self.two, *self.between)}


@contextmanager
def running(programs: tuple[Program, Program] | None, inner: int, outer: int, directory: Path) -> Iterator[Pair]:
    """A pair that can ping. Raises Failed, or Died."""
    with bench(directory) as cable:
        one, two = cable.spaces
        pair = Pair(one, two, (), f"{OUTER_PREFIX[outer][0]}2", directory, families=(inner, outer))
        if programs is not None:
            try:
                pair.nodes = nodes = tuple(cable.node(number, program) for number, program in enumerate(programs, 1))
            except AssertionError as error:
                raise Failed(f"a node does not start: {error}") from None
            introduce(nodes[0], nodes[1], outer)
            pair.target = nodes[1].inner(inner)
        pair.wait_for_answer(15)
        yield pair


@contextmanager
def over(pair: Pair, inner: int, outer: int) -> Iterator[None]:
    """Traffic of these address families while the body runs, of a pair that `running` gave. Raises Failed, or Died."""
    before = pair.families
    _choose(pair, inner, outer)
    try:
        pair.wait_for_answer(15)
        yield
    finally:
        _choose(pair, *before)


def _choose(pair: Pair, inner: int, outer: int) -> None:
    pair.families = inner, outer
    pair.target = f"{OUTER_PREFIX[outer][0]}2"
    match pair.nodes:
        case (Node() as one, Node() as two):
            pair.target = two.inner(inner)
            if one.program.name == "boringtun":  # it changes nothing of a peer that it has
                one.set("peer", two.public_key, "remove")
            one.add_peer(two, outer=outer)


def introduce(one: Node, two: Node, outer: int) -> None:
    """A knows where B is and begins."""
    for node in (one, two):
        node.namespace.run("ip", "link", "set", node.interface, "mtu", str(MTU))
    two.add_peer(one)
    one.add_peer(two, outer=outer)


def resident(pid: int) -> float:
    """Megabytes (10^6 bytes) of a process in memory."""
    match = re.search(r"^VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    return int(match[1]) * 1024 / 1e6 if match else 0.0


def end_of(log: Path) -> str:
    """The last lines of a log; says so when there is nothing in it."""
    lines = log.read_text(errors="replace").splitlines() if log.exists() else []
    return "\n".join(lines[-LOG_END:]) or "its log is empty"
