"""A Debian of its own in a folder: real apt and dpkg, packages made here, nothing of the machine's touched."""

from __future__ import annotations

import hashlib
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

from pulumi_wgnode.hosts.host import HostError, Result


class Debian:
    """As much of `Host` as installing needs. `environment` is as SshHost's."""

    name = "root@folder"

    def __init__(self, base: Path) -> None:
        self.root, self.repository, self._made = base / "root", base / "repository", base / "made"
        for folder in (
            *("var/lib/dpkg/info", "var/lib/dpkg/updates", "var/lib/apt/lists/partial", "var/log/apt", "etc"),
            *("var/cache/apt/archives/partial", "etc/apt/apt.conf.d", "etc/apt/preferences.d", "tmp"),
        ):
            (self.root / folder).mkdir(parents=True)
        self.repository.mkdir()
        (self.root / "var/lib/dpkg/status").touch()
        (self.root / "etc/apt/sources.list").write_text(f"deb [trusted=yes] file:{self.repository} ./\n")
        configuration = base / "apt.conf"
        configuration.write_text(f'Dir "{self.root}/"; Dir::Bin::dpkg "/usr/bin/dpkg"; APT::Architecture "amd64";\n')
        self.environment = {
            "PATH": os.environ["PATH"],
            "LC_ALL": "C",
            "DEBIAN_FRONTEND": "noninteractive",
            "APT_CONFIG": str(configuration),
            "DPKG_ROOT": str(self.root),
            "DPKG_FORCE": "not-root,script-chrootless,bad-path",
        }
        self.commands: list[str] = []

    def run(
        self, argv: Sequence[str], *, input: bytes = b"", check: bool = True, timeout: float = 60, secret: bool = False
    ) -> Result:
        self.commands.append(" ".join(argv))
        done = subprocess.run(
            argv, env=self.environment, input=input, capture_output=True, timeout=timeout, check=False
        )
        if check and done.returncode:
            raise HostError(done.stderr.decode())
        return Result(done.returncode, done.stdout.decode(), done.stderr.decode())

    def package(self, name: str, *, postinst: str = "", conffile: str = "", **fields: str) -> None:
        """Into the repository: `fields` such as Depends, `conffile` a path that it brings with the text "packaged"."""
        tree = self._made / name
        (tree / "DEBIAN").mkdir(parents=True, exist_ok=True)
        stanza = {"Package": name, "Version": "1", "Architecture": "all", "Maintainer": "x <x@example.org>"} | fields
        control = "".join(f"{key.replace('_', '-')}: {value}\n" for key, value in stanza.items())
        (tree / "DEBIAN/control").write_text(f"{control}Description: x\n")
        if postinst:
            (tree / "DEBIAN/postinst").write_text(f"#!/bin/sh\n{postinst}\n")
            (tree / "DEBIAN/postinst").chmod(0o755)
        if conffile:
            (tree / "DEBIAN/conffiles").write_text(f"{conffile}\n")
            (tree / conffile.lstrip("/")).parent.mkdir(parents=True, exist_ok=True)
            (tree / conffile.lstrip("/")).write_text("packaged\n")
        archive = self.repository / f"{name}.deb"
        subprocess.run(
            ["dpkg-deb", "--root-owner-group", "-Znone", "-b", tree, archive], capture_output=True, check=True
        )
        data = archive.read_bytes()
        where = f"Filename: ./{name}.deb\nSize: {len(data)}\nSHA256: {hashlib.sha256(data).hexdigest()}\n"
        with (self.repository / "Packages").open("a") as index:
            index.write(f"{control}{where}Description: x\n\n")

    def state(self, name: str) -> str:
        """dpkg's own letters, "" for a package that is not known."""
        argv = ["dpkg-query", "-W", "-f", "${db:Status-Abbrev}", name]
        return self.run(argv, check=False).stdout.strip()

    def dpkg(self, *arguments: str) -> Result:
        return self.run(["dpkg", *arguments], check=False)
