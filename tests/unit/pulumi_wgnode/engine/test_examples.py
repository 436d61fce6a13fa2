"""The examples in other languages under the real engine and their language hosts: whole sites, on faked hosts."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.unit.pulumi_wgnode.engine.project import Project
from tests.unit.pulumi_wgnode.keys import KEY, PIN
from tools import ROOT, golang, languages, node, sdk
from tools.engine import ENGINE_MODULE
from wgnode import recipient

pytestmark = [pytest.mark.sampled(0), pytest.mark.timeout(1800)]  # language hosts, Pulumi's SDKs for Go and Node.js
NUMBER = {"berlin": 1, "cabin": 2}
ENDPOINT = "198.51.100.1:51820"


def project(example: str, folder: Path, environment: dict[str, str]) -> Project:
    """The example where a clone has it, with a stack of its own and two hosts that are faked."""
    path = os.pathsep.join([environment["PATH"], str(languages.ensure())])
    made = Project(folder / "examples" / example, {**environment, "PATH": path}, 0)
    ignored = shutil.ignore_patterns("node_modules", "bin")
    shutil.copytree(ROOT / "examples" / example, made.folder, ignore=ignored, dirs_exist_ok=True)
    settings = made.folder / "Pulumi.yaml"
    settings.write_text(settings.read_text().replace("path: venv/bin", "path: plugin"))
    made.known = {f"198.51.100.{number}": _host(number) for number in NUMBER.values()}
    made.describe()
    made.done("stack", "init", "prod")
    return made


def _host(number: int) -> dict[str, Any]:
    routes = dict.fromkeys([f"10.{3 - number}.0.0/24", "10.99.0.0/24"], f"via 10.{number}.0.2")
    return {"number": number, "lan": f"10.{number}.0.1/24", "routes": routes}


def tell(made: Project, values: dict[str, str], secrets: dict[str, str]) -> None:
    """The stack's configuration, by path."""
    values = {"image": "image.tar", "management": "192.0.2.0/24", **values}
    words = [word for path, value in values.items() for word in ("--plaintext", f"{path}={value}")]
    hidden = {"sshKey": KEY, **secrets}
    words += [word for path, value in hidden.items() for word in ("--secret", f"{path}={value}")]
    made.done("config", "set-all", "--path", *words)


def places() -> tuple[dict[str, str], dict[str, str]]:
    """As the examples want them that go through their configuration."""
    values, secrets = {"places.berlin.endpoint": ENDPOINT}, {}
    for name, number in NUMBER.items():
        private, public = recipient.generate()
        about = {"address": f"198.51.100.{number}", "hostKeys[0]": PIN, "uplink": "wan0", "lanInterface": "lan0"}
        about |= {"lan": f"10.{number}.0.0/24", "gateway": f"10.{number}.0.2", "recipient": public}
        values |= {f"places.{name}.{path}": value for path, value in about.items()}
        secrets[f"recipientKeys.{name}"] = private
    return values, secrets


def flat() -> tuple[dict[str, str], dict[str, str]]:
    """As the example in YAML wants them."""
    values, secrets = {"berlinEndpoint": ENDPOINT, "uplink": "wan0", "lanInterface": "lan0"}, {}
    for name, number in NUMBER.items():
        secrets[f"{name}RecipientKey"], values[f"{name}Recipient"] = recipient.generate()
        values |= {f"{name}Address": f"198.51.100.{number}", f"{name}HostKey": PIN}
    return values, secrets


def two_sites_are_made_and_stay(made: Project) -> None:
    made.done("up", "--yes", "--skip-preview")
    kinds = sorted(one["type"].rsplit(":", 1)[1] for one in made.state() if one["type"].startswith("wgnode:"))
    of_a_site = ["ApplianceImage", "Gateway", "HypervisorHost", "NatFirewall", "Site"]
    assert kinds == sorted(["Mesh", "MeshTopology", *of_a_site * 2])
    assert json.loads(made.done("stack", "output", "--json"))
    made.done("preview", "--expect-no-changes")
    assert "PRIVATE KEY" not in made.done("stack", "export")


def test_yaml(tmp_path: Path, pulumi_environment: Callable[..., dict[str, str]]) -> None:
    made = project("yaml", tmp_path, pulumi_environment())
    tell(made, *flat())
    two_sites_are_made_and_stay(made)


def test_go(tmp_path: Path, pulumi_environment: Callable[..., dict[str, str]]) -> None:
    sdk.write(tmp_path / "build" / "sdk")
    go = golang.find_go(golang.needed_version(ENGINE_MODULE))
    environment = {**go.environment, **pulumi_environment(), "CGO_ENABLED": "0"}
    environment |= {name: go.environment[name] for name in ("GOFLAGS", "GOTOOLCHAIN", "GOWORK")}
    environment["PATH"] = os.pathsep.join([str(go.program.parent), environment["PATH"]])
    made = project("go", tmp_path, environment)
    subprocess.run([go.program, "build", "-o", tmp_path / "built", "."], cwd=made.folder, env=environment, check=True)
    tell(made, *places())
    two_sites_are_made_and_stay(made)


def test_typescript(tmp_path: Path, pulumi_environment: Callable[..., dict[str, str]]) -> None:
    sdk.write(tmp_path / "build" / "sdk")
    made = project("typescript", tmp_path, node.environment(pulumi_environment()))
    subprocess.run(["npm", "ci", "--no-progress"], cwd=made.folder, env=made.environment, check=True)
    tell(made, *places())
    two_sites_are_made_and_stay(made)
