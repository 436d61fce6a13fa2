"""A run as Markdown and as a picture: what was measured, what was missed, what could not be."""

from __future__ import annotations

from dataclasses import replace
from xml.etree import ElementTree

import pytest

from tests.bench.dataplane import chart, goals
from tests.bench.dataplane.goals import GOALS, judge
from tests.bench.dataplane.measurements import MEASUREMENTS
from tests.bench.dataplane.report import markdown, number
from tests.bench.dataplane.results import Failure
from tests.unit.bench.samples import run, sample

TWO = (
    sample("none", "tcp", 1, 30, processor=[], resident=[]),
    sample("wireguard-go", "tcp", 1, 2.5, more={"gigabytes": 0.6}, resident=[500.0, 600.0]),
    sample("fast", "tcp", 1, 6.25, more={"gigabytes": 3.0}),
    sample("wireguard-go", "ping-idle", 1, 0.2, more={"p99": 0.5}),
    sample("fast", "ping-idle", 1, 0.1, more={"p99": 0.3}, noisy=True),
)


def verdicts(*samples: object, **machine: str) -> dict[tuple[str, str], str]:
    found = run(*samples, **machine)  # type: ignore[arg-type]
    return {(verdict.goal.title, verdict.goal.implementation): verdict.note for verdict in judge(found)}


def test_tables_have_medians_and_ratios_and_only_columns_that_were_measured() -> None:
    text = markdown(run(*TWO))
    assert "| fast | 6.25 (×2.50) |" in text
    assert "|  | one TCP flow, A to B |\n" in text
    assert "| fast | 1.00 (×0.200) |" in text  # processor seconds per GB
    assert "| fast | 0.100° (×0.500), 0.300 |" in text
    assert "| wireguard-go | 600 |" in text
    assert "IPv4 inside IPv6" in text


def test_the_cable_has_neither_processor_time_nor_memory() -> None:
    text = markdown(run(*TWO))
    assert text.count("| none |") == 1


def test_failures_and_the_missing_are_told_with_the_log() -> None:
    found = run(*TWO)
    found.missing["fast-null"] = "no such build"
    found.failures.append(
        Failure("gotatun", "tcp8", 2, "gotatun at A ended with exit status 101\nthread panicked\nbye")
    )
    text = markdown(found)
    assert "- fast-null took no part: no such build" in text
    assert "- gotatun, tcp8, round 2: gotatun at A ended with exit status 101\n  `thread panicked`\n  `bye`" in text
    assert "What was not measured" not in markdown(run(*TWO))


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0123, "0.0123"), (0.9996, "1.00"), (9.996, "10.0"), (99.96, "100"), (1234.5, "1234"), (0, "0")],
)
def test_numbers_have_three_digits_that_count(value: float, text: str) -> None:
    assert number(value) == text


def test_a_goal_is_met_at_its_limit_and_missed_beyond_it() -> None:
    at_least = next(goal for goal in GOALS if goal.at_least)
    at_most = next(goal for goal in GOALS if not goal.at_least)
    assert at_least.met(at_least.limit)
    assert not at_least.met(at_least.limit * 0.999)
    assert at_most.met(at_most.limit)
    assert not at_most.met(at_most.limit * 1.001)


def test_goals_are_judged_by_the_ratio_to_the_reference_of_the_same_round() -> None:
    title = "one flow A to B, to wireguard-go"
    assert verdicts(*TWO)[title, "fast"] == "met"
    slower = replace(TWO[2], value=6.24)
    assert verdicts(TWO[1], slower)[title, "fast"] == "missed"
    assert verdicts(TWO[1])[title, "fast"] == "not measured"
    assert verdicts(*TWO, avx512="no")[title, "fast"] == "no AVX-512 here"
    assert verdicts(*TWO, avx512="no")["ping, idle, to wireguard-go", "fast"] == "met"


def test_goals_against_others_take_their_rounds() -> None:
    found = verdicts(*TWO, sample("gotatun", "tcp", 1, 1.04), sample("boringtun", "tcp", 1, 0.63))
    assert found["one flow, to gotatun", "fast"] == "met"
    assert found["one flow, to boringtun", "fast"] == "missed"


def test_goals_of_implementations_that_were_not_asked_for_are_not_told() -> None:
    found = run(*TWO)
    found.settings["implementations"] = ["wireguard-go", "python"]
    assert {verdict.goal.implementation for verdict in judge(found)} == {"python"}
    found.settings["implementations"] = ["wireguard-go"]
    assert "Goals" not in markdown(found)


def test_every_goal_names_a_measurement_that_exists() -> None:
    """With every figure there, each is met or missed."""
    names = ("wireguard-go", "gotatun", "boringtun", "python", "fast", "fast-ring")
    everything = [sample(name, test, 1, 1.0, more={"gigabytes": 1.0}) for name in names for test in MEASUREMENTS]
    assert set(verdicts(*everything).values()) == {"met", "missed"}
    assert len(verdicts(*everything)) == len(goals.GOALS)


def test_the_picture_is_well_formed_and_has_each_figure() -> None:
    found = run(*TWO)
    root = ElementTree.fromstring(chart.svg(found))
    texts = [element.text for element in root.iter() if element.tag.endswith("text")]
    assert {"one TCP flow, A to B, Gbit/s", "fast", "6.25 (×2.50)", "30.0 (×12.0) →", "2.50"} <= set(texts)
    assert "prefers-color-scheme: dark" in chart.svg(found)


def test_bars_are_as_long_as_their_figures_and_stay_in_their_panel() -> None:
    (panel, *_) = chart.panels(run(*TWO))
    assert panel.scale == 6.25  # the cable's 30 competes with nobody
    root = ElementTree.fromstring(chart.svg(run(*TWO)))
    bars = [element for element in root.iter() if element.get("class") in ("ours", "other", "bound")][:3]
    widths = [float(bar.attrib["width"]) for bar in bars]
    assert widths[0] == widths[2] == chart.PANEL - chart.LABEL - chart.VALUE
    assert widths[1] == pytest.approx(widths[2] * 2.5 / 6.25, abs=0.1)
