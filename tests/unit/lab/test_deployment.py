"""The demo's Pulumi project, without an engine: its files, its settings, and that no secret is on a command line."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from lab import deployment
from lab.deployment import Deployment
from lab.errors import LabError
from lab.plan import MANAGEMENT
from tools import engine
from wgnode import recipient

HOSTS = {
    "berlin": {"address": "198.51.100.2", "port": 22, "user": "root", "host_keys": ["ssh-ed25519 BERLIN", "other KEY"]},
    "cabin": {"address": "203.0.113.2", "port": 2222, "user": "ops", "host_keys": ["ssh-ed25519 CABIN"]},
}


class Recorded(Deployment):
    """Records calls of the engine; fails at the first that has the word `fails`."""

    def __init__(self, folder: Path) -> None:
        key = folder / "id"
        key.write_text("SSH-KEY")
        inventory = {"hosts": HOSTS, "ssh_key": str(key)}
        super().__init__(SimpleNamespace(directory=folder, inventory=inventory), folder / "appliance.tar")  # type: ignore[arg-type]
        self.calls: list[list[str]] = []
        self.inputs: dict[str, str] = {}
        self.fails = ""

    def pulumi(self, arguments: Any, *, check: bool = True, **options: Any) -> subprocess.CompletedProcess[str]:
        self.calls.append(list(arguments))
        if self.fails and self.fails in arguments:
            raise LabError("interrupted")
        if "input" in options:
            self.inputs[f"{arguments[5]} {arguments[-1]}"] = options["input"]
        return subprocess.CompletedProcess(arguments, 0, "", "")

    def settings_of(self, stack: str) -> set[str]:
        """The plain settings given for a stack."""
        return {word for call in self.calls if "set-all" in call and stack in call for word in call if "=" in word}


@pytest.fixture
def project(tmp_path: Path) -> Recorded:
    return Recorded(tmp_path)


def test_a_site_gets_the_address_pins_and_user_of_its_host(project: Recorded) -> None:
    project.prepare()
    assert project.settings_of("dev-cabin") == {
        "wgmesh:site.host.address=203.0.113.2",
        "wgmesh:site.host.port=2222",
        "wgmesh:site.host.user=ops",
        "wgmesh:site.host.hostKeys[0]=ssh-ed25519 CABIN",
        f"wgmesh:site.managementNetworks[0]={MANAGEMENT}",
        f"wgmesh:site.gateway.image={project.image}",
    }
    assert "wgmesh:site.host.hostKeys[1]=other KEY" in project.settings_of("dev-berlin")


def test_the_mesh_seals_to_the_public_half_of_each_sites_own_key(project: Recorded) -> None:
    project.prepare()
    private = {site: project.inputs[f"dev-{site} wgmesh:site.recipientKey"] for site in HOSTS}
    assert len(set(private.values())) == 2
    assert project.settings_of("dev-mesh") == {
        f"wgmesh:mesh.sites.{site}.recipient={recipient.public_of(key)}" for site, key in private.items()
    }


def test_no_secret_is_on_a_command_line(project: Recorded) -> None:
    project.prepare()
    assert project.inputs["dev-berlin wgmesh:site.host.privateKey"] == "SSH-KEY"
    words = " ".join(word for call in project.calls for word in call)
    assert not [secret for secret in project.inputs.values() if secret in words]


def test_secret_files_are_their_owners_alone(project: Recorded) -> None:
    project.prepare()
    files = ["passphrase", "keys/berlin.recipient", "keys/cabin.recipient"]
    assert {name: (project.folder / name).stat().st_mode & 0o777 for name in files} == dict.fromkeys(files, 0o600)


def test_preparing_again_keeps_keys_passphrase_and_stack_files(project: Recorded, tmp_path: Path) -> None:
    project.prepare()
    edited = project.folder / "stacks" / "Pulumi.dev-berlin.yaml"
    edited.write_text("edited")
    before = {path: path.read_bytes() for path in project.folder.rglob("*") if path.is_file()}
    again = Recorded(tmp_path)
    again.prepare()
    assert again.calls == []
    assert {path: path.read_bytes() for path in project.folder.rglob("*") if path.is_file()} == before


def test_an_interrupted_preparation_goes_on_with_the_same_keys(project: Recorded, tmp_path: Path) -> None:
    project.fails = "--secret"
    with pytest.raises(LabError):
        project.prepare()
    again = Recorded(tmp_path)
    again.prepare()
    assert again.settings_of("dev-mesh") == set(), "the mesh's stack was ready"
    berlin = recipient.public_of(again.inputs["dev-berlin wgmesh:site.recipientKey"])
    assert f"wgmesh:mesh.sites.berlin.recipient={berlin}" in project.settings_of("dev-mesh")


def test_the_clones_stack_files_are_copied_and_its_program_is_linked(project: Recorded) -> None:
    project.prepare()
    for stack in project.stacks:
        file = project.folder / "stacks" / f"Pulumi.{stack}.yaml"
        assert not file.is_symlink()
        assert file.read_bytes() == (deployment.ROOT / "stacks" / file.name).read_bytes()
    assert (project.folder / "infra").resolve() == deployment.ROOT / "infra"


def test_pulumi_sees_nothing_of_the_developers_own(project: Recorded, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "find", lambda: Path("/engine"))
    monkeypatch.setenv("PULUMI_ACCESS_TOKEN", "a token")
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", "another")
    made = project.environment()
    assert "a token" not in made.values()
    assert "PULUMI_CONFIG_PASSPHRASE" not in made
    assert made["PULUMI_BACKEND_URL"] == f"file://{project.folder}/state?metadata=skip"
    assert "/engine" in made["PATH"].split(":")


def test_without_an_engine_the_error_says_how_to_get_it(project: Recorded, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "find", lambda: None)
    with pytest.raises(LabError, match="make setup"):
        project.environment()


def test_the_engine_that_deployed_is_found_from_another_home(
    project: Recorded, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(engine, "find", lambda: tmp_path)
    project.prepare()
    monkeypatch.setattr(engine, "find", lambda: None)
    assert str(project.folder / "engine") in project.environment()["PATH"].split(":")
    assert (project.folder / "engine").resolve() == tmp_path


def test_no_byte_code_of_root_lands_in_the_clone(project: Recorded, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "find", lambda: Path("/engine"))
    monkeypatch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    assert project.environment()["PYTHONDONTWRITEBYTECODE"] == "1"
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    assert "PYTHONDONTWRITEBYTECODE" not in project.environment()
