from __future__ import annotations

import subprocess
import sys

import pytest

from tests.unit.neighbours.versions import OURS, NoHistory, NoPlane, Version, former, with_plane


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


@pytest.fixture(scope="session")
def compiled(versions: dict[str, Version], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Version]:
    """The same, each with its own compiled data plane."""
    try:
        made = {name: with_plane(one, tmp_path_factory.mktemp(f"plane-{name}")) for name, one in versions.items()}
    except NoPlane as missing:
        pytest.skip(str(missing))
    for version in made.values():
        argv = [sys.executable, "-P", "-c", "import wgnode_fastpath; print(wgnode_fastpath.__file__)"]
        said = subprocess.run(argv, env=version.environment, capture_output=True, text=True, check=True).stdout
        assert said.startswith(str(version.plane)), said
    return made
