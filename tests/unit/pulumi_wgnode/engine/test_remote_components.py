"""Mesh and Site made by the plugin for a program of any language, by the real engine on faked hosts."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable

import pytest

from tests.unit.pulumi_wgnode.engine import programs
from tests.unit.pulumi_wgnode.engine.project import Project
from tests.unit.pulumi_wgnode.keys import UNSHOWN

pytestmark = pytest.mark.timeout(900)
LONG = pytest.mark.sampled(0)  # in make test-long
LATER = f"""{programs.REMOTE_CLASSES}

# What another provider's resource says: known after it is made.
mesh = mesh_of(GIVEN["mesh"])
for name, site in GIVEN["sites"].items():
    later = mesh.topology.apply(lambda topology, address=site["host"]["address"]: address)
    site["host"]["address"] = later
    site["uplink"] = mesh.topology.apply(lambda topology: "wan0")
    site_of(name, site, mesh)
"""
BAD = f"""{programs.REMOTE_CLASSES}

mesh = mesh_of(GIVEN["mesh"])
site = GIVEN["sites"]["site0"]
site["uplink"] = "not an interface"
site["lan"]["gatewayAddresses"] = ["10.1.0.300"]
site["host"]["privateKey"] = pulumi.Output.secret("no key of anybody's")
site_of("site0", site, mesh)
"""


def test_between_local_and_remote_nothing_changes(make: Callable[[int], Project]) -> None:
    project = make(1)
    project.program(programs.LOCAL)
    project.done("up", "--yes", "--skip-preview")
    project.program(programs.REMOTE)
    assert "8 unchanged" in project.done("preview", "--expect-no-changes")
    project.done("up", "--yes", "--skip-preview", "--expect-no-changes")
    project.program(programs.LOCAL)
    assert "8 unchanged" in project.done("preview", "--expect-no-changes")


@LONG
def test_eight_sites_of_one_program_are_made_side_by_side_and_none_is_another_s(make: Callable[[int], Project]) -> None:
    project = make(8)
    project.program(programs.REMOTE)
    assert "43 to create" in project.done("preview")
    said = project.done("up", "--yes", "--skip-preview")
    assert "43 created" in said
    resources = project.state()
    for name in project.names:
        own = [one for one in resources if one["urn"].rpartition("::")[2].startswith(f"{name}-")]
        assert [one["parent"].rpartition("::")[2] for one in own] == [name] * 4
        assert {one["inputs"]["connection"]["address"] for one in own} == {project.address(name)}
    assert UNSHOWN not in said + project.done("stack", "export")
    assert "43 unchanged" in project.done("preview", "--expect-no-changes")


@LONG
def test_what_only_an_update_will_tell_is_awaited(make: Callable[[int], Project]) -> None:
    project = make(1)
    project.program(LATER)
    assert "8 to create" in project.done("preview")
    assert "8 created" in project.done("up", "--yes", "--skip-preview")
    assert "8 unchanged" in project.done("preview", "--expect-no-changes")
    project.program(programs.REMOTE)
    assert "8 unchanged" in project.done("preview", "--expect-no-changes")


def test_arguments_that_can_not_be_are_named_by_path_all_at_once_and_no_secret_is_shown(
    make: Callable[[int], Project],
) -> None:
    project = make(1)
    project.program(BAD)
    said = project.pulumi("up", "--yes", "--skip-preview")
    assert said.returncode != 0
    for part in (
        "uplink with value '{not an interface}' has a problem: 'not an interface' is not an interface name",
        "lan.gatewayAddresses[0] with value '{10.1.0.300}' has a problem: ",
        "host.privateKey: this is not an SSH private key (its text is not shown)",
    ):
        assert part in said.stdout
    assert "no key of anybody" not in said.stdout
    assert "HypervisorHost" not in said.stdout


@LONG
def test_a_run_that_is_cancelled_ends_its_plugins_and_the_next_one_goes_on(make: Callable[[int], Project]) -> None:
    project = make(2)
    project.program(programs.REMOTE)
    project.describe(slow=1)
    with project.running("up", "--yes", "--skip-preview") as engine:
        assert engine.stdout is not None
        for line in engine.stdout:
            if "site0-host creating" in line:
                break
        begun = time.monotonic()
        assert project.plugins()
        engine.send_signal(signal.SIGINT)
        rest = engine.stdout.read()
        assert engine.wait(60) != 0
    assert time.monotonic() - begun < 45
    assert "HypervisorHost" in rest
    while project.plugins():
        assert time.monotonic() - begun < 60
        time.sleep(0.1)
    project.describe(slow=0)
    assert "pending" not in project.done("up", "--yes", "--skip-preview")
    assert "13 unchanged" in project.done("preview", "--expect-no-changes")
