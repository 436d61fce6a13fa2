"""What is made of the path MTU benchmark's figures: goals on both sides of their limits, a table, a picture."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree

import pytest

from tests.bench.pathmtu import chart, report
from tests.bench.pathmtu.ask import Found, _found
from tests.bench.pathmtu.instructions import references
from tests.bench.pathmtu.report import Results
from tests.bench.pathmtu.runs import Change, Goodput, Kept


def measured(**changes: object) -> Results:
    """Each goal just met."""
    results = Results(
        goodput={
            "ours": [Goodput(9.9, 19.8, 1280, 1440, 0.0)],
            "by hand": [Goodput(10.0, 20.0, 1280, 1440, 0.0)],
            "fixed 1420": [Goodput(0.0, 0.0, 0, 0, 0.0)],
        },
        wide={"ours": [Goodput(9.9, 9.9, 1500, 1500, 0.0)], "by hand": [Goodput(10.0, 10.0, 1500, 1500, 0.0)]},
        on_ladder=[Found(1.0, 3.0, 40 * 1440, 1440)],
        between=[Found(2.0, 3.0, 40 * 1371, 1371)],
        changes=[Change(3.0, 1340)],
        kept=[Kept(2.0, 0.01, 0)],
        cost={True: [0.99], False: [1.0]},
        instructions={"send 64": (1010.0, 1000.0), "receive 64": (900.0, 1000.0)},
    )
    for name, value in changes.items():
        setattr(results, name, value)
    return results


def missed(results: Results) -> list[str]:
    return [goal.words.split(",")[0].split(":")[0] for goal in report.goals(results) if not goal.met]


def test_all_goals_are_met_at_their_limits_and_none_by_what_was_not_measured() -> None:
    assert missed(measured()) == []
    assert {goal.met for goal in report.goals(Results())} == {None}


@pytest.mark.parametrize(
    ("changes", "goal"),
    [
        (
            {"wide": {name: [Goodput(rate, 10.0, 1, 1, 0.0)] for name, rate in (("ours", 9.89), ("by hand", 10.0))}},
            "goodput up over 1",
        ),
        ({"on_ladder": [Found(1.01, 2.0, 1, 1440)]}, "full-size traffic after the handshake"),
        ({"on_ladder": [Found(0.1, 0.1, 1, 1440), None]}, "full-size traffic after the handshake"),
        ({"between": [Found(0.1, 3.01, 1, 1440)]}, "within 4 bytes"),
        ({"between": [None]}, "within 4 bytes"),
        ({"between": [Found(0.1, 0.1, 40 * 1371 + 1, 1371)]}, "probes of a search"),
        ({"changes": [Change(None, 1440)]}, "half of a flow's rate again after a fall in its middle"),
        ({"changes": [Change(3.01, 1340)]}, "half of a flow's rate again after a fall in its middle"),
        ({"kept": [Kept(2.1, 0.0, 0)]}, "5 % loss"),
        ({"kept": [Kept(0.0, 0.011, 0)]}, "to keep it"),
        ({"kept": [Kept(0.0, 0.0, 1)]}, "to keep it"),
        ({"cost": {True: [0.98], False: [1.0]}}, "throughput by processor time"),
        (
            {"instructions": {"send 64": (1000.0, 1000.0), "receive 64": (1011.0, 1000.0)}},
            "instructions for a lone packet",
        ),
    ],
)
def test_a_goal_is_missed_beyond_its_limit(changes: dict[str, object], goal: str) -> None:
    assert goal in missed(measured(**changes))


@pytest.mark.parametrize(("up", "down", "goal"), [(9.89, 20.0, "goodput up"), (10.0, 19.79, "goodput down")])
def test_each_direction_has_to_reach_what_is_tuned_by_hand(up: float, down: float, goal: str) -> None:
    runs = {"ours": [Goodput(up, down, 1, 1, 0.0)], "by hand": [Goodput(10.0, 20.0, 1, 1, 0.0)]}
    assert missed(measured(goodput=runs)) == [goal]


def test_the_table_has_each_contender_and_each_goal() -> None:
    text = report.text(measured(kept=[]))
    assert "ours                9.90   19.80        1280  1440" in text
    head, *rows = text.partition("\n\n")[2].splitlines()
    assert head.split() == ["goal", "wanted", "found", "met"]
    assert len(rows) == len(list(report.goals(measured())))
    assert [row.split("  ")[-1].strip() for row in rows if row.startswith(("goodput up,", "5 % loss"))] == ["met", "-"]
    assert "at least 0.99  0.990" in " ".join(text.split("tuned by hand")[1:])


def test_the_picture_is_one_and_its_longest_bar_is_the_best() -> None:
    root = ElementTree.fromstring(chart.svg({"ours": (10.0, 20.0), "a & b": (0.0, 5.0)}, "x < y"))
    bars = [float(each.get("width", "0")) for each in root.iter("{http://www.w3.org/2000/svg}rect")][1:]
    assert bars == [chart.BARS / 2, chart.BARS, 1.0, chart.BARS / 4]


@pytest.mark.parametrize(
    ("sizes", "near", "exact"),
    [
        ([1280, 1440], 0.2, 0.2),
        ([1440], 0.1, 0.1),
        ([1280, 1430, 1438], 0.3, 0.3),
        ([1440, 1430, 1440], 0.3, 0.3),  # it has to stay
        ([1420, 1431, 1437], 0.2, 0.3),
    ],
)
def test_when_a_size_was_found_is_when_it_came_to_stay(sizes: list[int], near: float, exact: float) -> None:
    """Near is 1,431 and more here, exact 1,437 to 1,440."""
    steps = [{"size": size, "evidence": "probe", "since": 100.1 + number / 10} for number, size in enumerate(sizes)]
    told = {"last_handshake": 100.0, "path_mtu": {**steps[-1], "history": steps[:-1], "spent": 7}}
    found = _found(told, 1440, 1431)
    assert (round(found.near, 3), round(found.exact, 3), found.spent) == (near, exact, 7)


def test_instructions_are_read_of_what_callgrind_writes() -> None:
    assert references("==4249== \n==4249== I   refs:      5,910,290\n") == 5_910_290
    with pytest.raises(ValueError, match="callgrind counts nothing: valgrind: no program"):
        references("valgrind: no program")
