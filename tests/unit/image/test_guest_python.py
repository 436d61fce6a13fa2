"""What of our own goes into the image: all that the node imports, which its packages' imports tell."""

from __future__ import annotations

import ast
from pathlib import Path

import wgnode
from wgnode.image.guest_python import OURS

PACKAGE = Path(wgnode.__file__).parent


def imported(path: Path) -> set[str]:
    """Which parts of `wgnode` a source imports."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            names |= {f"{node.module}.{each.name}" for each in node.names} if node.module == "wgnode" else {node.module}
        elif isinstance(node, ast.Import):
            names |= {each.name for each in node.names}
    return {name.split(".")[1] for name in names if name.startswith("wgnode.")}


def test_what_the_node_imports_is_in_the_image() -> None:
    sources = [path for name in OURS for path in (*PACKAGE.glob(f"{name}.py"), *PACKAGE.glob(f"{name}/**/*.py"))]
    assert len(sources) > 100
    missing = {f"{path.relative_to(PACKAGE)}: {name}" for path in sources for name in imported(path) - set(OURS)}
    assert not missing
