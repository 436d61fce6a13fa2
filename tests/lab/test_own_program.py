"""A new user's way: an empty folder, the wheel, an example's program, two hosts; and the commands work on it."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from lab.api import Lab
from tests.lab import own_project
from tests.lab.environment import reachable
from tests.lab.own_project import Own
from tools import golang, languages, sdk
from tools.engine import ENGINE_MODULE

pytestmark = [pytest.mark.lab, pytest.mark.sampled(0), pytest.mark.timeout(1800)]  # minutes each; in make test-long


def deploys(own: Own) -> None:
    """Two sites come to be, reach each other, stay as they are, and no key is readable."""
    assert "13 to create" in own.pulumi("preview")
    own.pulumi("up", "--yes", "--skip-preview")
    assert reachable(own.lab)
    assert "13 unchanged" in own.pulumi("preview", "--expect-no-changes")
    said = own.run("wgnode", "status")
    assert ("berlin: running" in said, "cabin: running" in said) == (True, True)
    assert "PRIVATE KEY" not in own.pulumi("stack", "export")


def with_hosts_of_languages(environment: dict[str, str]) -> dict[str, str]:
    """Behind an official engine's own, which are beside it, and before nothing else."""
    return {**environment, "PATH": os.pathsep.join([environment["PATH"], str(languages.ensure())])}


def test_two_sites_and_their_mesh_in_one_stack_of_a_program_of_one_s_own(
    other_lab: Lab, tmp_path: Path, pulumi_environment: Callable[..., dict[str, str]]
) -> None:
    other_lab.up()
    own = Own(other_lab, tmp_path, pulumi_environment())
    own.start()
    own_project.places(own, key_of_place="places.{}.recipientKey")
    deploys(own)


def test_two_sites_in_yaml(other_lab: Lab, tmp_path: Path, pulumi_environment: Callable[..., dict[str, str]]) -> None:
    other_lab.up()
    own = Own(other_lab, tmp_path / "yaml", with_hosts_of_languages(pulumi_environment()), "yaml")
    own.start()
    own_project.flat(own)
    deploys(own)


def test_two_sites_in_go(other_lab: Lab, tmp_path: Path, pulumi_environment: Callable[..., dict[str, str]]) -> None:
    sdk.write(tmp_path / "build" / "sdk")
    go = golang.find_go(golang.needed_version(ENGINE_MODULE))
    environment = {**go.environment, **with_hosts_of_languages(pulumi_environment()), "CGO_ENABLED": "0"}
    environment |= {name: go.environment[name] for name in ("GOFLAGS", "GOTOOLCHAIN", "GOWORK")}
    environment["PATH"] = os.pathsep.join([str(go.program.parent), environment["PATH"]])
    other_lab.up()
    own = Own(other_lab, tmp_path / "examples" / "go", environment, "go")
    # The runner has no way to the internet: what Pulumi builds there again is then in Go's caches.
    subprocess.run([go.program, "build", "-o", tmp_path / "built", "."], cwd=own.folder, env=environment, check=True)
    own.start()
    own_project.places(own)
    deploys(own)
