"""This version of wgnode and the one that landed before it, each as a tree of sources to run programs from.

What a test needs of a version is a part: a program in parts/, run by that version's own copy where it has one, so that
a part may use what its version has inside.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tools import ROOT

VARIABLE = "WGNODE_NEIGHBOUR"
"""Another commit, for somebody who looks for the one that broke something."""
PINNED = ROOT / "tests" / "neighbour.toml"
PARTS = Path("tests", "unit", "neighbours", "parts")


class NoHistory(Exception):
    """The clone has not the commit."""


@dataclass(frozen=True)
class Version:
    """`name` stands in the ids of tests."""

    name: str
    tree: Path

    @property
    def environment(self) -> dict[str, str]:
        """In which Python imports this version."""
        return {**os.environ, "PYTHONPATH": str(self.tree)}

    def part(self, name: str, *arguments: str | Path | int) -> list[str]:
        """The command of one."""
        own, ours = self.tree / PARTS / f"{name}.py", ROOT / PARTS / f"{name}.py"
        return [sys.executable, str(own if own.exists() else ours), *map(str, arguments)]

    def ask(self, part: str, question: Mapping[str, Any]) -> Any:
        """What a part answers to a question, both JSON."""
        done = subprocess.run(
            self.part(part),
            input=json.dumps(question),
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, f"{self.name}: {done.stderr}"
        return json.loads(done.stdout)


OURS = Version("this", ROOT)


def commit() -> str:
    return os.environ.get(VARIABLE) or str(tomllib.loads(PINNED.read_text())["commit"])


def former(folder: Path) -> Version:
    """The other version, unpacked into `folder`. Raises NoHistory."""
    git = ["git", "-c", "safe.directory=*", "-C", str(ROOT)]
    packed = subprocess.run([*git, "archive", commit()], capture_output=True, check=False)
    if packed.returncode:
        raise NoHistory(f"the history of this clone has no {commit()[:12]}")
    subprocess.run(["tar", "-x", "-C", folder], input=packed.stdout, check=True)
    return Version("former", folder)
