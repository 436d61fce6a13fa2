"""The rounds: each implementation in turn is started, measured, and removed."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.bench.dataplane import implementations, pair, quiet
from tests.bench.dataplane.measurements import MEASUREMENTS, Measurement
from tests.bench.dataplane.pair import Failed, Pair
from tests.bench.dataplane.results import Failure, Results, Sample
from tools.progress import StepFailed

Say = Callable[[str], None]


@dataclass(frozen=True)
class Settings:
    """`seconds` of one measurement; `inner` and `outer` are address families; `patience` (s) is for the machine to
    calm down before each measurement."""

    implementations: Sequence[str]
    tests: Sequence[str]
    rounds: int = 3
    seconds: int = 3
    inner: int = 4
    outer: int = 4
    patience: float = 8.0


def run(settings: Settings, results: Results, directory: Path, say: Say) -> None:
    """Adds to `results`, so that an interrupted run keeps what it has. `directory` is for logs and keys."""
    results.settings = asdict(settings)
    present = build(settings.implementations, results, say)
    for number in range(1, settings.rounds + 1):
        for name in present:
            for renewing in (False, True):
                if chosen := _chosen(settings, name, renewing):
                    folder = directory / f"{number}-{name}{'-renewing' if renewing else ''}"
                    folder.mkdir()
                    Run(settings, results, say, name, number).all(chosen, folder)


def build(names: Sequence[str], results: Results, say: Say) -> list[str]:
    """Those that can take part, built where they were not; why others can't goes to `results`."""
    for name in names:
        try:
            implementations.programs(name)
        except (implementations.Missing, StepFailed) as error:
            results.missing[name] = str(error)
            say(f"{name} is left out: {error}")
    return [name for name in names if name not in results.missing]


def _chosen(settings: Settings, name: str, renewing: bool) -> list[Measurement]:
    wanted = [MEASUREMENTS[test] for test in settings.tests if MEASUREMENTS[test].renewing is renewing]
    return [] if renewing and not implementations.renews(name) else wanted


@dataclass(frozen=True)
class Run:
    """One implementation in one round."""

    settings: Settings
    results: Results
    say: Say
    name: str
    round: int

    def all(self, measurements: Sequence[Measurement], directory: Path) -> None:
        programs = implementations.programs(self.name, renewing=measurements[0].renewing)
        try:
            with pair.running(programs, self.settings.inner, self.settings.outer, directory) as running:
                self._say(f"in {running.one.name} and {running.two.name}")
                for measurement in measurements:
                    if not self._one(measurement, running):
                        break
        except (Failed, AssertionError, subprocess.TimeoutExpired) as error:
            self._fail("", error)

    def _one(self, measurement: Measurement, running: Pair) -> bool:
        """Whether there is still something to measure after it."""
        try:
            sample = self._measure(measurement, running)
            if sample.noisy:
                self._say(f"{measurement.name} again: others used {sample.foreign:.2f} processors")
                sample = min(sample, self._measure(measurement, running), key=lambda each: each.foreign)
        except Failed as error:
            died = running.death()
            self._fail(measurement.name, died or error)
            return died is None
        self.results.samples.append(sample)
        self._say(describe(measurement, sample))
        return True

    def _measure(self, measurement: Measurement, running: Pair) -> Sample:
        ours = running.namespaces()
        quiet.wait_until_calm(ours, self.settings.patience)
        before, watch = running.processor(), quiet.Watch(ours)
        reading = measurement.run(running, self.settings.seconds)
        foreign, stolen = watch.foreign(), watch.stolen()
        used = [after - begin for begin, after in zip(before, running.processor(), strict=True)]
        return Sample(
            self.name,
            measurement.name,
            self.round,
            reading.value,
            reading.more,
            used,
            running.resident(),
            round(foreign, 3),
            round(stolen, 3),
            noisy=foreign >= quiet.NOISY,
        )

    def _fail(self, test: str, error: Exception) -> None:
        self.results.failures.append(Failure(self.name, test, self.round, str(error)))
        self._say(f"{test or 'the pair'}: {error}")

    def _say(self, text: str) -> None:
        self.say(f"round {self.round} of {self.settings.rounds}: {self.name}: {text}")


def describe(measurement: Measurement, sample: Sample) -> str:
    """One line of progress."""
    parts = [f"{measurement.name} {sample.value:.3g} {measurement.unit}"]
    if (p99 := sample.figure("p99")) is not None:
        parts.append(f"p99 {p99:.3g}")
    if (cost := sample.figure("per_gigabyte")) is not None:
        parts.append(f"{cost:.2f} s/GB")
    if sample.resident:
        parts.append(f"{max(sample.resident):.0f} MB")
    return ", ".join([*parts, *(["noisy"] if sample.noisy else [])])
