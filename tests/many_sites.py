"""A project of an environment `prod` with many sites: stack files as `wgnode site new` writes them, under git."""

from __future__ import annotations

import functools
import os
import subprocess
from pathlib import Path
from typing import Any

from wgnode import recipient, yamlfile

PIN = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
ENVIRONMENT = {
    "GIT_AUTHOR_NAME": "t",
    "GIT_AUTHOR_EMAIL": "t@t",
    "GIT_COMMITTER_NAME": "t",
    "GIT_COMMITTER_EMAIL": "t@t",
}


@functools.cache
def keys() -> tuple[str, str]:
    """A recipient's private and public key: one pair for all sites."""
    return recipient.generate()


class Project:
    def __init__(self, root: Path, sites: int) -> None:
        self.root, self.public = root, keys()[1]
        self.sites: dict[str, dict[str, Any]] = {}
        self.mesh: dict[str, Any] = {
            "name": "prod",
            "tunnel": {"v4": "10.64.0.0/16", "v6": "fd00:64::/64"},
            "sites": self.sites,
        }
        self.rollout: dict[str, Any] | None = None
        self.sites_file: str | None = None  # beside the mesh's, where they are more than the engine hands over
        self.own: dict[str, dict[str, Any]] = {}
        (root / "stacks").mkdir()
        (root / "Pulumi.yaml").write_text("name: wgmesh\nstackConfigDir: stacks\nruntime: python\n")
        for number in range(sites):
            self._describe(f"site{number}")
        self.write(*self.own)

    def add(self, name: str) -> None:
        """With LANs and an endpoint of its own."""
        self._describe(name)
        self.write(name)

    def _describe(self, name: str) -> None:
        high, low = divmod(len(self.sites), 250)
        self.sites[name] = {
            "endpoint": f"198.51.{100 + high}.{low + 1}:51820",
            "lans": [f"10.{128 + high}.{low}.0/24", f"fd00:{high:x}:{low:x}::/64"],
            "recipient": self.public,
        }
        self.own[name] = {
            "name": name,
            "mesh": "prod-mesh",
            "host": {
                "address": f"198.51.{100 + high}.{low + 1}",
                "user": "root",
                "hostKeys": [PIN],
                "privateKey": {"secure": "v1:sealed:key"},
            },
            "managementNetworks": ["192.0.2.0/24"],
            "uplink": "wan0",
            "lan": {
                "interface": "lan0",
                "gatewayAddresses": [f"10.{128 + high}.{low}.2", f"fd00:{high:x}:{low:x}::2"],
                "reach": "host-route",
            },
            "gateway": {"memory": 128, "cpus": 1},
            "firewall": {"allow": []},
            "recipientKey": {"secure": "v1:sealed:recipient"},
        }

    def open_port(self, number: int, port: int) -> None:
        name = f"site{number}"
        self.own[name]["firewall"]["allow"].append({"protocol": "tcp", "port": port})
        self.write(name)

    def write(self, *names: str) -> None:
        """The mesh's file, and those of sites that have changed."""
        mesh = self.mesh
        if self.sites_file:
            mesh = {**{key: value for key, value in mesh.items() if key != "sites"}, "sitesFile": self.sites_file}
            (self.root / "stacks" / self.sites_file).write_text(yamlfile.block(self.sites))
        config = {"wgmesh:role": "mesh", "wgmesh:mesh": mesh}
        self._stack("prod-mesh", config | ({"wgmesh:rollout": self.rollout} if self.rollout else {}))
        for name in names:
            self._stack(f"prod-{name}", {"wgmesh:role": "site", "wgmesh:site": self.own[name]})

    def remove(self, name: str) -> None:
        """Its stack's file."""
        (self.root / f"stacks/Pulumi.prod-{name}.yaml").unlink()

    def commit(self) -> str:
        """Its id."""
        if not (self.root / ".git").exists():
            self.git("init", "-q", "-b", "main")
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", "a change")
        return self.git("rev-parse", "HEAD").strip()

    def git(self, *arguments: str) -> str:
        argv = ["git", "-C", str(self.root), *arguments]
        return subprocess.run(argv, capture_output=True, text=True, check=True, env=os.environ | ENVIRONMENT).stdout

    def _stack(self, stack: str, config: dict[str, Any]) -> None:
        (self.root / f"stacks/Pulumi.{stack}.yaml").write_text(yamlfile.block({"config": config}))
