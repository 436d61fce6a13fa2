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
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tools import ROOT

VARIABLE = "WGNODE_NEIGHBOUR"
"""Another commit, for somebody who looks for the one that broke something."""
PINNED = ROOT / "tests" / "neighbour.toml"
PARTS = Path("tests", "unit", "neighbours", "parts")


WHEEL = """
import json, os
from tools.fastpath import pinned, wheel
os.environ.update(pinned.toolchain())
why_not = None if wheel.built() else wheel.why_not()
print(json.dumps({"why_not": why_not, "wheel": None if why_not else str(wheel.built() or wheel.ensure())}))
"""


class NoHistory(Exception):
    """The clone has not the commit."""


class NoPlane(Exception):
    """A version's compiled data plane can't be built here; the text says why."""


@dataclass(frozen=True)
class Version:
    """`name` stands in the ids of tests; `plane` is a folder with its own compiled data plane."""

    name: str
    tree: Path
    plane: Path | None = None

    @property
    def environment(self) -> dict[str, str]:
        """In which Python imports this version."""
        places = [str(self.tree), *([str(self.plane)] if self.plane else [])]
        return {**os.environ, "PYTHONPATH": os.pathsep.join(places)}

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


def with_plane(version: Version, folder: Path) -> Version:
    """With the compiled data plane of its own sources, unpacked into `folder`: built once, and kept for all clones by
    what it is made of. Raises NoPlane."""
    argv = [sys.executable, "-P", "-c", WHEEL]
    done = subprocess.run(argv, env=version.environment, stdout=subprocess.PIPE, text=True, check=True)
    made = json.loads(done.stdout.splitlines()[-1])
    if made["why_not"]:
        raise NoPlane(f"the compiled data plane is not there for version {version.name!r}: {made['why_not']}")
    with zipfile.ZipFile(made["wheel"]) as wheel:
        wheel.extractall(folder)
    return replace(version, plane=folder)
