"""docs/protocol.md names code and tests that exist, and every public part of the protocol's rules is in it."""

from __future__ import annotations

import ast
import importlib
import re
from pathlib import Path

ROOT = Path(__file__).parents[3]
ROWS = [
    line.split("|")[1:-1]
    for line in (ROOT / "docs" / "protocol.md").read_text().splitlines()
    if "`" in line and line.startswith("|")
]
NAME = re.compile(r"`([\w.]+)`")


def resolve(dotted: str) -> object:
    module, *path = dotted.split(".")
    found: object = importlib.import_module(f"wgnode.protocol.{module}")
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
    for *_, code, _tests in ROWS:
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
