"""Each example is a program that its own compiler takes, with the SDK that the schema makes."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from tools import ROOT, golang, languages, node, sdk
from tools.engine import ENGINE_MODULE

EXAMPLES = ROOT / "examples"
LOCKS = ("package-lock.json", "go.sum")


def test_locks_hold_digests_and_no_addresses() -> None:
    text = {name: next(EXAMPLES.rglob(name)).read_text() for name in LOCKS}
    assert not re.search(r"https?://\S*\.tgz", text["package-lock.json"])
    assert text["package-lock.json"].count('"integrity": "sha512-') > 100
    assert "h1:" in text["go.sum"]


def run(argv: list[str], folder: Path, environment: Mapping[str, str]) -> str:
    """What it says; empty when it found nothing to say and succeeded."""
    done = subprocess.run(argv, cwd=folder, env=dict(environment), capture_output=True, text=True, timeout=1500)
    return "" if done.returncode == 0 else done.stdout + done.stderr


def copied(example: str, folder: Path) -> Path:
    """The example where a clone has it, beside an SDK that is made anew."""
    sdk.write(folder / "build" / "sdk")
    into = folder / "examples" / example
    shutil.copytree(EXAMPLES / example, into, ignore=shutil.ignore_patterns("node_modules", "bin"))
    return into


def replace(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text, old
    path.write_text(text.replace(old, new))


@pytest.mark.sampled(0)  # npm's packages, some 200 MB
@pytest.mark.timeout(1800)
def test_typescript_compiles_and_a_misspelt_argument_does_not(tmp_path: Path) -> None:
    folder = copied("typescript", tmp_path)
    environment = node.environment(os.environ)
    assert run(["npm", "ci", "--no-progress"], folder, environment) == ""
    assert run(["npm", "run", "check"], folder, environment) == ""
    replace(folder / "index.ts", "uplink: place.uplink", "uplinc: place.uplink")
    assert "uplinc" in run(["npm", "run", "check"], folder, environment)


@pytest.mark.sampled(0)  # compiles Pulumi's SDK, a minute or more
@pytest.mark.timeout(1800)
def test_go_compiles_and_a_misspelt_argument_does_not(tmp_path: Path) -> None:
    folder = copied("go", tmp_path)
    go = golang.find_go(golang.needed_version(ENGINE_MODULE))
    environment = {**go.environment, "CGO_ENABLED": "0"}
    build = [str(go.program), "build", "-o", str(tmp_path / "built"), "."]
    assert run(build, folder, environment) == ""
    replace(folder / "main.go", "Uplink:  ", "Uplinc:  ")
    assert "Uplinc" in run(build, folder, environment)


@pytest.mark.sampled(0)
def test_python_is_typed_with_the_package_and_with_the_sdk(tmp_path: Path) -> None:
    sdk.write(tmp_path)
    program = tmp_path / "program.py"
    program.write_text(
        "import pulumi\n"
        "import pulumi_wgnode_sdk as wgnode\n"
        "mesh = wgnode.Mesh('mesh', name='m', tunnel=wgnode.TunnelArgs(v4='10.99.0.0/24'), sites={\n"
        "    'berlin': wgnode.MeshSiteArgs(lans=['10.1.0.0/24'], recipient='x')})\n"
        "pulumi.export('bundles', mesh.bundles)\n"
    )
    # What Pulumi generates is typed, but not by these rules.
    mypy = [sys.executable, "-m", "mypy", "--strict", "--follow-imports=silent", "--cache-dir", str(tmp_path / "cache")]
    environment = {**os.environ, "MYPYPATH": str(tmp_path / "python")}
    assert run([*mypy, str(program)], tmp_path, environment) == ""
    replace(program, "recipient='x'", "recipient=5")
    assert "arg-type" in run([*mypy, str(program)], tmp_path, environment)
    assert run([*mypy, str(EXAMPLES / "python" / "__main__.py")], ROOT, os.environ) == ""


@pytest.mark.sampled(0)  # builds the YAML language host, some minutes
@pytest.mark.timeout(1800)
def test_yaml_is_typed_by_its_language_host(tmp_path: Path, pulumi_environment: Callable[..., dict[str, str]]) -> None:
    folder = copied("yaml", tmp_path)
    environment = pulumi_environment()
    environment["PATH"] = os.pathsep.join([environment["PATH"], str(languages.ensure())])
    program = folder / "Pulumi.yaml"
    replace(program, "path: venv/bin", f"path: {ROOT / 'plugin' / 'wgnode'}")
    replace(program, "uplink: ${uplink}", "uplinc: ${uplink}")
    assert run(["pulumi", "stack", "init", "dev", "--non-interactive"], folder, environment) == ""
    names = re.findall(r"^  (\w+): \{ type", program.read_text(), re.MULTILINE)
    told = [word for name in names for word in ("--secret", f"{name}=x")]
    assert run(["pulumi", "config", "set-all", *told], folder, environment) == ""
    said = run(["pulumi", "preview", "--non-interactive"], folder, environment)
    assert "uplinc" in said
