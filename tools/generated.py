"""Pages that are written out of what the code says: committed, and held to it by a test.

`python -m tools.generated` writes them anew (`make docs`).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from tools import ROOT, completion, manual, reference, sdk_classes


def folders() -> dict[Path, dict[str, str]]:
    """Of each folder, by the name in it, each file's text."""
    return {
        reference.FOLDER: reference.pages(),
        sdk_classes.FOLDER: sdk_classes.files(),
        ROOT / "share": {**manual.pages(), **completion.scripts()},
    }


def stale(folder: Path, wanted: Mapping[str, str]) -> list[str]:
    """The files that are not as wanted, and those that nobody wants."""
    files = [path for path in folder.rglob("*") if path.is_file() and path.suffix != ".pyc"]
    there = {str(path.relative_to(folder)): path.read_text() for path in files}
    return sorted(name for name in wanted.keys() | there.keys() if wanted.get(name) != there.get(name))


def write(folder: Path, wanted: Mapping[str, str]) -> None:
    """Make the folder as wanted."""
    for name in stale(folder, wanted):
        path = folder / name
        if name not in wanted:
            path.unlink()
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(wanted[name])


if __name__ == "__main__":
    for one, pages in folders().items():
        write(one, pages)
