"""The package opens nothing, reads no clock, draws nothing: by what its modules import."""

from __future__ import annotations

import ast
from pathlib import Path

from wgnode import pathmtu

ALLOWED = {
    "__future__",
    "bisect",
    "collections",
    "dataclasses",
    "difflib",
    "enum",
    "ipaddress",
    "struct",
    "tomllib",
    "typing",
}


def test_only_pure_modules_are_imported() -> None:
    files = list(Path(pathmtu.__file__).parent.glob("*.py"))
    assert len(files) > 15
    for path in files:
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            for name in names:
                assert (
                    name.startswith(("wgnode.pathmtu", "wgnode.protocol"))
                    or name == "wgnode"
                    or (name.partition(".")[0] in ALLOWED)
                ), (path.name, name)
