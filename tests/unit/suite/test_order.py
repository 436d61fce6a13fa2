"""Workers begin with what takes longest, and end with many small tests, so that none waits for the other."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests import conftest
from tools import ROOT

pytest_plugins = ["pytester"]


class Item:
    """As much of pytest's as the order asks for."""

    def __init__(self, file: str, *, lab: bool) -> None:
        self.path, self.lab = Path(file), lab

    def get_closest_marker(self, name: str) -> object:
        return (name == "lab" and self.lab) or None


def ordered(config: SimpleNamespace, *items: Item) -> list[str]:
    given: list[Any] = list(items)
    conftest.pytest_collection_modifyitems(config, given)  # type: ignore[arg-type]
    return [item.path.stem for item in given]


def test_workers_begin_with_the_longest_files_and_end_with_units() -> None:
    longest, longer = conftest.LONGEST[:2]
    files = [Item("u.py", lab=False), Item("any.py", lab=True), *(Item(f"{n}.py", lab=True) for n in (longer, longest))]
    assert ordered(SimpleNamespace(workerinput={}), *files) == [longest, longer, "any", "u"]


def test_without_workers_the_quick_ones_come_first() -> None:
    assert ordered(SimpleNamespace(), Item("any.py", lab=True), Item("u.py", lab=False)) == ["u", "any"]


@pytest.mark.parametrize("name", conftest.LONGEST)
def test_the_longest_files_are_there(name: str) -> None:
    assert list((ROOT / "tests" / "lab").rglob(f"{name}.py"))


CONFTEST = "from tests.conftest import pytest_xdist_make_scheduler"
FILE = "import pytest, time\n@pytest.mark.parametrize('n', range(6))\ndef test_x(n): time.sleep(0.05)\n"


def test_a_file_of_lab_tests_stays_in_one_worker(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    pytester.makeconftest(CONFTEST)
    for name in ("lab/test_a", "lab/scenarios/test_b", "unit/test_c"):
        path = pytester.path / "tests" / f"{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(FILE)
    done = pytester.runpytest_subprocess(
        *("-n", "2", "--dist", "loadscope", "--import-mode=importlib", "-p", "no:cacheprovider", "-v", "tests")
    )
    ran = re.findall(r"\[(gw\d)\] .*PASSED tests/(\S+)\.py", done.stdout.str())
    workers = {file: {worker for worker, one in ran if one == file} for _, file in ran}
    assert len(ran) == 18
    assert {file: len(found) for file, found in workers.items() if "lab" in file} == {
        "lab/test_a": 1,
        "lab/scenarios/test_b": 1,
    }
