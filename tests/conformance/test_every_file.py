"""No published vector is left unused."""

from __future__ import annotations

import ast
from pathlib import Path


def test_every_file_is_read_by_a_test(vectors: Path) -> None:
    strings = {
        node.value.removesuffix(".json")
        for path in Path(__file__).parent.glob("test_*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    files = {path.stem for path in vectors.glob("*.json")}
    assert len(files) >= 12
    assert files <= strings
