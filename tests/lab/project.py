"""A Pulumi project of a test's own: the clone's program and plugin, the demo's stack files, its own state."""

from __future__ import annotations

import base64
import shutil
import struct
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tools import ROOT
from wgnode import recipient

SITES = ("berlin", "cabin")
SSH_KEY = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()).decode()
PIN = "ssh-ed25519 " + base64.b64encode(struct.pack(">I11sI32s", 11, b"ssh-ed25519", 32, bytes(32))).decode()


class Project:
    """`prefix` goes before `pulumi`, to run it elsewhere, such as in a lab's runner."""

    def __init__(self, folder: Path, environment: Mapping[str, str], prefix: Sequence[str] = ()) -> None:
        self.folder, self.environment, self.prefix = folder, environment, prefix
        (folder / "stacks").mkdir(parents=True)
        for name in ("infra", "plugin", "Pulumi.yaml"):
            (folder / name).symlink_to(ROOT / name)
        for file in (ROOT / "stacks").glob("*.yaml"):
            shutil.copy(file, folder / "stacks")
        (folder / "image.tar").write_bytes(b"no image")
        self.recipients = {site: recipient.generate() for site in SITES}

    def pulumi(self, *arguments: str, given: str = "", **more: str) -> subprocess.CompletedProcess[str]:
        """Run `pulumi`; `more` changes its environment. Standard error comes with standard output."""
        return subprocess.run(
            [*self.prefix, "pulumi", *arguments, "--non-interactive"],
            cwd=self.folder,
            env={**self.environment, "PWD": str(self.folder), **more},
            input=given,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=240,
            check=False,
        )

    def done(self, *arguments: str, given: str = "", **more: str) -> str:
        """Run `pulumi`, which must succeed; what it said."""
        done = self.pulumi(*arguments, given=given, **more)
        assert done.returncode == 0, done.stdout
        return done.stdout

    def configure(self, stack: str, values: Mapping[str, str]) -> None:
        pairs = [word for path, value in values.items() for word in ("--plaintext", f"wgmesh:{path}={value}")]
        self.done("config", "set-all", "--path", "--stack", stack, *pairs)

    def mesh(self) -> None:
        """The mesh's stack with its recipients filled in, not yet run."""
        self.done("stack", "init", "dev-mesh")
        self.configure("dev-mesh", {f"mesh.sites.{site}.recipient": pair[1] for site, pair in self.recipients.items()})

    def site(self, name: str, settings: Mapping[str, Any] | None = None, key: str = SSH_KEY, **more: str) -> None:
        """A site's stack that lacks nothing, not yet run; `settings` by path under `site`."""
        stack = f"dev-{name}"
        self.done("stack", "init", stack, **more)
        values = {"host.hostKeys[0]": PIN, "managementNetworks[0]": "192.0.2.0/24", "gateway.image": "image.tar"}
        self.configure(stack, {f"site.{path}": value for path, value in (values | dict(settings or {})).items()})
        for path, secret in (("host.privateKey", key), ("recipientKey", self.recipients[name][0])):
            self.secret(stack, path, secret, **more)

    def secret(self, stack: str, path: str, value: str, **more: str) -> None:
        arguments = ["config", "set", "--secret", "--path", f"wgmesh:site.{path}", "--stack", stack]
        self.done(*arguments, given=value, **more)
