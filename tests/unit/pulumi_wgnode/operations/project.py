"""A project's folder with stacks, and a `pulumi` that answers from files: what the commands ask of the real one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml

PIN = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
FAKE_PULUMI = """#!/bin/sh
here="$(dirname "$0")"
echo "$@" >> "$here/calls"
kind=json
case "$1 $2" in "stack output") kind=outputs.json;; "stack export") kind=export.json;; esac
while [ "$1" != --stack ]; do shift; done
[ -f "$here/$2.$kind" ] || { echo "error: no stack named '$2' found" >&2; exit 6; }
cat "$here/$2.$kind"
"""


class Folder:
    """`bin` has the fake `pulumi` and what it answers for each stack."""

    def __init__(self, root: Path) -> None:
        self.root, self.bin = root, root / "bin"
        (root / "stacks").mkdir()
        self.bin.mkdir()
        (root / "Pulumi.yaml").write_text("name: wgmesh\nstackConfigDir: stacks\n")
        (self.bin / "pulumi").write_text(FAKE_PULUMI)
        (self.bin / "pulumi").chmod(0o755)

    def stack(self, name: str, plain: dict[str, Any], opened: dict[str, Any] | None = None) -> None:
        """The file, and what `pulumi config --json --show-secrets` makes of it."""
        (self.root / "stacks" / f"Pulumi.{name}.yaml").write_text(yaml.safe_dump({"config": plain}))
        answer = {
            key: {"objectValue": value} if isinstance(value, dict) else {"value": value}
            for key, value in (opened or plain).items()
        }
        (self.bin / f"{name}.json").write_text(json.dumps(answer))

    def remove(self, name: str) -> None:
        """The stack and its file."""
        (self.root / "stacks" / f"Pulumi.{name}.yaml").unlink()
        (self.bin / f"{name}.json").unlink()

    def site(self, name: str, environment: str = "dev", **more: Any) -> None:
        site = {
            "name": name,
            "mesh": f"{environment}-mesh",
            "host": {"address": "198.51.100.2", "hostKeys": [PIN], "port": 2222, "user": "ops"},
            "recipientKey": {"secure": "v1:sealed"},
        }
        opened = {**site, "recipientKey": "opened", "host": {**site["host"], "privateKey": "the key"}, **more}
        self.stack(
            f"{environment}-{name}",
            {"wgmesh:role": "site", "wgmesh:site": site},
            {"wgmesh:role": "site", "wgmesh:site": opened},
        )

    def outputs(self, stack: str, **outputs: Any) -> None:
        """What `pulumi stack output --json` says."""
        (self.bin / f"{stack}.outputs.json").write_text(json.dumps(outputs))

    def export(self, stack: str, text: str) -> None:
        """What `pulumi stack export --show-secrets` says."""
        (self.bin / f"{stack}.export.json").write_text(text)

    def mesh(self, environment: str = "dev", **mesh: Any) -> None:
        self.outputs(f"{environment}-mesh")
        self.stack(f"{environment}-mesh", {"wgmesh:role": "mesh", "wgmesh:mesh": mesh})
