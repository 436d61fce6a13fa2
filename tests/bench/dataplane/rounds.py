"""The rounds: each implementation in turn is started, measured, and removed."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.bench.dataplane import gateways, implementations, pair, quiet
from tests.bench.dataplane.measurements import MEASUREMENTS, Measurement
from tests.bench.dataplane.pair import Failed, Pair
from tests.bench.dataplane.results import Failure, Results, Sample
from tools.progress import StepFailed

Say = Callable[[str], None]


@dataclass(frozen=True)
class Settings:
    """`seconds` of one measurement; `inner` and `outer` are address families; `patience` (s) is for the machine to
    calm down before each measurement. `tests` are names of measurements and gateways.TEST, `paths` the gateways'."""

    implementations: Sequence[str]
    tests: Sequence[str]
    rounds: int = 3
    seconds: int = 3
    inner: int = 4
    outer: int = 4
    patience: float = 8.0
    paths: Sequence[str] = gateways.PATHS

    @property
    def needed(self) -> list[str]:
        """Implementations to build: gateways alone don't take them all."""
        alone = set(self.tests) <= {gateways.TEST}
        return [name for name in self.implementations if not alone or name in gateways.PLANES]


def run(settings: Settings, results: Results, directory: Path, say: Say) -> None:
    """Adds to `results`, so that an interrupted run keeps what it has. `directory` is for logs and keys."""
    results.settings = asdict(settings)
    present = build(settings.needed, results, say)
    variants = _variants(settings, present, directory, results, say)
    for number in range(1, settings.rounds + 1):
        for name in present:
            for renewing in (False, True):
                if chosen := _chosen(settings, name, renewing):
                    folder = directory / f"{number}-{name}{'-renewing' if renewing else ''}"
                    folder.mkdir()
                    programs = implementations.programs(name, renewing=renewing)
                    running = pair.running(programs, settings.inner, settings.outer, folder)
                    Run(settings, results, results.samples, say, name, number).all(chosen, running)
        for variant in variants:
            folder = directory / f"{number}-{variant.name}"
            folder.mkdir()
            run = Run(settings, results, results.gateways, say, variant.name, number)
            run.all(gateways.MEASURED, variant.running(folder))


def build(names: Sequence[str], results: Results, say: Say) -> list[str]:
    """Those that can take part, built where they were not; why others can't goes to `results`."""
    for name in names:
        try:
            implementations.programs(name)
        except (implementations.Missing, StepFailed) as error:
            results.missing[name] = str(error)
            say(f"{name} is left out: {error}")
    return [name for name in names if name not in results.missing]


def build_all(settings: Settings, results: Results, say: Say) -> None:
    """What a run would build before it measures."""
    present = build(settings.needed, results, say)
    if gateways.wanted(settings.tests, present) and gateways.MICROVM in settings.paths:
        gateways.build(results, say)


def _variants(
    settings: Settings, present: Sequence[str], directory: Path, results: Results, say: Say
) -> list[gateways.Variant]:
    if gateways.wanted(settings.tests, present):
        return gateways.prepared(settings.paths, directory, results, say)
    if gateways.TEST in settings.tests:
        say(f"gateway to gateway is left out: it takes both of {', '.join(gateways.PLANES)}")
    return []


def _chosen(settings: Settings, name: str, renewing: bool) -> list[Measurement]:
    pairs = [MEASUREMENTS[test] for test in settings.tests if test != gateways.TEST]
    wanted = [measurement for measurement in pairs if measurement.renewing is renewing]
    return [] if renewing and not implementations.renews(name) else wanted


@dataclass(frozen=True)
class Run:
    """One implementation in one round. What is found goes to `samples`, one of the lists of `results`."""

    settings: Settings
    results: Results
    samples: list[Sample]
    say: Say
    name: str
    round: int

    def all(self, measurements: Sequence[Measurement], pair_that_runs: AbstractContextManager[Pair]) -> None:
        try:
            with pair_that_runs as running:
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
        self.samples.append(sample)
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
