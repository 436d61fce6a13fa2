"""Keys, authorities and certificates as ssh-keygen makes them."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class KeyFile:
    path: Path

    @property
    def text(self) -> str:
        return self.path.read_text()

    @property
    def public(self) -> str:
        """ "TYPE BASE64"."""
        return " ".join(self.path.with_name(self.path.name + ".pub").read_text().split()[:2])

    @property
    def certificate(self) -> str:
        return self.path.with_name(self.path.name + "-cert.pub").read_text()


def keygen(path: Path, *more: str, passphrase: str = "") -> KeyFile:
    kind = [] if "-t" in more else ["-t", "ed25519"]
    subprocess.run(["ssh-keygen", "-q", "-N", passphrase, "-C", "", "-f", str(path), *kind, *more], check=True)
    return KeyFile(path)


def certify(authority: KeyFile, key: KeyFile, names: str, *more: str, validity: str = "-1m:+1h") -> str:
    """A certificate of `key` for `names`, beside it; `-h` among `more` makes one of a host."""
    named = ["-n", names] if names else []
    argv = ["ssh-keygen", "-q", "-s", str(authority.path), "-I", "an id", "-V", validity, *named, *more]
    subprocess.run([*argv, f"{key.path}.pub"], check=True, stderr=subprocess.DEVNULL)
    return key.certificate
