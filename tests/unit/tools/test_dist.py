"""What others install stands alone: beside their own `infra/`, without this clone, with all that it needs inside."""

from __future__ import annotations

import json
import os
import subprocess
import zipfile
from pathlib import Path

import grpc
import pytest
from pulumi.runtime.proto import provider_pb2, provider_pb2_grpc

from tests.installed import install
from tools import completion, dist
from tools.completion import VARIABLE


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    assert [path.suffix for path in dist.build(folder)] == [".whl", ".gz"]
    return folder


@pytest.fixture(scope="module")
def installed(made: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    (wheel,) = made.glob("*.whl")
    return install(wheel, tmp_path_factory.mktemp("venv"))


def run(program: Path, *arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Elsewhere, with nothing of this clone around it."""
    own = {"PATH": "/usr/bin:/bin", "HOME": str(folder), "LC_ALL": "C.UTF-8"}
    return subprocess.run([program, *arguments], cwd=folder, env=own, capture_output=True, text=True, timeout=60)


def test_the_wheel_has_two_packages_and_nothing_else_at_the_top(made: Path) -> None:
    (wheel,) = made.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.split("/")[0] for name in names}
    release = wheel.name.rsplit("-", 3)[0]
    assert tops == {"wgnode", "pulumi_wgnode", f"{release}.dist-info", f"{release}.data"}
    assert {name.split("/")[2] for name in names if name.startswith(f"{release}.data/")} == {"share"}
    assert {"pulumi_wgnode/hosts/networks/network.sh", "wgnode/pathmtu/carriers.toml"} <= set(names)
    assert not [name for name in names if "__pycache__" in name]


def test_the_source_gives_the_same_wheel(made: Path, tmp_path: Path) -> None:
    (source,), (wheel,) = made.glob("*.tar.gz"), made.glob("*.whl")
    subprocess.run(["tar", "-xzf", source, "-C", tmp_path], check=True)
    (unpacked,) = tmp_path.iterdir()
    assert not {"infra", "tests", "lab", "stacks"} & {path.name for path in unpacked.iterdir()}
    (again,) = [path for path in dist.build(tmp_path / "again", unpacked) if path.suffix == ".whl"]
    assert _contents(again) == _contents(wheel)


def _contents(wheel: Path) -> dict[str, int]:
    return {one.filename: one.CRC for one in zipfile.ZipFile(wheel).infolist()}


def test_somebody_s_own_infra_stays_theirs(installed: Path, tmp_path: Path) -> None:
    (tmp_path / "infra").mkdir()
    (tmp_path / "infra" / "__main__.py").write_text(
        "import importlib.util, json, pulumi_wgnode, wgnode\n"
        "from pulumi_wgnode.components import Mesh, Site\n"
        "from pulumi_wgnode.components.arguments import SiteArgs\n"
        "from pulumi_wgnode.sdk import Gateway\n"
        "found = {name: bool(importlib.util.find_spec(name)) for name in ('lab', 'tools', 'tests')}\n"
        "print(json.dumps([pulumi_wgnode.__file__, wgnode.__file__, found]))\n"
    )
    done = run(installed / "python", "-m", "infra", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    package, node, found = json.loads(done.stdout)
    assert package.startswith(str(installed.parent))
    assert node.startswith(str(installed.parent))
    assert found == {"lab": False, "tools": False, "tests": False}


def test_what_goes_to_hosts_is_inside(installed: Path, tmp_path: Path) -> None:
    program = (
        "from pulumi_wgnode.hosts.networks.network import Network, script\n"
        "from wgnode.carriersfile import shipped\n"
        "from wgnode.hostd import bundle\n"
        "print(len(script(Network('wan0', 'lan0', (), {}))), len(bundle.build()))\n"
        "print(shipped().about('t-mobile-us')[0].name)\n"
    )
    done = run(installed / "python", "-c", program, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    text, companion, carrier = done.stdout.split()
    assert (int(text) > 1000, int(companion) > 1000, carrier) == (True, True, "t-mobile-us")


def test_its_commands_are_there(installed: Path, tmp_path: Path) -> None:
    done = run(installed / "wgnode", "--help", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert {"status", "device", "image"} <= {line.split()[0] for line in done.stdout.splitlines() if line.strip()}
    assert "no Pulumi.yaml in" in run(installed / "wgnode", "status", folder=tmp_path).stderr


def test_manual_and_completion_are_where_they_are_looked_for(installed: Path, tmp_path: Path) -> None:
    found = subprocess.run(
        ["manpath", "--quiet"], env={"PATH": f"{installed}:/usr/bin"}, capture_output=True, text=True, check=True
    ).stdout
    share = installed.parent / "share"
    assert str(share / "man") in found.strip().split(":")
    assert (share / "man" / "man1" / "wgnode-rollout-run.1").is_file()
    for place in completion.PLACES:
        assert VARIABLE in (share / place).read_text()


def test_its_plugin_answers_with_the_schema(installed: Path, tmp_path: Path) -> None:
    plugin = subprocess.Popen(
        [installed / "pulumi-resource-wgnode", "127.0.0.1:1"],
        cwd=tmp_path,
        env={"PATH": os.defpath},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert plugin.stdout
        with grpc.insecure_channel(f"127.0.0.1:{int(plugin.stdout.readline())}") as channel:
            stub = provider_pb2_grpc.ResourceProviderStub(channel)
            schema = stub.GetSchema(provider_pb2.GetSchemaRequest(), timeout=20).schema
        assert "wgnode:index:Gateway" in json.loads(schema)["resources"]
    finally:
        plugin.kill()
        plugin.wait()
