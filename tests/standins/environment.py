"""An environment of many sites under the real engine, whose hosts are files."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

from tests import many_sites
from tests.standins.backends import Backend
from tests.standins.hosts import kept
from tools import ROOT, engine
from wgnode.image.archive import Members, write_archive

MESH = "prod-mesh"
MANY = 50  # sites whose stack file the engine hands over whole
_PLUGIN = """#!/bin/sh
PYTHONPATH={root} exec {root}/.venv/bin/python -m tests.standins.hosts plugin "$@"
"""
_IGNORED = "/plugin\n/state/\n/home/\n/hosts/\n/infra\n/image.tar\n/pyproject.toml\n"


def variables(folder: Path, backend: Backend) -> dict[str, str]:
    """What the engine has in its environment in a project's folder; none of this machine's own Pulumi."""
    found = engine.find()
    assert found is not None, "no Pulumi engine is installed: run make setup"
    own = {name: value for name, value in os.environ.items() if not name.startswith("PULUMI_")}
    return own | {
        **backend.variables,
        "PATH": os.pathsep.join([str(ROOT / ".venv" / "bin"), str(found), own["PATH"]]),
        "VIRTUAL_ENV": str(ROOT / ".venv"),
        "PWD": str(folder),  # how the program finds its folder under older language hosts
        "PULUMI_HOME": str(folder / "home"),
        "PULUMI_BACKEND_URL": backend.url,
        "PULUMI_CONFIG_PASSPHRASE": "for this environment only",
        "PULUMI_SKIP_UPDATE_CHECK": "true",
        "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
    }


class Environment:
    """A project in a folder of its own, under git, logged in to a backend of files in that folder, or to another.

    Stacks are made by `init`; those of sites are of hosts that are there.
    """

    def __init__(self, folder: Path, sites: int, backend: Backend | None = None) -> None:
        self.folder, self.hosts = folder, folder / "hosts"
        self.project = many_sites.Project(folder, sites)
        self._lay_out()
        self.backend = backend or Backend(f"file://{folder / 'state'}?metadata=skip")

    def _lay_out(self) -> None:
        for name in ("state", "home", "hosts", "plugin/wgnode"):
            (self.folder / name).mkdir(parents=True)
        (self.folder / "Pulumi.yaml").write_text((ROOT / "Pulumi.yaml").read_text())
        for name in ("infra", "pyproject.toml"):
            (self.folder / name).symlink_to(ROOT / name)
        plugin = self.folder / "plugin/wgnode/pulumi-resource-wgnode"
        plugin.write_text(_PLUGIN.format(root=ROOT))
        plugin.chmod(0o755)
        (self.folder / ".gitignore").write_text(_IGNORED)
        made = Members(b"kernel", b"initramfs", {"format": 1, "version": "1", "extension": ""})
        sha256 = write_archive(self.folder / "image.tar", made)
        for site in self.project.own.values():
            site["gateway"] |= {"image": "image.tar", "sha256": sha256, "accelerator": "tcg"}
        if len(self.project.sites) > MANY:
            self.project.sites_file = "prod-sites.yaml"
        self.project.write(*self.project.own)

    def variables(self) -> dict[str, str]:
        """For the engine and our commands, beside what they inherit; none of this machine's own Pulumi."""
        return {**variables(self.folder, self.backend), kept.FOLDER: str(self.hosts)}

    def pulumi(self, *arguments: str, input: str | None = None) -> str:
        """What it says. Raises CalledProcessError, with that in its notes."""
        return self._run(["pulumi", *arguments, "--non-interactive"], input)

    def wgnode(self, *arguments: str, codes: Sequence[int] = (0,)) -> str:
        return self._run(self.command(*arguments), codes=codes)

    def command(self, *arguments: str) -> list[str]:
        """`wgnode` with hosts that are files."""
        return [str(ROOT / ".venv/bin/python"), "-m", "tests.standins.hosts", "command", *arguments]

    def init(self, *names: str) -> None:
        """Stacks of sites, or the mesh's, with secrets of their own and a host."""
        for stack in names:
            self.pulumi("stack", "init", stack)
            if stack != MESH:
                self._host(stack)

    def _host(self, stack: str) -> None:
        site = self.project.own[stack.removeprefix("prod-")]
        key = subprocess.run(
            ["openssl", "genpkey", "-algorithm", "ed25519"], capture_output=True, text=True, check=True
        ).stdout
        secrets = {"host.privateKey": key, "recipientKey": many_sites.keys()[0]}
        for path, value in secrets.items():
            self.pulumi("config", "set", "--secret", "--path", "--stack", stack, f"wgmesh:site.{path}", input=value)
        lengths = {".": "/24", ":": "/64"}
        lan = [
            address[:-1] + "1" + lengths[":" if ":" in address else "."] for address in site["lan"]["gatewayAddresses"]
        ]
        kept.put(self.hosts, site["host"]["address"], *lan)

    def up(self, stack: str) -> str:
        return self.pulumi("up", "--yes", "--skip-preview", "--suppress-outputs", "--stack", stack)

    def _run(self, argv: list[str], input: str | None = None, codes: Sequence[int] = (0,)) -> str:
        variables = self.variables() | {"PYTHONPATH": str(ROOT)}
        options = {"capture_output": True, "text": True, "check": False, "cwd": self.folder, "env": variables}
        done = subprocess.run(argv, input=input, **options)  # type: ignore[call-overload]
        if done.returncode not in codes:
            raise RuntimeError(f"{' '.join(argv)}: exit code {done.returncode}\n{done.stdout}{done.stderr}")
        said: str = done.stdout
        return said
