"""A rollout while it goes on, and its reports: a table on a terminal, lines elsewhere, JSON and Markdown at the end."""

from __future__ import annotations

import io
import json

import pytest

from pulumi_wgnode.operations.rolling import outcome
from pulumi_wgnode.operations.rolling.outcome import PAUSED, THERE, WENT_BACK, Outcome
from pulumi_wgnode.operations.rolling.progress import Progress
from pulumi_wgnode.operations.sections import COMMENT
from tests.unit.rollout.worlds import plan
from wgnode.rollout.course import Facts
from wgnode.rollout.facts import Where
from wgnode.rollout.steps import Apply, Ended, Paused

PLAN = plan(("dev-a",), ("dev-b", "dev-c"))
FACTS = Facts(
    {"dev-mesh": Where.NEW, "dev-a": Where.NEW, "dev-b": Where.OLD, "dev-c": Where.OLD}, away=frozenset({"dev-c"})
)


def test_in_a_pipeline_each_step_is_a_line_that_stays() -> None:
    stream = io.StringIO()
    progress = Progress(PLAN.course, stream)
    progress.step(Apply(("dev-b",)), FACTS)
    progress.say("dev-b: applied")
    assert stream.getvalue() == "  0:00 applies the change to dev-b\n  0:00 dev-b: applied\n"
    assert "\x1b" not in stream.getvalue()


def test_on_a_terminal_all_stacks_are_a_table_that_is_drawn_over_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.setenv("LINES", "20")
    stream = io.StringIO()
    progress = Progress(PLAN.course, stream, live=True)
    progress.step(Apply(("dev-b",)), FACTS)
    first = stream.getvalue()
    for line in ("mesh     dev-mesh: done", "canary   dev-a: done", "wave 1   dev-b: up …"):
        assert line in first
    assert "dev-c: as before, its host is away" in first
    progress.say("x" * 200)
    again = stream.getvalue().removeprefix(first)
    assert again.startswith(f"\x1b[{first.count(chr(10))}A")
    assert max(len(line) for line in again.replace("\x1b[2K", "").splitlines()) < 70


def made(end: Ended | Paused, order: str = "run") -> Outcome:
    events = ((0.0, "applies the change to dev-a"),)
    return Outcome(PLAN, order, end, FACTS.places, {"dev-a": 3.21}, {"dev-a": "", "dev-b": "with dev-c: no"}, events)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("end", "order", "code", "word"),
    [
        (Ended(True), "run", THERE, "done"),
        (Ended(False), "run", WENT_BACK, "undone"),
        (Ended(False), "resume", WENT_BACK, "undone"),
        (Ended(False), "undo", THERE, "undone"),
        (Paused("why"), "undo", PAUSED, "paused"),
    ],
)
def test_where_it_ended_is_told_by_the_exit_code_and_in_a_word(
    end: Ended | Paused, order: str, code: int, word: str
) -> None:
    found = made(end, order)
    assert (found.exit_code, found.word) == (code, word)
    assert json.loads(json.dumps(found.to_dict()))["outcome"] == word


def test_a_report_says_why_who_is_owed_and_what_to_say_next() -> None:
    text = outcome.text(made(Paused("the canary is away", {"dev-c": "away"})))
    for words in (
        "paused: the canary is away",
        "Owed:\n  dev-c: away",
        "wgnode rollout resume PLAN",
        "dev-b: with dev-c",
    ):
        assert words in text


def test_a_comment_of_a_thousand_sites_fits() -> None:
    many = made(Paused("x" * 5000, {f"dev-{number}": "y" * 80 for number in range(1000)}))
    assert len(outcome.markdown(many)) <= COMMENT
