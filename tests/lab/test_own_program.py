"""A new user's way: an empty folder, the wheel, the example's program, two hosts; and the commands work on it."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lab.api import Lab
from lab.deployment import IMAGE
from lab.plan import MANAGEMENT, RUNNER
from tests.installed import install
from tests.lab.environment import reachable
from tools import ROOT, dist
from wgnode import recipient

pytestmark = pytest.mark.lab
PLACES = {
    "berlin": {"lan": "10.1.0.0/24", "gateway": "10.1.0.2", "endpoint": "198.51.100.2:51820"},
    "cabin": {"lan": "10.2.0.0/24", "gateway": "10.2.0.2"},
}


class Own:
    """The example's folder with a stack `prod`; commands run at the lab's runner."""

    def __init__(self, lab: Lab, folder: Path, environment: dict[str, str]) -> None:
        self.lab, self.folder = lab, folder
        (wheel,) = (path for path in dist.build(folder / "dist") if path.suffix == ".whl")
        programs = install(wheel, folder / "venv")
        for name in ("Pulumi.yaml", "__main__.py"):
            shutil.copy(ROOT / "examples" / "python" / name, folder)
        path = os.pathsep.join([str(programs), environment["PATH"]])
        self.environment = {**environment, "PATH": path, "VIRTUAL_ENV": str(folder / "venv"), "PWD": str(folder)}

    def run(self, *argv: str, given: str | None = None) -> str:
        """What it says; it must succeed."""
        done = subprocess.run(
            self.lab.argv_in(RUNNER, list(argv)),
            cwd=self.folder,
            env=self.environment,
            input=given,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=600,
            check=False,
        )
        assert done.returncode == 0, done.stdout
        return done.stdout

    def pulumi(self, *arguments: str, given: str | None = None) -> str:
        return self.run("pulumi", *arguments, "--stack", "prod", "--non-interactive", given=given)

    def configure(self, values: dict[str, Any], secrets: dict[str, str]) -> None:
        """By path."""
        pairs = [word for path, value in values.items() for word in ("--plaintext", f"{path}={value}")]
        self.pulumi("config", "set-all", "--path", *pairs)
        for path, value in secrets.items():
            self.pulumi("config", "set", "--path", "--secret", path, given=value)


@pytest.mark.sampled(0)  # about a minute and a half; in make test-long
@pytest.mark.timeout(600)
def test_two_sites_and_their_mesh_in_one_stack_of_a_program_of_one_s_own(
    other_lab: Lab, tmp_path: Path, pulumi_environment: Callable[..., dict[str, str]]
) -> None:
    other_lab.up()
    own = Own(other_lab, tmp_path, pulumi_environment())
    own.run("pulumi", "stack", "init", "prod", "--non-interactive")
    values: dict[str, Any] = {"image": IMAGE, "management": MANAGEMENT}
    secrets = {"sshKey": Path(other_lab.inventory["ssh_key"]).read_text()}
    for name, place in PLACES.items():
        host = other_lab.inventory["hosts"][name]
        known = {"address": host["address"], "user": host["user"], "hostKeys[0]": host["host_keys"][0]}
        given = {**place, **known, "uplink": "wan0", "lanInterface": "lan0"}
        values |= {f"places.{name}.{path}": value for path, value in given.items()}
        secrets[f"places.{name}.recipientKey"] = recipient.generate()[0]
    own.configure(values, secrets)

    assert "13 to create" in own.pulumi("preview")
    own.pulumi("up", "--yes", "--skip-preview")
    assert reachable(other_lab)
    assert "13 unchanged" in own.pulumi("preview", "--expect-no-changes")
    said = own.run("wgnode", "status")
    assert ("berlin: running" in said, "cabin: running" in said) == (True, True)
    assert "PRIVATE KEY" not in own.pulumi("stack", "export")
