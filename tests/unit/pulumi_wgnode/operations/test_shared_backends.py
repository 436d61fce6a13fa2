"""What rollouts keep in a backend that operators share, with the real engine: files, PostgreSQL, S3.

The program has no resources, so an `up` is only what the backend sees of it. Whole rollouts over the same backends:
test_backend_rollouts.py.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from pulumi_wgnode.operations.rolling import process
from pulumi_wgnode.operations.rolling.claiming import Taken, claimed
from pulumi_wgnode.operations.rolling.engine import Engine, Locked
from pulumi_wgnode.operations.rolling.tags import CLAIM, Tags
from pulumi_wgnode.operations.stacks import StackError
from tests.standins import backends, environment
from tools import ROOT
from wgnode.rollout.facts import Told

pytestmark = pytest.mark.sampled(4, of="backends")

LINE = Told("c0ffee" * 7)
STACK = "one"
SETTINGS = "name: shared\nruntime: python\n"
PROGRAM = """import os

if gate := os.environ.get("GATE"):
    open(gate).read()  # until who opened it closes it
"""
RUN = """import sys
from pathlib import Path
from pulumi_wgnode.operations.rolling.engine import Engine
from pulumi_wgnode.operations.rolling.tags import Tags
from wgnode.rollout.facts import Told

folder = Path(sys.argv[1])
Engine(folder, Tags(folder)).up(sys.argv[2], Told(sys.argv[3]))
"""


class Shared:
    """A stack in a backend, and two clones of its project."""

    def __init__(self, folder: Path, backend: backends.Backend) -> None:
        self.gate, self.backend = folder / "gate", backend
        self.here, self.there = folder / "here", folder / "there"
        self.here.mkdir()
        (self.here / "Pulumi.yaml").write_text(SETTINGS)
        (self.here / "__main__.py").write_text(PROGRAM)
        self.variables = environment.variables(self.here, backend)
        self.pulumi("stack", "init", STACK)
        shutil.copytree(self.here, self.there, ignore=shutil.ignore_patterns("home"))

    def pulumi(self, *arguments: str) -> None:
        argv = ["pulumi", *arguments, "--non-interactive"]
        subprocess.run(argv, cwd=self.here, env=self.variables, check=True, capture_output=True)

    @contextmanager
    def held(self, argv: list[str]) -> Iterator[subprocess.Popen[bytes]]:
        """A command that is in the middle of an `up`, and that goes on at the end."""
        os.mkfifo(self.gate)
        gated = {**self.variables, "GATE": str(self.gate), "PYTHONPATH": str(ROOT)}
        running = subprocess.Popen(argv, cwd=self.here, env=gated, process_group=0, stdout=subprocess.DEVNULL)
        try:
            with self.gate.open("w"):  # opens once the program has opened it
                self.gate.unlink()
                yield running
            running.wait(60)
        finally:
            running.kill()
            running.wait()


@pytest.fixture(scope="module", params=backends.NAMES)
def backend(request: pytest.FixtureRequest) -> Iterator[backends.Backend]:
    with backends.started(request.param) as made:
        yield made


@pytest.fixture(scope="module")
def made(backend: backends.Backend, engine_bin: Path, tmp_path_factory: pytest.TempPathFactory) -> Shared:
    return Shared(tmp_path_factory.mktemp("shared"), backend)


@pytest.fixture
def shared(made: Shared, monkeypatch: pytest.MonkeyPatch) -> Shared:
    for name, value in made.variables.items():
        monkeypatch.setenv(name, value)
    return made


def test_what_two_write_at_once_is_kept_and_any_clone_reads_it(shared: Shared) -> None:
    tags = Tags(shared.here)
    with ThreadPoolExecutor() as pool:
        list(pool.map(lambda name: tags.set(STACK, f"wgnode:{name}", f'{{"of": "{name}"}}'), "abc"))
    found = Tags(shared.there).all(STACK)
    assert {name: found.get(f"wgnode:{name}") for name in "abc"} == {name: f'{{"of": "{name}"}}' for name in "abc"}
    tags.remove(STACK, "wgnode:a")
    assert "wgnode:a" not in Tags(shared.there).all(STACK)


def test_who_has_a_stack_since_when_and_from_where_is_told_and_that_one_is_left_alone(shared: Shared) -> None:
    with shared.held(["pulumi", "up", "--yes", "--skip-preview", "--stack", STACK, "--non-interactive"]) as other:
        who = rf"locked by [^@ ]+@{process.host()}, process {other.pid}, since 20\d\d-\d\d-\d\dT[\d:]+"
        with pytest.raises(Locked, match=who):
            Engine(shared.there, Tags(shared.there), patience=0).up(STACK, LINE)
        assert other.poll() is None
    assert other.returncode == 0
    Engine(shared.there, Tags(shared.there), patience=0).up(STACK, LINE)


def test_what_a_killed_run_has_locked_is_taken_up_from_another_clone(shared: Shared) -> None:
    said: list[str] = []
    with shared.held([sys.executable, "-c", RUN, str(shared.here), STACK, LINE.commit]) as run:
        os.killpg(run.pid, signal.SIGKILL)
        run.wait()
        assert Tags(shared.there).read(STACK).lines[-1] == LINE
        Engine(shared.there, Tags(shared.there), said.append, patience=0).up(STACK, LINE)
    assert [line.partition(" dead: ")[0] for line in said] == [
        f"{STACK}: releases the lock of a rollout's own run that is"
    ]


def test_of_two_that_begin_a_rollout_the_second_says_which_one_runs(shared: Shared) -> None:
    say: list[str] = []
    here, there = Tags(shared.here), Tags(shared.there)
    with claimed(here, STACK, "prod", LINE.commit, "run", say.append):
        who = rf"by [^@ ]+@{process.host()} \(process {os.getpid()}\)"
        ours = f"another rollout of prod runs: `rollout run` of commit c0ffee[0-9a-f]+, {who}"
        with pytest.raises(Taken, match=ours), claimed(there, STACK, "prod", LINE.commit, "resume", say.append):
            pass
    assert CLAIM not in there.all(STACK)


def test_a_stack_that_is_not_there_is_told_in_the_engines_own_words(shared: Shared) -> None:
    with pytest.raises(StackError, match=r"^stack 'other': no stack named 'other' found; is this the right backend"):
        Tags(shared.here).all("other")
