"""How long deploying takes: `make bench-deploy`. Medians of rounds in a lab of its own, and what dominates each figure.

Cold: no lab, no stacks, no state; what is cached for all labs (engine, wheels, root file system of the hosts, appliance
image) is there. Guests run by whatever the machine has, said in the heading: under emulation (TCG) figures with a guest
in them say little about KVM.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import secrets
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from lab.api import Lab
from lab.demo import prove
from lab.deployment import MESH_STACK, Deployment, stack_of
from tests.lab.environment import CABIN, add_site, health, reachable, remove_site

Phases = dict[str, float]
GOALS = {
    "no-op up of a site": 4.0,
    "a peer added live (up of a site)": 3.0,
    "outage at a replacement": 6.0,
    "power-on to first handshake": 4.0,
}
"""Seconds; the last two under TCG."""
_EPILOG = """examples:
  make bench-deploy                      five rounds, a table
  make bench-deploy ROUNDS=3 JSON=out.json
"""


@dataclass
class Figure:
    """One measured thing: seconds in all and by phase, a pair for each round."""

    name: str
    totals: list[float] = field(default_factory=list)
    phases: list[Phases] = field(default_factory=list)

    def add(self, total: float, phases: Phases) -> None:
        self.totals.append(total)
        self.phases.append(phases)

    def median_phases(self) -> Phases:
        names = {name: None for phases in self.phases for name in phases}
        return {name: statistics.median(phases.get(name, 0.0) for phases in self.phases) for name in names}

    def row(self) -> str:
        goal = GOALS.get(self.name)
        median = statistics.median(self.totals)
        met = "" if goal is None else f"≤ {goal:g}" + ("" if median <= goal else " (missed)")
        parts = sorted(self.median_phases().items(), key=lambda part: -part[1])
        dominated = ", ".join(f"{name} {seconds:.2f}" for name, seconds in parts[:4])
        spread = f"{min(self.totals):.2f}–{max(self.totals):.2f}"
        return f"| {self.name} | {median:.2f} | {spread} | {len(self.totals)} | {met} | {dominated} |"

    def to_dict(self) -> dict[str, object]:
        return {"name": self.name, "seconds": self.totals, "phases": self.phases, "goal": GOALS.get(self.name)}


class Bench:
    """Figures of one lab, in the order in which they were first measured."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.figures: dict[str, Figure] = {}

    def note(self, name: str, total: float, phases: Phases) -> None:
        self.figures.setdefault(name, Figure(name)).add(total, phases)
        print(f"  {name}: {total:.2f} s", file=sys.stderr, flush=True)

    def cold(self) -> Deployment:
        """From nothing to a file moved between the LANs."""
        started = time.monotonic()
        phases: Phases = {}
        with timed(phases, "lab"):
            self.lab.up()
        deployment = Deployment(self.lab)
        with timed(phases, "stack files"):
            deployment.prepare()
        for stack in deployment.stacks:
            with timed(phases, f"up {stack}"):
                self.up(deployment, stack, f"first up of {stack}")
        with timed(phases, "proof"):
            prove(self.lab)
        self.note("demo, cold", time.monotonic() - started, phases)
        return deployment

    def warm(self, deployment: Deployment) -> None:
        started = time.monotonic()
        phases: Phases = {}
        with timed(phases, "lab"):
            self.lab.up()
        for stack in deployment.stacks:
            with timed(phases, f"up {stack}"):
                deployment.up(stack)
        with timed(phases, "proof"):
            prove(self.lab)
        self.note("demo, warm", time.monotonic() - started, phases)

    def up(self, deployment: Deployment, stack: str, name: str) -> None:
        """One `up`, with its phases by the arrival of the engine's own events."""
        started = time.monotonic()
        events = [(at - started, event) for at, event in events_of(deployment, stack)]
        total = time.monotonic() - started
        self.note(name, total, phases_of(events, total))

    def add_a_peer(self, deployment: Deployment, number: int) -> None:
        add_site(deployment, f"site{number}", f"10.77.{number}.0/24", "192.0.2.99:51820")
        self.up(deployment, MESH_STACK, "a peer added to the mesh (up of the mesh)")
        self.up(deployment, stack_of("berlin"), "a peer added live (up of a site)")
        assert f"site{number}" in {peer["name"] for peer in health(self.lab, "berlin")["peers"]}
        remove_site(deployment, f"site{number}")
        deployment.up(MESH_STACK)
        deployment.up(stack_of("berlin"))

    def replace(self, deployment: Deployment, memory: int) -> None:
        deployment.configure(stack_of("cabin"), {"site.gateway.memory": str(memory)})
        with self.lab.stream("berlin.client", CABIN, 0.02) as pings:
            deployment.up(stack_of("cabin"))
            reachable(self.lab)
        self.note("outage at a replacement", pings.longest_gap, boot_phases(self.lab, "cabin"))

    def power_on(self) -> None:
        """The guest of cabin, which calls: from QEMU's start to the handshake, by the host's clock."""
        self.lab.host_ssh("cabin", "systemctl restart wgnode-gateway")
        if not reachable(self.lab):
            raise RuntimeError("the gateway of cabin did not come back")
        phases = boot_phases(self.lab, "cabin")
        self.note("power-on to first handshake", sum(phases.values()), phases)


@contextmanager
def timed(phases: Phases, name: str) -> Iterator[None]:
    started = time.monotonic()
    yield
    phases[name] = phases.get(name, 0.0) + time.monotonic() - started


def events_of(deployment: Deployment, stack: str) -> Iterator[tuple[float, dict[str, Any]]]:
    """`pulumi up` of a stack: each event of the engine and when it came (monotonic seconds)."""
    argv = deployment.argv(["up", "--yes", "--skip-preview", "--json", "--stack", stack])
    environment = deployment.environment()
    with subprocess.Popen(argv, cwd=deployment.folder, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith("{"):
                yield time.monotonic(), json.loads(line)
    if process.returncode:
        raise RuntimeError(f"pulumi up --stack {stack}: exit code {process.returncode}")


def phases_of(events: Iterable[tuple[float, dict[str, Any]]], total: float) -> Phases:
    """Before the first resource (engine and program start), each kind's own reads and changes, and the rest."""
    phases: Phases = {}
    open_since: dict[str, float] = {}
    first, last = total, 0.0
    for at, event in events:
        if (before := event.get("resourcePreEvent")) is not None:
            first = min(first, at)
            open_since.setdefault(before["metadata"]["urn"], at)
        elif (after := event.get("resOutputsEvent")) is not None and after["metadata"]["urn"] in open_since:
            kind = after["metadata"]["type"].rsplit(":", 1)[1]
            phases[kind] = phases.get(kind, 0.0) + at - open_since.pop(after["metadata"]["urn"])
            last = max(last, at)
    return {"engine and program start": first, **phases, "after the last resource": total - last}


def boot_phases(lab: Lab, site: str) -> Phases:
    """Of the guest's newest start, by the journal and the node's own report."""
    show = "systemctl show --timestamp=us+utc --property=ExecMainStartTimestamp --value wgnode-gateway"
    stamp = lab.host_ssh(site, show).stdout.strip()
    started = datetime.strptime(stamp.split(" ", 1)[1], "%Y-%m-%d %H:%M:%S.%f %Z").replace(tzinfo=UTC).timestamp()
    lines = lab.host_ssh(site, "journalctl -u wgnode-gateway -o short-unix --no-pager -n 200").stdout
    marks = [
        (float(at), text) for at, text in re.findall(r"^([\d.]+) \S+ \S+: (.*)$", lines, re.M) if float(at) > started
    ]
    python = next(at for at, text in marks if "interpreter runs" in text)
    node = next(at for at, text in marks if " up, port " in text)
    handshake = max(peer["last_handshake"] for peer in health(lab, site)["peers"] if peer["last_handshake"])
    return {
        "QEMU and kernel": python - started,
        "imports and configuration": node - python,
        "handshake": max(0.0, handshake - node),
    }


def heading(lab: Lab) -> str:
    facts = [
        line.split(":", 1)[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line
    ]
    accelerator = lab.host_ssh(
        "cabin", "grep -o 'accel [a-z]*' /etc/systemd/system/wgnode-gateway.service"
    ).stdout.strip()
    return f"{facts[0]}, {os.cpu_count()} cores, guests by {accelerator.removeprefix('accel ').upper()}"


def table(figures: Mapping[str, Figure]) -> str:
    lines = ["| what | median, s | range | rounds | goal | dominated by (median s) |", "|---|---|---|---|---|---|"]
    return "\n".join([*lines, *(figure.row() for figure in figures.values())])


def run(rounds: int, say: Callable[[str], None]) -> Bench:
    name = f"bench-{os.getpid()}-{secrets.token_hex(2)}"
    with tempfile.TemporaryDirectory(prefix="wgnode-bench-") as scratch:
        lab = Lab(name, Path(scratch) / name)
        bench = Bench(lab)
        try:
            for round in range(rounds):
                say(f"round {round + 1} of {rounds}")
                lab.down()
                shutil.rmtree(lab.directory / "project", ignore_errors=True)
                deployment = bench.cold()
                bench.warm(deployment)
                bench.up(deployment, stack_of("berlin"), "no-op up of a site")
                bench.add_a_peer(deployment, round + 1)
                bench.replace(deployment, 144)
                bench.power_on()
            say(heading(lab))
        finally:
            lab.down()
    return bench


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench.deploy",
        description=__doc__,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--rounds", type=int, default=5, help="(%(default)s)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write all rounds there")
    options = parser.parse_args(arguments)
    if os.geteuid():
        parser.error("needs root (network namespaces, containers); run it with sudo")
    if (load := os.getloadavg()[0]) > 0.5:
        print(f"this machine is busy (load {load:.1f}): the figures will be too high", file=sys.stderr)
    bench = run(options.rounds, lambda text: print(text, file=sys.stderr, flush=True))
    print(table(bench.figures))
    if options.json:
        options.json.write_text(json.dumps([figure.to_dict() for figure in bench.figures.values()], indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
