"""A program of one's own: an example's folder with the wheel beside it, and a stack `prod`, at the lab's runner."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

from lab.api import Lab
from lab.deployment import IMAGE
from lab.plan import MANAGEMENT, RUNNER
from tests.installed import install
from tools import ROOT, dist
from wgnode import recipient

PLACES = {
    "berlin": {"lan": "10.1.0.0/24", "gateway": "10.1.0.2", "endpoint": "198.51.100.2:51820"},
    "cabin": {"lan": "10.2.0.0/24", "gateway": "10.2.0.2"},
}
LEFT_IN_THE_CLONE = shutil.ignore_patterns("node_modules", "bin", "venv")


class Own:
    """Commands run in the folder, with the wheel's programs first on PATH."""

    def __init__(self, lab: Lab, folder: Path, environment: dict[str, str], example: str = "python") -> None:
        self.lab, self.folder = lab, folder
        shutil.copytree(ROOT / "examples" / example, folder, ignore=LEFT_IN_THE_CLONE, dirs_exist_ok=True)
        (wheel,) = (path for path in dist.build(folder / "dist") if path.suffix == ".whl")
        programs = install(wheel, folder / "venv")
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
            timeout=900,
            check=False,
        )
        assert done.returncode == 0, done.stdout
        return done.stdout

    def pulumi(self, *arguments: str, given: str | None = None) -> str:
        return self.run("pulumi", *arguments, "--stack", "prod", "--non-interactive", given=given)

    def start(self) -> None:
        """The stack, and what every example is told."""
        self.run("pulumi", "stack", "init", "prod", "--non-interactive")
        key = Path(self.lab.inventory["ssh_key"]).read_text()
        self.configure({"image": str(IMAGE), "management": MANAGEMENT}, {"sshKey": key})

    def configure(self, values: dict[str, Any], secrets: dict[str, str]) -> None:
        """By path."""
        pairs = [word for path, value in values.items() for word in ("--plaintext", f"{path}={value}")]
        self.pulumi("config", "set-all", "--path", *pairs)
        for path, value in secrets.items():
            self.pulumi("config", "set", "--path", "--secret", path, given=value)


def known(lab: Lab, name: str) -> dict[str, Any]:
    """What the lab says of a host, by the names of the examples' `places`."""
    host = lab.inventory["hosts"][name]
    return {"address": host["address"], "user": host["user"], "hostKeys[0]": host["host_keys"][0]}


def places(own: Own, key_of_place: str = "recipientKeys.{}") -> None:
    """Tell both sites, as the examples that go through their configuration want it."""
    values: dict[str, Any] = {}
    secrets = {}
    for name, place in PLACES.items():
        private, public = recipient.generate()
        given = {**place, **known(own.lab, name), "uplink": "wan0", "lanInterface": "lan0", "recipient": public}
        values |= {f"places.{name}.{path}": value for path, value in given.items()}
        secrets[key_of_place.format(name)] = private
    own.configure(values, secrets)


def flat(own: Own) -> None:
    """Tell both sites, as the example in YAML wants it."""
    values: dict[str, Any] = {"uplink": "wan0", "lanInterface": "lan0"}
    secrets = {}
    for name, place in PLACES.items():
        secrets[f"{name}RecipientKey"], values[f"{name}Recipient"] = recipient.generate()
        about = known(own.lab, name)
        values |= {f"{name}Address": about["address"], f"{name}User": about["user"]}
        values |= {f"{name}HostKey": about["hostKeys[0]"]}
        values |= {f"{name}Endpoint": place["endpoint"]} if "endpoint" in place else {}
    own.configure(values, secrets)
