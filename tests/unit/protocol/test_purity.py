"""The protocol reads no clock, draws no randomness and opens nothing: all of it is handed in."""

from __future__ import annotations

import ast
from pathlib import Path

from wgnode import protocol

ALLOWED = {
    "__future__",
    "base64",
    "collections",
    "cryptography",
    "dataclasses",
    "enum",
    "hashlib",
    "heapq",
    "hmac",
    "ipaddress",
    "itertools",
    "struct",
    "typing",
}
NEEDED_BY = {"wipe.py": {"ctypes", "sys"}}
"""Overwriting memory is no business of the world outside."""
OURS = ("wgnode.protocol", "wgnode.policy", "wgnode.nodeconfig")


def imports(path: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add(node.module or "")
    return names


def test_only_pure_modules_are_imported() -> None:
    files = list(Path(protocol.__file__).parent.glob("*.py"))
    assert len(files) > 15
    for path in files:
        allowed = ALLOWED | NEEDED_BY.get(path.name, set())
        for name in imports(path):
            assert name.startswith(OURS) or name == "wgnode.protocol" or name.partition(".")[0] in allowed, (path, name)


def test_nothing_draws_a_key_by_itself() -> None:
    for path in Path(protocol.__file__).parent.glob("*.py"):
        assert ".generate" not in path.read_text(), path
