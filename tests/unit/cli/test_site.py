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
# A stand-in for the engine: FAKE_FAILS is a pattern of the commands that fail, `stack select` finds no stack.
here=$(dirname "$0"); echo "$@" >> "$here/calls"; cat > "$here/stdin.new"
[ ! -s "$here/stdin.new" ] || cp "$here/stdin.new" "$here/stdin"
case "$*" in
${FAKE_FAILS:-stack select*}) echo "the engine says no" >&2; exit 1;;
"config get"*) cat "$here/stdin";;
"stack output"*) if [ -e "$here/outputs" ]; then cat "$here/outputs"; else echo "no stack named x" >&2; exit 1; fi;;
esac
"""
MESH = """\
config:
  wgmesh:role: mesh
  wgmesh:mesh:
    name: prod  # for all
    tunnel: {v4: 10.99.0.0/24}
    sites: {}   # none so far
    keepalive: 25
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
    monkeypatch.setenv("FAKE_FAILS", "*")
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
        (["--gateway-address", "10.7.0.x"], "is not an address"),
        (["--gateway-address", "10.7.0.255"], "is the network or broadcast address"),
        (["--lan", "fd00:7::/64", "--gateway-address", "10.7.0.2"], "no address in lan fd00:7::/64"),
        (["--lan", "172.31.255.0/24"], "transit network 172.31.255.252/30 overlaps lan 172.31.255.0/24"),
        (["--lan", "10.8.0.0/31"], "has no place for a gateway"),
        (["--lan", "10.8.0.1/32"], "is one address, a machine's"),
        (["--lan", "fd00:7::%eth0/64"], "has a zone"),
        (["--lan", "10.8.0.0/31", "--gateway-address", "10.8.0.1%eth0"], "has a zone"),
    ],
)
def test_what_would_be_refused_later_is_refused_now(project: Path, more: list[str], says: str) -> None:
    answer = run(*more)
    assert answer.exit_code == 2
    assert says in answer.output
    assert not (project / "stacks").exists()


@pytest.fixture
def mesh(project: Path) -> Path:
    """The mesh's stack file, without sites."""
    file = project / "stacks/Pulumi.prod-mesh.yaml"
    file.parent.mkdir()
    file.write_text(MESH)
    return file


def in_mesh(file: Path) -> Any:
    return yaml.safe_load(file.read_text())["config"]["wgmesh:mesh"]["sites"]


def test_the_entry_is_put_into_the_mesh_s_stack_when_asked_to_a_value_a_line(mesh: Path, engine: Path) -> None:
    answer = run("--endpoint", "203.0.113.7:51820", "--add")
    assert answer.exit_code == 0, answer.output
    assert answer.stdout == ""
    public = recipient.public_of((engine / "stdin").read_text())
    assert in_mesh(mesh) == {
        "paris": {"endpoint": "203.0.113.7:51820", "lans": ["10.7.0.0/24"], "recipient": public},
    }
    lines = mesh.read_text().splitlines()
    assert [line for line in lines if line in MESH.splitlines()] == [
        line for line in MESH.splitlines() if "sites" not in line
    ]
    assert "    sites:   # none so far" in lines
    assert max(len(line) for line in lines if "recipient" not in line) < 80


@pytest.mark.parametrize(
    ("failing", "undone"),
    [
        ("stack *", False),
        ("@(stack select|config set)*", True),
    ],
)
def test_adding_is_all_or_nothing(
    mesh: Path, engine: Path, monkeypatch: pytest.MonkeyPatch, failing: str, undone: bool
) -> None:
    program = engine / "pulumi"
    program.write_text(program.read_text().replace("#!/bin/sh", "#!/bin/bash\nshopt -s extglob"))
    monkeypatch.setenv("FAKE_FAILS", failing)
    answer = run("--add")
    assert answer.exit_code == 1
    assert "the engine says no" in answer.output
    assert mesh.read_text() == MESH
    assert list(mesh.parent.iterdir()) == [mesh]
    assert ("stack rm --yes --stack prod-paris" in (engine / "calls").read_text()) == undone


def test_a_mesh_file_that_cannot_be_written_leaves_no_site_behind(
    mesh: Path, engine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, text: str) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("wgnode.cli.site.yamlfile.write", full)
    answer = run("--add")
    assert answer.exit_code == 1
    assert "No space left on device, so nothing was written" in answer.output
    assert list(mesh.parent.iterdir()) == [mesh]
    assert "stack rm --yes --stack prod-paris" in (engine / "calls").read_text()


def test_a_stack_that_was_there_before_is_not_removed(
    mesh: Path, engine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_FAILS", "config set*")
    assert run("--add").exit_code == 1
    assert "stack init" not in (engine / "calls").read_text()
    assert "stack rm" not in (engine / "calls").read_text()


def test_what_the_mesh_would_refuse_is_refused_before_anything_is_written(mesh: Path, engine: Path) -> None:
    assert run("--endpoint", "203.0.113.7:51820", "--add").exit_code == 0
    after = mesh.read_text()
    (engine / "calls").unlink()
    for more, says in [
        ([], "site 'rome': lan 10.7.0.0/24 overlaps site 'paris' 10.7.0.0/24"),
        (["--lan", "10.99.0.0/25"], "overlaps tunnel prefix 10.99.0.0/24"),
        (["--endpoint", "203.0.113.7:51820"], "already belongs to site 'paris'"),
    ]:
        lan = [] if "--lan" in more else ["--lan", "10.7.0.0/24" if not more else "10.9.0.0/24"]
        argv = ["new", "rome", "--environment", "prod", "--address", "203.0.113.8", *lan, *more, "--add"]
        answer = CliRunner().invoke(command, argv)
        assert answer.exit_code == 2, answer.output
        assert says in answer.output
        assert mesh.read_text() == after
    assert not (engine / "calls").exists()
    assert not (mesh.parent / "Pulumi.prod-rome.yaml").exists()


def test_what_another_site_uses_is_named_with_its_file(mesh: Path, engine: Path) -> None:
    assert run("--endpoint", "203.0.113.7:51820", "--add").exit_code == 0
    argv = ["new", "rome", "--environment", "prod", "--address", "203.0.113.7", "--lan", "10.8.0.0/24"]
    answer = CliRunner().invoke(command, argv)
    assert answer.exit_code == 2
    assert "host 203.0.113.7 port 22 is site 'paris''s already (stacks/Pulumi.prod-paris.yaml)" in answer.output


def test_what_was_wrong_with_the_mesh_before_is_not_this_site_s(mesh: Path, engine: Path) -> None:
    mesh.write_text(MESH.replace("{}   #", "{old: {lans: [10.1.0.0/24], recipient: ''}}   #"))
    answer = run("--endpoint", "203.0.113.7:51820", "--add")
    assert answer.exit_code == 0, answer.output
    assert sorted(in_mesh(mesh)) == ["old", "paris"]


def test_the_public_half_is_shown_again_and_the_private_one_is_not(engine: Path) -> None:
    assert run().exit_code == 0
    private = (engine / "stdin").read_text()
    answer = CliRunner().invoke(command, ["public", "paris", "--environment", "prod"])
    assert answer.exit_code == 0, answer.output
    assert answer.stdout.strip() == recipient.public_of(private)
    assert private not in answer.output
    assert "config get --path wgmesh:site.recipientKey --stack prod-paris" in (engine / "calls").read_text()


def test_names_that_look_like_something_else_are_quoted(mesh: Path) -> None:
    argv = ["new", "no", "--environment", "prod", "--address", "203.0.113.7", "--lan", "10.7.0.0/24", "--user", "on"]
    argv += ["--endpoint", "[2001:db8::1]:51820", "--key-file", "key", "--add"]
    answer = CliRunner().invoke(command, argv)
    assert answer.exit_code == 0, answer.output
    assert "no" in in_mesh(mesh)
    site = site_in(mesh.parent / "Pulumi.prod-no.yaml")
    assert (site["name"], site["host"]["user"]) == ("no", "on")
