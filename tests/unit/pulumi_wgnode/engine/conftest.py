from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.unit.pulumi_wgnode.engine.project import Project


@pytest.fixture
def make(tmp_path: Path, pulumi_environment: Callable[..., dict[str, str]]) -> Callable[[int], Project]:
    """A project with so many sites."""
    return lambda sites: Project(tmp_path / "own", pulumi_environment(), sites)
