"""Keys of devices, and what `wgnode user` asks the engine for: the stack's device secret, and the mesh as deployed."""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from wgnode import yamlfile
from wgnode.cli import deployed
from wgnode.cli.engine import pulumi
from wgnode.cli.userfile import SiteFile, UserError
from wgnode.nodeconfig import KEY_LENGTH, decode_key, encode_key
from wgnode.topology import user_problems
from wgnode.topology.model import Topology

SETTING = f"wgmesh:site.{user_problems.SECRET}"


@dataclass(frozen=True)
class Keys:
    """Base64; `private` is None where the device has made its own."""

    public: str
    private: str | None = field(default=None, repr=False)


def keys_for(public_key: str | None) -> Keys:
    """A new pair, or what the device brings. Raises UserError."""
    if public_key is None:
        made = X25519PrivateKey.generate()
        return Keys(encode_key(made.public_key().public_bytes_raw()), encode_key(made.private_bytes_raw()))
    try:
        decode_key(public_key)
    except ValueError as error:
        raise UserError(f"--public-key: {error}; `wg pubkey` prints one from a private key") from None
    return Keys(public_key)


def mesh_of(file: SiteFile) -> Topology:
    """As the mesh's stack has deployed it. Raises UserError where that can't be read, or has no such site."""
    _require_engine()
    try:
        found = deployed.topology(lambda words: _pulumi(file, words), file.mesh)
    except deployed.Unreadable as error:
        raise UserError(f"outputs of stack {file.mesh} can't be read ({error}), so nothing was written") from None
    if found is None or file.name not in found.sites:
        raise UserError(
            f"mesh stack {file.mesh} has not deployed site {file.name!r} yet, so it has no key to give to a device: run"
            f" `pulumi up -s {file.mesh}` first"
        )
    return found


def device_secret(file: SiteFile) -> bytes | None:
    """The stack's, None where it has none yet. Raises UserError."""
    if not file.site.get(user_problems.SECRET):
        return None
    said = _pulumi(file, ["config", "get", "--path", SETTING, "--stack", file.stack])
    if said.returncode != 0:
        raise UserError(f"stack {file.stack} shows no {SETTING}, so nothing was written:\n{said.stderr.strip()}")
    try:
        return decode_key(said.stdout.strip())
    except ValueError as error:
        raise UserError(f"{SETTING} of stack {file.stack}: {error}; it is 32 random bytes, base64") from None


def with_new_secret(file: SiteFile) -> tuple[SiteFile, bytes]:
    """Made a secret of the stack, by which the engine has written the file anew. Raises UserError, OSError."""
    made = secrets.token_bytes(KEY_LENGTH)
    words = ["config", "set", "--secret", "--path", SETTING, "--stack", file.stack]
    said = _pulumi(file, words, encode_key(made))
    if said.returncode != 0:
        raise UserError(
            f"`pulumi config set` failed, so nothing was written:\n{said.stderr.strip()}\n"
            "log in to your backend and set its passphrase"
        )
    return file.with_text(yamlfile.read(file.path)), made


def _pulumi(file: SiteFile, words: Sequence[str], given: str = "") -> Any:
    return pulumi(words, file.path.parent, given, deployed.TIMEOUT)


def _require_engine() -> None:
    if shutil.which("pulumi") is None:
        raise UserError("no `pulumi` on PATH, which keeps the stack's secrets; `. tools/activate` puts it there")
