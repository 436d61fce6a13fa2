"""The gaps in a stream through a node with thousands of peers, left alone and while it has other things to do.

A sends 1,000 datagrams a second through the tunnel to B. B has 3,000 peers of three networks each. Left alone, and then
disturbed once a second, all at once: `wg show`, health with the live digest, and handshakes of 100 of its peers; with
--sets also a request that sets all peers. Rounds interleave the two; a figure is the median of the rounds.
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from tests.bench.dataplane.__main__ import OUTPUT, end_on_signals
from tests.bench.dataplane.scale import configuration, networks
from tests.lab.interop import Bench, Node, bench
from tests.lab.programs import Program
from tools.progress import say
from wgnode.protocol.noise import public_bytes

RATE, PORT = 1000, 5003
STORM = 100
"""Handshakes at once."""
GOALS = {"99.9th percentile": 5.0, "maximum": 25.0}
"""Milliseconds above the undisturbed node's."""
SCRIPTS = Path(__file__).parent


@dataclass(frozen=True)
class Gaps:
    """Milliseconds between two datagrams that follow each other, of one run."""

    arrived: int
    percentile: float
    largest: float

    @classmethod
    def of(cls, arrived: int, gaps: Sequence[float]) -> Gaps:
        ordered = sorted(gaps)
        return cls(arrived, ordered[int(len(ordered) * 0.999)], ordered[-1])


class Disturbed:
    """B, A, and what disturbs B."""

    def __init__(self, cable: Bench, plane: str, peers: int, *, sets: bool = False) -> None:
        words = (sys.executable, "-m", "tests.bench.stall.node")
        self.a = cable.node(1, Program("a", lambda interface: (*words, interface, plane), ours=True))
        self.b = cable.node(2, Program("b", lambda interface: (*words, interface, plane), ours=True))
        self._keys = [os.urandom(32) for _ in range(STORM)]
        public = [public_bytes(X25519PrivateKey.from_private_bytes(key)) for key in self._keys]
        public += [os.urandom(32) for _ in range(peers - STORM)]
        texts = [base64.b64encode(key).decode() for key in public]
        self._file = self.b.file("conf", configuration(self.b.private_key, texts, networks(peers, 3 * peers)))
        self._sets = sets
        self.b.wg("addconf", self.b.interface, self._file)
        self.b.add_peer(self.a)
        self.a.add_peer(self.b, outer=4)
        assert self.a.ping(self.b), "A and B have no tunnel"
        secrets = self.b.directory / "storm"
        secrets.write_bytes(base64.b64decode(self.b.public_key) + b"".join(self._keys))
        self._storm = subprocess.Popen(
            [*enter(self.a), sys.executable, "-m", "tests.bench.stall.storm", "192.0.2.2", "51820", str(secrets)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        cable.spaces[0].processes.append(self._storm)  # type: ignore[arg-type]
        assert self._storm.stdout is not None
        assert self._storm.stdout.readline() == "ready\n"

    def disturb(self) -> None:
        """All at once."""
        assert self._storm.stdin is not None
        shown = self.b.namespace.spawn("wg", "show", self.b.interface)
        self._storm.stdin.write("fire\n")
        self._storm.stdin.flush()
        self.b.process.send_signal(signal.SIGUSR1)
        if self._sets:
            self.b.wg("addconf", self.b.interface, self._file)
        shown.wait(60)

    def answers(self) -> int:
        """To handshakes, in all; the last thing that is asked."""
        output, _ = self._storm.communicate(timeout=30)
        return int(output)

    def run(self, seconds: float, disturb: Callable[[], None] | None) -> Gaps:
        script = str(SCRIPTS / "stream.py")
        receiver = subprocess.Popen(
            [*enter(self.b), sys.executable, script, "receive", self.b.inner(4), str(PORT)],
            stdout=subprocess.PIPE,
            text=True,
        )
        self.b.namespace.processes.append(receiver)  # type: ignore[arg-type]
        assert receiver.stdout is not None
        assert receiver.stdout.readline() == "ready\n"
        sender = self.a.namespace.spawn(
            sys.executable, script, "send", self.b.inner(4), str(PORT), str(RATE), str(seconds)
        )
        end = time.monotonic() + seconds - 1
        while disturb is not None and time.monotonic() < end:
            time.sleep(1)
            disturb()
        output, _ = receiver.communicate(timeout=seconds + 60)
        sender.wait(30)
        return Gaps.of(**json.loads(output))


def enter(node: Node) -> list[str]:
    return ["ip", "netns", "exec", node.namespace.name]


def report(plane: str, alone: Sequence[Gaps], disturbed: Sequence[Gaps], answers: int) -> str:
    lines = [f"{plane}: milliseconds between datagrams, medians of {len(alone)} rounds"]
    for title, of in (("99.9th percentile", lambda g: g.percentile), ("maximum", lambda g: g.largest)):
        left, found = statistics.median(map(of, alone)), statistics.median(map(of, disturbed))
        verdict = "met" if found - left <= GOALS[title] else "missed"
        lines.append(
            f"  {title:18} alone {left:7.2f}, disturbed {found:7.2f}, {found - left:7.2f} more "
            f"(goal {GOALS[title]:g}: {verdict})"
        )
    lost = sum(1 - gaps.arrived / max(each.arrived for each in alone) for gaps in disturbed) / len(disturbed)
    lines.append(f"  lost while disturbed: {max(0.0, lost):.3%}; {answers} handshakes were answered")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.stall", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=60.0, help="of one run")
    parser.add_argument("--peers", type=int, default=3000)
    parser.add_argument("--sets", action="store_true", help="set all peers again, too")
    parser.add_argument("--planes", default="fast", help="default fast; python,fast for both")
    parser.add_argument("--json", type=Path, default=OUTPUT / "stall.json")
    given = parser.parse_args()
    if os.geteuid() != 0:
        sys.exit("the benchmark builds networks and needs root: make bench-stall does that")
    end_on_signals()
    kept = {}
    for plane in given.planes.split(","):
        with tempfile.TemporaryDirectory(prefix="wgnode-stall-") as directory, bench(Path(directory)) as cable:
            pair = Disturbed(cable, plane, given.peers, sets=given.sets)
            alone, disturbed = [], []
            for number in range(given.rounds):
                alone.append(pair.run(given.seconds, None))
                disturbed.append(pair.run(given.seconds, pair.disturb))
                say(f"{plane}, round {number + 1} of {given.rounds}: alone {alone[-1]}, disturbed {disturbed[-1]}")
            print(report(plane, alone, disturbed, pair.answers()))
            kept[plane] = {"alone": [asdict(each) for each in alone], "disturbed": [asdict(each) for each in disturbed]}
    given.json.parent.mkdir(parents=True, exist_ok=True)
    given.json.write_text(json.dumps(kept, indent=1) + "\n")


if __name__ == "__main__":
    main()
