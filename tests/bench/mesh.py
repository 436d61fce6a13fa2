"""How long an environment of many sites takes, and how that grows: `make bench-mesh`.

    python -m tests.bench.mesh --sites 2,10,100 --rounds 5

The real engine, program and plugin; hosts are files in the place of SSH (tests/standins/hosts), so that what a network
and a host take is not in the figures. The mesh has all the sites; up to ten are all deployed, and of these, from eight
on, a rollout is measured; of more a few (--deployed) are, and the others' stacks have never run. Processor seconds are
of all processes but the engine's spare plugin; memory is the largest process's.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from tests.standins.environment import MESH, Environment
from wgnode import yamlfile

NOTHING, LIVE, MESH_LIVE = (
    "up of a site, nothing changed",
    "up of a site, a peer added live",
    "up of the mesh, a peer added",
)
PLAN = "the engine's plan of a site to which a peer is added"
ROLLOUT = "wgnode rollout run, at parallel 8"
GOALS = {NOTHING: 3.0, LIVE: 4.0}
"""Seconds, whatever the number of sites."""
GROWS = 2.0
"""Times that a site's `up` without changes may take of what it takes in the smallest mesh."""
OVERHEAD = 10
"""Percent of processor time that a rollout may take over its stacks' `up`s. It has to make each site's engine plan too,
which is a second look at the whole site, so what it takes over both is told beside that."""
WHOLE = 10
"""Sites up to which all are deployed."""
LEAST = 8
"""Sites from which on a rollout at parallel 8 says something."""
SITE = "prod-site0"
POLICY = {"canary": ["site0"], "waves": ["rest"], "parallel": 8, "soak": 0}


@dataclass
class Figure:
    """Of one thing, in the order of rounds: seconds by the clock and of processors, and MB of the largest process."""

    name: str
    clock: list[float] = field(default_factory=list)
    processor: list[float] = field(default_factory=list)
    memory: list[float] = field(default_factory=list)

    def row(self) -> str:
        clock, memory = statistics.median(self.clock), max(self.memory)
        goal = GOALS.get(self.name)
        met = "" if goal is None else f"≤ {goal:g}{'' if clock <= goal else ' (missed)'}"
        spread = f"{min(self.clock):.2f}–{max(self.clock):.2f}"
        processor = statistics.median(self.processor)
        return f"| {self.name} | {clock:.2f} | {spread} | {processor:.2f} | {memory:.0f} | {len(self.clock)} | {met} |"


class Bench:
    """Figures of one environment, in the order in which they were first measured."""

    def __init__(self, environment: Environment) -> None:
        self.environment = environment
        self.figures: dict[str, Figure] = {}
        _heed_signals()

    def measure(self, name: str, argv: Sequence[str], codes: Sequence[int] = (0,)) -> str:
        """What the command says."""
        variables = self.environment.variables() | {"PYTHONPATH": str(Path(__file__).parents[2])}
        with tempfile.TemporaryFile("w+") as said:
            start = time.monotonic()
            with subprocess.Popen(
                argv, cwd=self.environment.folder, env=variables, stdout=said, stderr=subprocess.STDOUT
            ) as process:
                _, status, used = os.wait4(process.pid, 0)
                took = time.monotonic() - start
                process.returncode = os.waitstatus_to_exitcode(status)
            said.seek(0)
            text = said.read()
        if process.returncode not in codes:
            raise SystemExit(f"{' '.join(argv)}: exit code {process.returncode}\n{text}")
        self._note(name, took, used)
        return text

    def _note(self, name: str, took: float, used: resource.struct_rusage) -> None:
        figure = self.figures.setdefault(name, Figure(name))
        figure.clock.append(took)
        figure.processor.append(used.ru_utime + used.ru_stime)
        figure.memory.append(used.ru_maxrss / 1024)
        print(f"  {name}: {took:.2f} s", file=sys.stderr, flush=True)

    def up(self, name: str, stack: str) -> None:
        shown = ["--yes", "--skip-preview", "--suppress-outputs", "--non-interactive"]
        said = self.measure(name, ["pulumi", "up", *shown, "--stack", stack])
        if "nothing changed" in name and " unchanged" not in said:
            raise SystemExit(f"{name}: something did\n{said}")

    def plan(self, name: str, stack: str) -> None:
        """As a rollout makes it."""
        argv = ["pulumi", "preview", "--json", "--show-secrets", "--save-plan", "home/engine.plan", "--stack", stack]
        self.measure(name, [*argv, "--non-interactive"])

    def wgnode(self, name: str, *arguments: str, codes: Sequence[int] = (0,)) -> None:
        self.measure(name, self.environment.command(*arguments), codes)


def _heed_signals() -> None:
    """As a command in the foreground does. With SIGINT and SIGHUP ignored, as after `nohup` in a script, the engine
    waits five seconds for its language host to end, twice an `up`."""
    for number, handler in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, handler)


def never_run(environment: Environment, names: Sequence[str]) -> None:
    """Make their stacks as `pulumi stack init` does, of one that it made: 1,000 of them would take it ten minutes."""
    first, *others = names
    environment.pulumi("stack", "init", first)
    folder = environment.folder / "state/.pulumi/stacks/wgmesh"
    for name in others:
        (folder / f"{name}.json").write_text((folder / f"{first}.json").read_text().replace(first, name))


def how_many(sites: int, deployed: int) -> int:
    """Of the sites, how many are deployed."""
    return sites if sites <= WHOLE else min(deployed, sites)


def run(folder: Path, sites: int, deployed: int, rounds: int) -> Bench:
    environment = Environment(folder, sites)
    bench = Bench(environment)
    stacks = [f"prod-site{number}" for number in range(sites)]
    environment.project.rollout = POLICY
    environment.project.write()
    environment.init(MESH, *stacks[:deployed])
    if rest := stacks[deployed:]:
        never_run(environment, rest)
    environment.project.commit()
    bench.up("up of the mesh, the first", MESH)
    for stack in stacks[:deployed]:
        bench.up("up of a site, the first", stack)
    for _ in range(rounds):
        bench.up("up of the mesh, nothing changed", MESH)
        bench.up(NOTHING, SITE)
    for number in range(rounds):
        _add_site(environment, f"new{number}", number)
        bench.up(MESH_LIVE, MESH)
        bench.plan(PLAN, SITE)
        bench.up(LIVE, SITE)
    _without_new_sites(environment)
    environment.project.commit()
    bench.wgnode("wgnode check", "check", "-e", "prod", codes=(0, 1))
    _add_site(environment, "newest", rounds)
    bench.wgnode("wgnode check --against HEAD", "check", "-e", "prod", "--against", "HEAD", codes=(0, 1))
    _without_new_sites(environment)
    if sites == deployed:  # a plan needs the secrets of all
        _change_all(environment)
        environment.project.commit()
        plan = str(folder / "home" / "x.plan")  # where git does not look
        bench.wgnode("wgnode rollout plan", "rollout", "plan", "-e", "prod", "--output", plan)
        if sites >= LEAST:
            bench.wgnode(ROLLOUT, "rollout", "run", plan)
    return bench


def _edit(environment: Environment, change: Callable[[dict[str, object]], None]) -> None:
    """Of the mesh's sites, in its stack file, whose other lines are the engine's, or in their own."""
    file = environment.folder / "stacks" / (environment.project.sites_file or f"Pulumi.{MESH}.yaml")
    content = yamlfile.parse(yamlfile.read(file))
    change(content if environment.project.sites_file else content["config"]["wgmesh:mesh"]["sites"])
    file.write_text(yamlfile.block(content))


def _change_all(environment: Environment) -> None:
    """Something that every site's gateway has."""
    file = environment.folder / f"stacks/Pulumi.{MESH}.yaml"
    content = yamlfile.parse(yamlfile.read(file))
    content["config"]["wgmesh:mesh"]["mtu"] = 1400
    file.write_text(yamlfile.block(content))


def _add_site(environment: Environment, name: str, number: int) -> None:
    address = {"lans": [f"10.200.{number}.0/24"], "endpoint": f"192.0.2.{100 + number}:51820"}
    site = {**address, "recipient": environment.project.public}
    _edit(environment, lambda sites: sites.update({name: site}))


def _without_new_sites(environment: Environment) -> None:
    def remove(sites: dict[str, object]) -> None:
        for name in [name for name in sites if name.startswith("new")]:
            del sites[name]

    _edit(environment, remove)


def heading(sites: int, deployed: int) -> Iterator[str]:
    yield f"\n### {sites} sites, {deployed} of them deployed\n"
    yield "| what | median, s | range | processor, s | MB | times | goal |"
    yield "|---|---|---|---|---|---|---|"


def goals(measured: Mapping[int, Mapping[str, Figure]]) -> Iterator[str]:
    """By number of sites, smallest first."""
    yield "\n### Goals\n"
    yield "| goal | wanted | found |"
    yield "|---|---|---|"
    first = next(iter(measured.values()))
    for sites, figures in measured.items():
        for name, wanted in GOALS.items():
            yield f"| {name}, in {sites} sites | ≤ {wanted:g} s | {statistics.median(figures[name].clock):.2f} s |"
        if figures is not first:
            times = statistics.median(figures[NOTHING].processor) / statistics.median(first[NOTHING].processor)
            yield f"| {NOTHING}: processor time of that in the smallest mesh | ≤ {GROWS:g} × | {times:.2f} × |"
            more = max(figures[NOTHING].memory) / max(first[NOTHING].memory)
            yield f"| {NOTHING}: memory of that in the smallest mesh | flat | {more:.2f} × |"
        if rollout := figures.get(ROLLOUT):
            mesh, site, plan = (statistics.median(figures[name].processor) for name in (MESH_LIVE, LIVE, PLAN))
            for what, each in (("the `up`s", site), ("the `up`s and engine plans", site + plan)):
                over = 100 * (rollout.processor[0] / (mesh + sites * each) - 1)
                yield f"| {ROLLOUT}, {sites} sites: processor time over {what} | ≤ {OVERHEAD} % | {over:.0f} % |"


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sites", default="2,10,100", help="(%(default)s)")
    parser.add_argument(
        "--deployed", type=int, default=4, help=f"sites with a host, of more than {WHOLE} (%(default)s)"
    )
    parser.add_argument("--rounds", type=int, default=3, help="(%(default)s)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write all rounds there")
    options = parser.parse_args(arguments)
    measured: dict[int, dict[str, Figure]] = {}
    print(f"{os.cpu_count()} processors, load {os.getloadavg()[0]:.1f} at the beginning")
    for sites in sorted(map(int, options.sites.split(","))):
        print(f"{sites} sites", file=sys.stderr)
        deployed = how_many(sites, options.deployed)
        with tempfile.TemporaryDirectory(prefix="wgnode-bench-") as folder:
            bench = run(Path(folder), sites, deployed, options.rounds)
        print("\n".join([*heading(sites, deployed), *(one.row() for one in bench.figures.values())]), flush=True)
        measured[sites] = bench.figures
    print("\n".join(goals(measured)))
    print(f"\nload {os.getloadavg()[0]:.1f} at the end")
    if options.json:
        options.json.write_text(
            json.dumps({sites: [*map(asdict, found.values())] for sites, found in measured.items()}) + "\n"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
