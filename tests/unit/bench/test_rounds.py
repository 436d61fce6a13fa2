"""The rounds: what fails is reported and the rest goes on, and a noisy measurement is taken again, once."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.bench.dataplane import gateways, implementations, pair, quiet, rounds
from tests.bench.dataplane.measurements import Measurement, Reading
from tests.bench.dataplane.pair import Failed, Pair
from tests.bench.dataplane.results import Results
from tests.bench.dataplane.rounds import Settings

Measure = Callable[[Pair, int], Reading]


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    """A machine that is calm, where every implementation is a shell script that stays until it is told to end."""
    monkeypatch.setattr(implementations, "programs", lambda name, renewing=False: name)
    monkeypatch.setattr(Pair, "namespaces", lambda self: set())
    monkeypatch.setattr(quiet, "wait_until_calm", lambda ours, patience: True)
    monkeypatch.setattr(quiet.Watch, "foreign", lambda self: 0.0)
    monkeypatch.setattr(pair, "running", script("echo started >&2; read line; echo boom >&2; exit 3"))
    return []


def script(text: str) -> Callable[..., Any]:
    @contextmanager
    def running(name: str, inner: int, outer: int, directory: Path) -> Iterator[Pair]:
        log = directory / "log"
        with (
            log.open("w") as output,
            subprocess.Popen(["sh", "-c", text], stdin=subprocess.PIPE, stderr=output) as process,
        ):
            space: Any = SimpleNamespace(name="somewhere")
            node: Any = SimpleNamespace(name=name, process=process, log=log)
            try:
                yield Pair(space, space, (node,), "10.9.0.2", directory)
            finally:
                process.kill()

    return running


def end(running: Pair) -> None:
    """The script's process, and wait until it is no more."""
    process = running.nodes[0].process
    assert process.stdin is not None
    process.stdin.close()
    process.wait(5)


def measured_by(monkeypatch: pytest.MonkeyPatch, **tests: Measure) -> tuple[str, ...]:
    """The names of tests that are measured by these functions."""
    made = {name: Measurement(name, name, "x", run, renewing=name == "renewals") for name, run in tests.items()}
    monkeypatch.setattr(rounds, "MEASUREMENTS", made)
    return tuple(tests)


def always(value: float) -> Measure:
    return lambda running, seconds: Reading(value)


def fails(running: Pair, seconds: int) -> Reading:
    raise Failed("iperf3: no")


def run(said: list[str], directory: Path, implementations: str, tests: tuple[str, ...], **settings: Any) -> Results:
    results = Results({}, {})
    rounds.run(Settings(implementations.split(), tests, **{"rounds": 1, **settings}), results, directory, said.append)
    return results


def test_rounds_interleave_the_implementations(
    said: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tests = measured_by(monkeypatch, one=lambda running, seconds: Reading(seconds))
    found = run(said, tmp_path, "a b", tests, rounds=2, seconds=7)
    order = [(sample.round, sample.implementation, sample.value) for sample in found.samples]
    assert order == [(1, "a", 7), (1, "b", 7), (2, "a", 7), (2, "b", 7)]
    assert found.failures == []


def test_one_that_dies_is_reported_with_the_end_of_its_log_and_the_others_go_on(
    said: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def dies(running: Pair, seconds: int) -> Reading:
        if running.nodes[0].name == "a":
            end(running)
            raise Failed("no ping is answered")
        return Reading(1)

    found = run(said, tmp_path, "a b", measured_by(monkeypatch, one=dies, two=always(2)))
    (failure,) = found.failures
    assert (failure.implementation, failure.test, failure.round) == ("a", "one", 1)
    assert failure.reason == "a at A ended with exit status 3\nstarted\nboom"
    assert [(sample.implementation, sample.test) for sample in found.samples] == [("b", "one"), ("b", "two")]
    assert any("boom" in line for line in said)


def test_one_that_dies_though_its_measurement_succeeds_is_no_figure(
    said: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def dies(running: Pair, seconds: int) -> Reading:
        end(running)
        return Reading(1)

    found = run(said, tmp_path, "a", measured_by(monkeypatch, one=dies))
    assert found.samples == []
    assert "exit status 3" in found.failures[0].reason


def test_a_measurement_that_fails_leaves_the_others_of_a_node_that_lives(
    said: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = run(said, tmp_path, "a", measured_by(monkeypatch, one=fails, two=always(2)))
    assert [failure.reason for failure in found.failures] == ["iperf3: no"]
    assert [sample.test for sample in found.samples] == ["two"]


def test_one_that_can_not_start_is_reported_and_the_others_go_on(
    said: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    works = pair.running

    @contextmanager
    def running(name: Any, *more: Any) -> Iterator[Pair]:
        if name == "a":
            raise Failed("a node does not start: bad option")
        with works(name, *more) as made:
            yield made

    monkeypatch.setattr(pair, "running", running)
    found = run(said, tmp_path, "a b", measured_by(monkeypatch, one=always(1)))
    assert [(failure.implementation, failure.test) for failure in found.failures] == [("a", "")]
    assert [sample.implementation for sample in found.samples] == ["b"]


def test_one_that_is_not_there_is_left_out_and_said(
    said: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def programs(name: str, renewing: bool = False) -> str:
        if name == "a":
            raise implementations.Missing("no cargo new enough")
        return name

    monkeypatch.setattr(implementations, "programs", programs)
    found = run(said, tmp_path, "a b", measured_by(monkeypatch, one=always(1)))
    assert found.missing == {"a": "no cargo new enough"}
    assert [sample.implementation for sample in found.samples] == ["b"]
    assert said[0] == "a is left out: no cargo new enough"


@pytest.mark.parametrize(
    ("foreign", "kept", "noisy"),
    [([quiet.NOISY - 0.01], 1, False), ([quiet.NOISY, 0.0], 2, False), ([0.9, 0.5], 2, True), ([0.5, 0.9], 1, True)],
)
def test_a_noisy_measurement_is_repeated_once_and_the_quieter_kept(
    said: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    foreign: list[float],
    kept: int,
    noisy: bool,
) -> None:
    times, figures = iter(foreign), iter((1, 2, 3))
    monkeypatch.setattr(quiet.Watch, "foreign", lambda self: next(times))
    tests = measured_by(monkeypatch, one=lambda running, seconds: Reading(next(figures)))
    (sample,) = run(said, tmp_path, "a", tests).samples
    assert (sample.value, sample.noisy) == (kept, noisy)
    assert next(times, None) is None


def test_only_ours_renews_sessions_and_in_a_pair_of_its_own(
    said: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    built: list[tuple[str, bool]] = []

    def programs(name: str, renewing: bool = False) -> str:
        built.append((name, renewing))
        return name

    monkeypatch.setattr(implementations, "programs", programs)
    found = run(said, tmp_path, "wireguard-go python", measured_by(monkeypatch, tcp=always(1), renewals=always(1)))
    looked_for, used = built[:2], built[2:]
    assert looked_for == used[:2] == [("wireguard-go", False), ("python", False)]
    assert used[2:] == [("python", True)]
    measured = [(sample.implementation, sample.test) for sample in found.samples]
    assert measured == [("wireguard-go", "tcp"), ("python", "tcp"), ("python", "renewals")]


def test_gateways_follow_in_each_round_and_have_samples_of_their_own(
    said: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def variant(name: str) -> Any:
        return SimpleNamespace(name=name, running=lambda folder: pair.running(name, 4, 4, folder))

    monkeypatch.setattr(gateways, "prepared", lambda *more: [variant("process-python"), variant("process-fast")])
    monkeypatch.setattr(gateways, "MEASURED", (Measurement("tcp", "tcp", "x", always(3)),))
    tests = (*measured_by(monkeypatch, one=always(1)), gateways.TEST)
    found = run(said, tmp_path, "python fast", tests, rounds=2)
    assert [sample.implementation for sample in found.samples] == ["python", "fast"] * 2
    assert [(sample.round, sample.implementation) for sample in found.gateways] == [
        (1, "process-python"),
        (1, "process-fast"),
        (2, "process-python"),
        (2, "process-fast"),
    ]
    assert found.failures == []


def test_gateways_are_left_out_without_both_data_planes(
    said: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gateways, "prepared", lambda *more: pytest.fail("gateways were prepared"))
    tests = (*measured_by(monkeypatch, one=always(1)), gateways.TEST)
    assert len(run(said, tmp_path, "wireguard-go fast", tests).samples) == 2
    assert said[0] == "gateway to gateway is left out: it takes both of python, fast"


def test_gateways_alone_need_only_the_data_planes() -> None:
    names = ["wireguard-go", "python", "fast", "fast-null"]
    assert Settings(names, [gateways.TEST]).needed == ["python", "fast"]
    assert Settings(names, ["tcp", gateways.TEST]).needed == names
