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

    `target` is B's address that traffic goes to; `nodes` is empty for the bare cable.
    """

    one: Namespace
    two: Namespace
    nodes: Sequence[End]
    target: str
    directory: Path
    between: tuple[Namespace, ...] = ()
    throughput: float | None = field(default=None, init=False)
    """Gbit/s of one TCP flow, once measured; others are measured at a part of it."""

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
    """A pair that can ping. `inner` and `outer` are address families, 4 or 6. Raises Failed, or Died."""
    with bench(directory) as cable:
        one, two = cable.spaces
        pair = Pair(one, two, (), f"{OUTER_PREFIX[outer][0]}2", directory)
        if programs is not None:
            try:
                pair.nodes = nodes = tuple(cable.node(number, program) for number, program in enumerate(programs, 1))
            except AssertionError as error:
                raise Failed(f"a node does not start: {error}") from None
            introduce(nodes[0], nodes[1], outer)
            pair.target = nodes[1].inner(inner)
        try:
            wait_for(lambda: answers(pair), f"no ping from A to {pair.target} is answered", 15)
        except AssertionError as error:
            raise Failed(str(error)) from None
        yield pair


def introduce(one: Node, two: Node, outer: int) -> None:
    """A knows where B is and begins."""
    for node in (one, two):
        node.namespace.run("ip", "link", "set", node.interface, "mtu", str(MTU))
    two.add_peer(one)
    one.add_peer(two, outer=outer)


def answers(pair: Pair) -> bool:
    pair.check()
    return "bytes from" in pair.one.run("ping", "-n", "-c", "1", "-W", "1", pair.target, check=False)


def resident(pid: int) -> float:
    """Megabytes (10^6 bytes) of a process in memory."""
    match = re.search(r"^VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    return int(match[1]) * 1024 / 1e6 if match else 0.0


def end_of(log: Path) -> str:
    """The last lines of a log; says so when there is nothing in it."""
    lines = log.read_text(errors="replace").splitlines() if log.exists() else []
    return "\n".join(lines[-LOG_END:]) or "its log is empty"
