from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.pulumi_wgnode.operations.project import Folder


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Folder:
    """An empty project, the current directory, with a fake `pulumi` first on PATH."""
    made = Folder(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", f"{made.bin}:/usr/bin:/bin")
    return made
