"""A Pulumi project in a folder of its own: a program of the test's, hosts that are faked where SSH would reach them."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.unit.pulumi_wgnode.keys import KEY, PIN
from tools import ROOT
from wgnode import recipient
from wgnode.image.archive import Members, write_archive

PLUGIN_MODULE = "tests.unit.pulumi_wgnode.engine.plugin"
PLUGIN = f"""#!/bin/sh
exec env PYTHONPATH='{{tree}}' '{sys.executable}' -m {PLUGIN_MODULE} "$@"
"""
SETTINGS = """name: own
runtime: python
plugins:
  providers:
    - name: wgnode
      path: plugin
"""
TUNNEL = "10.99.0.0/24"


def _of(process: Path, file: str) -> bytes:
    try:
        return (process / file).read_bytes()
    except OSError:
        return b""  # it has ended


class Project:
    """`sites` hosts, site0 at 198.51.100.1 and so on; the last one can't be called."""

    def __init__(self, folder: Path, environment: Mapping[str, str], sites: int = 1) -> None:
        self.folder, self.hosts = folder, folder / "hosts"
        self.environment = {**environment, "PWD": str(folder), "FAKED_HOSTS": str(self.hosts)}
        for directory in (self.hosts, folder / "plugin"):
            directory.mkdir(parents=True)
        (folder / "Pulumi.yaml").write_text(SETTINGS)
        self.run_by(ROOT)
        members = Members(b"kernel", b"initramfs", {"format": 1, "version": "1", "extension": ""})
        self.digest = write_archive(folder / "image.tar", members)
        self.names = [f"site{number}" for number in range(sites)]
        self.recipients = {name: recipient.generate() for name in self.names}
        self.known = {self.address(name): self._host(number) for number, name in enumerate(self.names)}
        self.describe()
        self.done("stack", "init", "dev")

    def run_by(self, tree: Path) -> None:
        """From now on the plugin, and what a program imports of us, are those of this clone."""
        plugin = self.folder / "plugin" / "pulumi-resource-wgnode"
        plugin.write_text(PLUGIN.format(tree=tree))
        plugin.chmod(0o755)
        self.environment["PYTHONPATH"] = str(tree)

    def describe(self, **changes: Any) -> None:
        """Of all hosts."""
        self.known = {address: {**known, **changes} for address, known in self.known.items()}
        (self.hosts / "hosts.json").write_text(json.dumps(self.known))

    def _host(self, number: int) -> dict[str, Any]:
        others = [self.lan(name) for place, name in enumerate(self.names) if place != number]
        routes = dict.fromkeys([*others, TUNNEL], f"via 10.{number}.7.2")
        return {"number": number + 1, "lan": f"10.{number}.7.1/24", "routes": routes}

    def address(self, name: str) -> str:
        return f"198.51.100.{self.names.index(name) + 1}"

    def lan(self, name: str) -> str:
        return f"10.{self.names.index(name)}.7.0/24"

    def mesh(self) -> dict[str, Any]:
        """The arguments of `Mesh`."""
        sites: dict[str, Any] = {
            name: {"lans": [self.lan(name)], "recipient": self.recipients[name][1]} for name in self.names
        }
        for name in self.names[:-1]:
            sites[name]["endpoint"] = f"{self.address(name)}:51820"
        return {"name": "dev", "tunnel": {"v4": TUNNEL}, "sites": sites}

    def site(self, name: str) -> dict[str, Any]:
        """The arguments of `Site`, but the mesh's outputs."""
        return {
            "name": name,
            "mesh": "dev",
            "host": {"address": self.address(name), "hostKeys": [PIN], "privateKey": KEY},
            "managementNetworks": ["192.0.2.0/24"],
            "uplink": "wan0",
            "lan": {"interface": "lan0", "gatewayAddresses": [f"10.{self.names.index(name)}.7.2"]},
            "recipientKey": self.recipients[name][0],
            "gateway": {"image": "image.tar"},
        }

    def program(self, text: str) -> None:
        """It finds in `GIVEN` the arguments of `mesh` and, by name, of `sites`; and the image's `digest`."""
        sites = {name: self.site(name) for name in self.names}
        given = {"mesh": self.mesh(), "sites": sites, "digest": self.digest}
        (self.folder / "given.json").write_text(json.dumps(given))
        begin = "import json, pathlib\nGIVEN = json.loads(pathlib.Path('given.json').read_text())\n"
        (self.folder / "__main__.py").write_text(begin + text)

    def pulumi(self, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
        """Standard error comes with standard output."""
        return subprocess.run(
            ["pulumi", *arguments, "--non-interactive"],
            cwd=self.folder,
            env={**self.environment, **more},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=240,
            check=False,
        )

    @contextmanager
    def running(self, *arguments: str) -> Iterator[subprocess.Popen[str]]:
        """While it runs; what it says can be read, line by line."""
        argv = ["pulumi", *arguments, "--non-interactive"]
        out = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
        engine = subprocess.Popen(argv, cwd=self.folder, env=self.environment, **out)  # type: ignore[call-overload]
        try:
            yield engine
        finally:
            engine.kill()
            engine.wait()

    def plugins(self) -> list[int]:
        """Those of this project that run, by process id."""
        folder = f"FAKED_HOSTS={self.hosts}".encode()
        return [
            int(process.name)
            for process in Path("/proc").glob("[0-9]*")
            if PLUGIN_MODULE.encode() in _of(process, "cmdline") and folder in _of(process, "environ")
        ]

    def done(self, *arguments: str, **more: str) -> str:
        """What it says; it must succeed."""
        done = self.pulumi(*arguments, **more)
        assert done.returncode == 0, done.stdout
        return done.stdout

    def state(self) -> list[dict[str, Any]]:
        """The resources of the stack, secrets opened."""
        return list(json.loads(self.done("stack", "export", "--show-secrets"))["deployment"].get("resources", []))
