"""`wgnode site new`: a stack file that the program takes, a key kept as a secret, an entry for the mesh."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result

from infra.config import parse_mesh, parse_site
from wgnode import recipient
from wgnode.cli.site import command

ARGUMENTS = ["new", "paris", "--environment", "prod", "--address", "203.0.113.7", "--lan", "10.7.0.0/24"]
ARGUMENTS += ["--uplink", "eno1", "--lan-interface", "eno2", "--management", "192.0.2.0/24"]
PIN = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
FAKE_PULUMI = """#!/bin/sh
echo "$@" >> "$(dirname "$0")/calls"
cat > "$(dirname "$0")/stdin"
exit ${FAKE_EXIT:-0}
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path / "bin") + ":/usr/bin:/bin")
    (tmp_path / "build/image").mkdir(parents=True)
    (tmp_path / "build/image/appliance.tar").touch()
    return tmp_path


@pytest.fixture
def engine(project: Path) -> Path:
    """A `pulumi` that records its arguments and what it got on standard input."""
    program = project / "bin" / "pulumi"
    program.parent.mkdir()
    program.write_text(FAKE_PULUMI)
    program.chmod(0o755)
    return program.parent


def run(*more: str) -> Result:
    return CliRunner().invoke(command, [*ARGUMENTS, *more])


def site_in(file: Path) -> dict[str, Any]:
    raw: dict[str, Any] = yaml.safe_load(file.read_text())["config"]
    assert raw["wgmesh:role"] == "site"
    site: dict[str, Any] = raw["wgmesh:site"]
    return site


def test_the_file_lacks_only_pins_and_secrets_and_the_entry_fits_a_mesh(project: Path) -> None:
    answer = run("--key-file", "paris.key", "--agent", "--endpoint", "203.0.113.7:51820")
    assert answer.exit_code == 0, answer.output
    site = site_in(project / "stacks/Pulumi.prod-paris.yaml")
    private = (project / "paris.key").read_text().strip()
    site["host"]["hostKeys"] = [PIN]
    config = parse_site(site | {"recipientKey": private}, "x", project)
    assert (config.name, config.mesh, config.uplink, config.lan.interface) == ("paris", "prod-mesh", "eno1", "eno2")
    assert config.lan.gateway_addresses == ["10.7.0.2"]
    entry = yaml.safe_load("sites:\n" + answer.stdout)["sites"]
    mesh = parse_mesh({"name": "prod", "tunnel": {"v4": "10.99.0.0/24"}, "sites": entry}, "x")
    assert mesh.sites["paris"].recipient == recipient.public_of(private)
    assert mesh.sites["paris"].endpoint == "203.0.113.7:51820"


def test_a_key_file_is_for_its_owner_only_and_the_key_is_nowhere_else(project: Path) -> None:
    answer = run("--key-file", "paris.key")
    private = (project / "paris.key").read_text().strip()
    assert stat.S_IMODE((project / "paris.key").stat().st_mode) == 0o600
    assert private not in answer.output + (project / "stacks/Pulumi.prod-paris.yaml").read_text()
    assert "pulumi config set --secret --path wgmesh:site.recipientKey --stack prod-paris < paris.key" in answer.stderr
    assert "# endpoint: HOST:PORT" in answer.stdout


def test_with_an_engine_the_key_goes_in_as_a_secret_by_standard_input(engine: Path) -> None:
    answer = run()
    assert answer.exit_code == 0, answer.output
    private = (engine / "stdin").read_text()
    calls = (engine / "calls").read_text()
    assert recipient.public_of(private) in answer.stdout
    assert "config set --secret --path wgmesh:site.recipientKey --stack prod-paris" in calls
    assert private not in calls + answer.output


def test_an_engine_that_fails_leaves_no_file(engine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAKE_EXIT", "1")
    answer = run()
    assert answer.exit_code == 1
    assert "nothing was written" in answer.output
    assert not (engine.parent / "stacks/Pulumi.prod-paris.yaml").exists()


def test_without_an_engine_and_key_file_nothing_is_written(project: Path) -> None:
    answer = run()
    assert answer.exit_code == 1
    assert "--key-file" in answer.output
    assert not (project / "stacks/Pulumi.prod-paris.yaml").exists()


def test_a_file_that_is_there_stays_as_it_is(project: Path) -> None:
    file = project / "stacks/Pulumi.prod-paris.yaml"
    file.parent.mkdir()
    file.write_text("mine")
    answer = run("--key-file", "paris.key")
    assert answer.exit_code == 1
    assert "is already there" in answer.output
    assert file.read_text() == "mine"
    assert not (project / "paris.key").exists()


@pytest.mark.parametrize(
    ("more", "says"),
    [
        (["--lan", "10.7.0.1/24"], "did you mean 10.7.0.0/24?"),
        (["--endpoint", "203.0.113.7"], "has no port"),
        (["--gateway-address", "10.8.0.2"], "is in none of the lans"),
        (["--management", "home"], "is not a network"),
    ],
)
def test_what_would_be_refused_later_is_refused_now(project: Path, more: list[str], says: str) -> None:
    answer = run(*more)
    assert answer.exit_code == 2
    assert says in answer.output
    assert not (project / "stacks").exists()


def test_the_entry_is_put_into_the_mesh_s_stack_when_asked_to(project: Path, engine: Path) -> None:
    answer = run("--endpoint", "203.0.113.7:51820", "--add")
    assert answer.exit_code == 0, answer.output
    assert answer.stdout == ""
    calls = (engine / "calls").read_text().splitlines()
    added = next(call for call in calls if call.startswith("config set-all"))
    assert "--stack prod-mesh" in added
    for pair in ("lans[0]=10.7.0.0/24", "endpoint=203.0.113.7:51820", "recipient=wgnode-"):
        assert f"wgmesh:mesh.sites.paris.{pair}" in added
