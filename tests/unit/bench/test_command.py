"""What the commands take, which programs they mean, and how the page of figures is renewed."""

from __future__ import annotations

import itertools
import sys
from pathlib import Path

import pytest

from tests.bench.dataplane import document, implementations, scale
from tests.bench.dataplane.__main__ import arguments
from tests.bench.dataplane.document import BEGIN, END, with_section
from tests.bench.dataplane.implementations import CABLE, Missing, check, programs, renews
from tests.unit.bench.samples import MACHINE, run, sample
from tools.fastpath import wheel


def test_names_of_implementations_and_pairs_are_taken_and_others_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert arguments(["--implementations", "none,fast+wireguard-go"]).implementations == ["none", "fast+wireguard-go"]
    for wrong in ("fast+", "kernel", "none+fast", "fast+none", "fast+fast+fast"):
        with pytest.raises(ValueError, match="no implementation"):
            check(wrong)
    with pytest.raises(SystemExit):
        arguments(["--implementations", "wireguard"])
    assert "no implementation 'wireguard'; choose of none, wireguard-go" in capsys.readouterr().err


@pytest.mark.parametrize("words", [["--tests", "tcp9"], ["--rounds", "0"], ["--seconds", "1.5"], ["--inner", "5"]])
def test_what_can_not_be_measured_is_refused(words: list[str]) -> None:
    with pytest.raises(SystemExit):
        arguments(words)


def test_unlike_ends_are_two_programs_and_the_cable_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(implementations, "_PROGRAMS", {name: lambda renewing, name=name: name for name in ("a", "b")})
    assert [*(programs("a+b") or ()), *(programs("a") or ())] == ["a", "b", "a", "a"]
    assert programs(CABLE) is None


def test_who_begins_must_be_ours_to_renew_soon() -> None:
    assert renews("python+wireguard-go")
    assert not renews("wireguard-go+python")
    assert not renews(CABLE)


def test_ours_runs_by_its_own_command_and_quietly() -> None:
    both = programs("python")
    assert both is not None
    assert [str(word) for word in both[0].command("wg9")][3:6] == ["device", "wg9", "-f"]
    assert both[0].environment == {"LOG_LEVEL": "error"}
    renewing = programs("python", renewing=True)
    assert renewing is not None
    assert "REKEY_AFTER_TIME = 2.0" in str(renewing[0].command("wg9")[2])


def test_a_data_plane_that_is_not_there_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "wgnode_fastpath", None)
    with pytest.raises(Missing, match="the compiled data plane is not installed"):
        programs("fast")


def test_the_bound_is_a_build_of_its_own_before_the_installed_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "wgnode_fastpath", type("Extension", (), {}))
    monkeypatch.setattr(wheel, "ensure_bound", lambda: tmp_path)
    monkeypatch.setattr(wheel, "why_not", lambda: "no Cargo")
    with pytest.raises(Missing, match="is not built: no Cargo"):
        programs("fast-null")
    monkeypatch.setattr(wheel, "why_not", lambda: None)
    both = programs("fast-null")
    assert both is not None
    assert both[0].environment["PYTHONPATH"] == str(tmp_path)
    assert both[0].environment["WGNODE_CRYPTO"] == "null"
    ring = programs("fast-ring")
    assert ring is not None
    assert ring[0].environment["WGNODE_CRYPTO"] == "ring"


def test_the_page_keeps_what_is_around_its_section() -> None:
    page = with_section("# Title\n\ntext\n", "old\n")
    assert page == f"# Title\n\ntext\n\n{BEGIN}\nold\n{END}\n"
    page += "\nby hand\n"
    assert with_section(page, "new") == f"# Title\n\ntext\n\n{BEGIN}\nnew\n{END}\n\nby hand\n"


@pytest.mark.parametrize("page", [BEGIN, END, f"{END} {BEGIN}"])
def test_a_page_with_half_a_section_is_refused(page: str) -> None:
    with pytest.raises(ValueError, match="marks"):
        with_section(page, "new")


def test_the_page_is_written_from_a_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run(sample("fast", "tcp", 1, 6.25)).write(tmp_path / "run.json")
    (page := tmp_path / "page.md").write_text("# Before\n")
    monkeypatch.setattr("sys.argv", ["document", str(tmp_path / "run.json"), "--page", str(page)])
    document.main()
    assert page.read_text().startswith("# Before\n")
    assert "| fast | 6.25 |" in page.read_text()
    assert "](dataplane.svg)" in page.read_text()
    assert "6.25" in (tmp_path / "dataplane.svg").read_text()


def test_routes_are_dealt_to_all_peers_and_do_not_overlap() -> None:
    routes = scale.networks(peers=7, routes=100)
    assert {peer for peer, _ in routes} == set(range(7))
    ordered = sorted(network for _, network in routes)
    assert not any(one.overlaps(two) for one, two in itertools.pairwise(ordered))
    text = scale.configuration("private", [f"key{number}" for number in range(7)], routes)
    assert text.count("[Peer]") == 7
    assert text.count("/") == 100
    assert 0 < scale.python_lookup(routes) < 1000


def test_goals_of_size_are_those_of_the_compiled_plane() -> None:
    full = scale.Scale("fast", 2, 3, 20.0, 80.0, 1.0, 1.0, 0.31)
    text = scale.markdown([full, scale.Scale("python", 2, 3, 20.0, 120.0, 1.0, 1.0, None)], MACHINE)
    assert "| fast | 20.0 | 80.0 | 1.00 | 1.00 | 0.310 **missed** |" in text
    assert "| python | 20.0 | 120 | 1.00 | 1.00 | not timed |" in text
