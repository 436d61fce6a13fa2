from __future__ import annotations

import subprocess
import sys

import pytest

from tests.unit.neighbours.versions import OURS, NoHistory, Version, former


@pytest.fixture(scope="session")
def versions(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Version]:
    """By name: "this" and "former"."""
    try:
        other = former(tmp_path_factory.mktemp("former"))
    except (NoHistory, FileNotFoundError) as error:
        pytest.skip(f"no former version to talk with: {error}")
    for version in (OURS, other):
        argv = [
            sys.executable,
            "-P",
            "-c",
            "import wgnode, pulumi_wgnode; print(wgnode.__file__, pulumi_wgnode.__file__)",
        ]
        said = subprocess.run(argv, env=version.environment, capture_output=True, text=True, check=True).stdout
        assert all(path.startswith(str(version.tree)) for path in said.split()), said
    return {version.name: version for version in (OURS, other)}
