"""The demo environment deployed into a lab by the real engine: a Pulumi project of its own beside the lab's files.

The project's folder links to the clone's program and plugin and holds its own copies of the stack files, so that
stack files, state and passphrase stay with the lab and the clone stays clean.
"""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lab.api import Lab
from lab.errors import LabError
from lab.plan import MANAGEMENT, RUNNER
from lab.process import without_bytecode
from tools import engine
from wgnode import recipient
from wgnode.image import best

ROOT = Path(__file__).resolve().parent.parent
IMAGE = best.find(ROOT / "build" / "image")
"""The pinned one, or what this machine can build: it is only for hosts of the lab."""
MESH_STACK = "dev-mesh"
PROJECT = "wgmesh"
WHOLE_STATES = "?metadata=skip"
"""Of a file backend: no second file (`.attrs`) beside each state. Pulumi's library writes that in place, and an engine
killed in between leaves it empty: "failed to load checkpoint: EOF" is then said of a state that is whole."""


def stack_of(site: str) -> str:
    return f"dev-{site}"


class Deployment:
    """The stacks `dev-mesh`, `dev-berlin` and `dev-cabin` of one lab."""

    def __init__(self, lab: Lab, image: Path = IMAGE) -> None:
        self.lab = lab
        self.image = image
        self.folder = lab.directory / "project"
        self.sites = tuple(lab.inventory["hosts"])
        self.stacks = (MESH_STACK, *map(stack_of, self.sites))

    # The project's folder

    def prepare(self) -> None:
        """Make the project: links, stack files with this lab's addresses, pins and keys. Keeps what is there."""
        for folder in ("stacks", "state", "keys"):
            (self.folder / folder).mkdir(mode=0o700, parents=True, exist_ok=True)
        for name in ("infra", "plugin", "Pulumi.yaml", "pyproject.toml"):
            link = self.folder / name
            if not link.is_symlink():
                link.symlink_to(ROOT / name)
        self._link_engine()
        self._keep("passphrase", secrets.token_urlsafe(24))
        for stack in self.stacks:
            if not (self.folder / "stacks" / f"Pulumi.{stack}.yaml.ready").exists():
                self._fill_in(stack)

    def _link_engine(self) -> None:
        if found := engine.find():
            link = self.folder / "engine"
            link.unlink(missing_ok=True)
            link.symlink_to(found)

    def _recipient_key(self, site: str) -> str:
        """A site's private recipient key; kept, because the mesh seals to its public half."""
        return self._keep(f"keys/{site}.recipient", recipient.generate()[0])

    def _keep(self, name: str, content: str) -> str:
        """The content of one of the project's secret files, made with `content` where it isn't there yet."""
        path = self.folder / name
        if not path.exists():
            path.touch(0o600)
            path.write_text(content)
        return path.read_text()

    def _fill_in(self, stack: str) -> None:
        file = self.folder / "stacks" / f"Pulumi.{stack}.yaml"
        shutil.copyfile(self.template(file.name), file)
        self.pulumi(["stack", "select", "--create", "--stack", stack])
        if stack == MESH_STACK:
            public = {site: recipient.public_of(self._recipient_key(site)) for site in self.sites}
            self.configure(stack, {f"mesh.sites.{site}.recipient": key for site, key in public.items()})
        else:
            site = stack.removeprefix("dev-")
            host = self.lab.inventory["hosts"][site]
            self.configure(
                stack,
                {
                    "site.host.address": host["address"],
                    "site.host.port": str(host["port"]),
                    "site.host.user": host["user"],
                    **{f"site.host.hostKeys[{number}]": key for number, key in enumerate(host["host_keys"])},
                    "site.managementNetworks[0]": MANAGEMENT,
                    "site.gateway.image": str(self.image),
                },
            )
            self.set_secret(stack, "site.host.privateKey", Path(self.lab.inventory["ssh_key"]).read_text())
            self.set_secret(stack, "site.recipientKey", self._recipient_key(site))
        file.with_name(f"{file.name}.ready").touch()

    def template(self, name: str) -> Path:
        """What a stack's file begins as."""
        return ROOT / "stacks" / name

    # Pulumi

    def environment(self) -> dict[str, str]:
        """What Pulumi needs around it. Not this machine's own Pulumi settings: the demo must not touch them."""
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("PULUMI_")}
        link = self.folder / "engine"  # sudo's home is another one than that whose cache holds the engine
        found = link if link.is_dir() else engine.find()
        if found is None:
            raise LabError("no Pulumi engine; install it: make setup")
        path = os.pathsep.join([str(ROOT / ".venv" / "bin"), str(found), inherited["PATH"]])
        return (inherited | without_bytecode()) | {
            "PATH": path,
            "PWD": str(self.folder),  # how the program finds its project's folder under older language hosts
            "VIRTUAL_ENV": str(ROOT / ".venv"),
            "PULUMI_HOME": str(self.folder / "home"),
            "PULUMI_BACKEND_URL": f"file://{self.folder / 'state'}{WHOLE_STATES}",
            "PULUMI_CONFIG_PASSPHRASE_FILE": str(self.folder / "passphrase"),
            "PULUMI_SKIP_UPDATE_CHECK": "true",
            "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
        }

    def argv(self, arguments: Sequence[str]) -> list[str]:
        """The command line of `pulumi` in the runner's network."""
        return self.lab.argv_in(RUNNER, ["pulumi", *arguments, "--non-interactive"])

    def pulumi(
        self, arguments: Sequence[str], *, check: bool = True, **options: Any
    ) -> subprocess.CompletedProcess[str]:
        """Run `pulumi` and capture what it says. Raises LabError with that when it fails and `check`."""
        options = {"text": True, "capture_output": True, "timeout": 600} | options
        done = subprocess.run(self.argv(arguments), cwd=self.folder, env=self.environment(), check=False, **options)
        if check and done.returncode != 0:
            raise LabError(f"pulumi {' '.join(arguments)}: exit code {done.returncode}\n{done.stdout}{done.stderr}")
        return done

    def wgnode(self, arguments: Sequence[str], **options: Any) -> subprocess.CompletedProcess[str]:
        """Run `wgnode` where and as `pulumi` runs; it may fail."""
        argv = self.lab.argv_in(RUNNER, ["wgnode", *arguments])
        options = {"text": True, "capture_output": True, "timeout": 120} | options
        return subprocess.run(argv, cwd=self.folder, env=self.environment(), check=False, **options)

    def configure(self, stack: str, values: Mapping[str, str]) -> None:
        """Set plain values by path under the project's namespace, keeping the file's comments."""
        pairs = [word for path, value in values.items() for word in ("--plaintext", f"{PROJECT}:{path}={value}")]
        self.pulumi(["config", "set-all", "--path", "--stack", stack, *pairs])

    def set_secret(self, stack: str, path: str, value: str) -> None:
        """Set one secret by path; it goes in by standard input, never on a command line."""
        self.pulumi(["config", "set", "--path", "--secret", "--stack", stack, f"{PROJECT}:{path}"], input=value)

    def up(self, stack: str, **options: Any) -> subprocess.CompletedProcess[str]:
        arguments = ["up", "--yes", "--skip-preview", "--stack", stack]
        if stack == MESH_STACK:
            arguments.append("--suppress-outputs")  # sealed bundles: nothing that a person reads
        return self.pulumi(arguments, **options)
