"""Workers begin with what takes longest, and end with many small tests, so that none waits for the other."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests import conftest
from tools import ROOT


class Item:
    """As much of pytest's as the order asks for."""

    def __init__(self, file: str, *, lab: bool) -> None:
        self.path, self.lab, self.groups = Path(file), lab, []

    def get_closest_marker(self, name: str) -> object:
        return (name == "lab" and self.lab) or None

    def add_marker(self, mark: Any) -> None:
        self.groups += mark.args


def ordered(config: SimpleNamespace, *items: Item) -> list[str]:
    given: list[Any] = list(items)
    conftest.pytest_collection_modifyitems(config, given)  # type: ignore[arg-type]
    return [item.path.stem for item in given]


def test_workers_begin_with_the_longest_files_and_end_with_units() -> None:
    longest, longer = conftest.LONGEST[:2]
    files = [Item("u.py", lab=False), Item("any.py", lab=True), *(Item(f"{n}.py", lab=True) for n in (longer, longest))]
    assert ordered(SimpleNamespace(workerinput={}), *files) == [longest, longer, "any", "u"]
    assert [file.groups for file in files] == [[], ["any"], [longer], [longest]], "a file of lab tests stays together"


def test_without_workers_the_quick_ones_come_first() -> None:
    assert ordered(SimpleNamespace(), Item("any.py", lab=True), Item("u.py", lab=False)) == ["u", "any"]


@pytest.mark.parametrize("name", conftest.LONGEST)
def test_the_longest_files_are_there(name: str) -> None:
    assert list((ROOT / "tests" / "lab").rglob(f"{name}.py"))
