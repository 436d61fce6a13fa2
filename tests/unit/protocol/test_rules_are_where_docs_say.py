"""docs/protocol.md names code and tests that exist, and every public part of the protocol's rules is in it."""

from __future__ import annotations

import ast
import importlib
import re
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).parents[3]
COMPILED = ROOT / "fastpath" / "src"
TABLES = [
    [[cell.strip() for cell in line.split("|")[1:-1]] for line in table.splitlines()]
    for table in re.findall(r"(?:^\|.*\n?)+", (ROOT / "docs" / "protocol.md").read_text(), re.M)
]
ROWS = [row for table in TABLES for row in table[2:]]
NAME = re.compile(r"`([\w.]+)`")
TWIN = "compiled twin"
TWINS = [row[table[0].index(TWIN)] for table in TABLES if TWIN in table[0] for row in table[2:]]


def resolve(dotted: str) -> object:
    module, *path = dotted.split(".")
    package = "dataplane" if module.startswith("plain") else "protocol"
    found: object = importlib.import_module(f"wgnode.{package}.{module}")
    for part in path:
        found = getattr(found, part)
    return found


def existing_tests() -> set[str]:
    names = set[str]()
    for folder in ("unit/protocol", "conformance", "fuzz"):
        for path in (ROOT / "tests" / folder).glob("test_*.py"):
            for node in ast.parse(path.read_text()).body:
                if isinstance(node, ast.FunctionDef):
                    names.add(node.name)
                elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
                    names.add(node.target.id)
    return names


def test_the_code_that_keeps_each_rule_exists() -> None:
    assert len(ROWS) > 50
    for table in TABLES:
        keeps = next(at for at, head in enumerate(table[0]) if head in ("code", "kept by"))
        assert_code_exists(row[keeps] for row in table[2:])


def assert_code_exists(cells: Iterable[str]) -> None:
    for code in cells:
        names = NAME.findall(code)
        assert names, code
        for name in names:
            assert callable(resolve(name)), name


def test_the_test_that_shows_each_rule_exists() -> None:
    existing = existing_tests()
    for *_, shown_by in ROWS:
        names = NAME.findall(shown_by)
        assert names, shown_by
        assert set(names) <= existing, set(names) - existing


def test_the_compiled_twin_of_each_rule_exists() -> None:
    named = [name for cell in TWINS for name in re.findall(r"`([^`]*)`", cell)]
    assert len(named) > 25
    for name in named:
        file, _, function = name.partition("::")
        assert (COMPILED / file).is_file(), name
        assert re.search(rf"\bfn {function}\b", (COMPILED / file).read_text()), name
