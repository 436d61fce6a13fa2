"""What is given to others: the wheel and the source of `wgnode`, and the compiled data plane's wheel where it is built.

`python -m tools.dist FOLDER` puts them there (`make dist`: into dist/). What they have to be able to do without this
clone is tried by tests/unit/tools/test_dist.py.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from tools import ROOT
from tools.fastpath import wheel
from tools.progress import say


def build(folder: Path, project: Path = ROOT) -> list[Path]:
    """The wheel and the source distribution of the project, made anew. Raises CalledProcessError."""
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-t", "sdist", "-d", str(folder)]
    subprocess.run(command, cwd=project, check=True, stdout=subprocess.DEVNULL)
    return sorted(folder.glob("wgnode-*"))


def main(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    made = build(folder)
    if compiled := wheel.built():
        made.append(Path(shutil.copy(compiled, folder)))
    else:
        say("the compiled data plane is not built on this machine, so its wheel is not there")
    for path in made:
        print(f"{path} {path.stat().st_size / 1024:.0f} KiB")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
