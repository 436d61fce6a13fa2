"""`wgnode host scan`: a host's SSH keys, for review and for pinning."""

from __future__ import annotations

import base64
import hashlib
import logging
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import click
import paramiko

from wgnode import greeting, yamlfile
from wgnode.cli.stackfile import with_host_keys

KEY_TYPES = ("ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521", "rsa-sha2-512")
TIMEOUT = 10.0  # seconds for one connection

# Asking for a type that a host has no key of is no error here; without a handler the traceback goes to the terminal.
logging.getLogger("paramiko").addHandler(logging.NullHandler())


@dataclass(frozen=True)
class HostKey:
    """`kind` as in a pin ("ssh-ed25519"), `blob` the key in SSH's wire format."""

    kind: str
    blob: bytes

    @property
    def pin(self) -> str:
        return f"{self.kind} {base64.b64encode(self.blob).decode()}"

    @property
    def fingerprint(self) -> str:
        """As `ssh-keygen -l` shows it."""
        return "SHA256:" + base64.b64encode(hashlib.sha256(self.blob).digest()).decode().rstrip("=")


@click.group()
def command() -> None:
    """Fetch hypervisor hosts' SSH keys, to pin them."""


@command.command(
    epilog="""\b
Examples:
  wgnode host scan 203.0.113.7
  wgnode host scan rome.example --port 2222 --write stacks/Pulumi.prod-rome.yaml

\b
Compare the fingerprints with what the host's own console says:
  for key in /etc/ssh/ssh_host_*_key.pub; do ssh-keygen -l -f $key; done
"""
)
@click.argument("address")
@click.option("--port", default=22, show_default=True, type=click.IntRange(1, 65535))
@click.option(
    "--write",
    "file",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    help="Put the pins into a stack file.",
)
def scan(address: str, port: int, file: Path | None) -> None:
    """Fetch ADDRESS's SSH host keys and print their fingerprints and the pins.

    Whoever answers is taken at its word, so compare the fingerprints before you deploy.
    """
    keys = fetch(address, port)
    for key in keys:
        click.echo(f"{key.fingerprint}  {key.kind}", err=True)
    if file is None:
        click.echo("hostKeys:\n" + "".join(f"  - {key.pin}\n" for key in keys), nl=False)
        return
    try:
        yamlfile.write(file, with_host_keys(yamlfile.read(file), [key.pin for key in keys]))
    except (ValueError, OSError) as error:
        raise click.ClickException(f"{file}: {error}; it was left as it is") from None
    click.echo(f"wrote {len(keys)} pins into {file}; compare the fingerprints with the host's console", err=True)


def fetch(address: str, port: int, types: Sequence[str] = KEY_TYPES) -> list[HostKey]:
    """One key of each type that the host has. Raises ClickException when nobody answers or none has a key.

    It is asked for none that it has not: on OpenSSH 9.8 and newer each connection without a login is one more step to
    being shut out for a while.
    """
    found = {}
    there = list(types)
    while left := [kind for kind in there if kind not in found]:
        answer = _fetch_one(address, port, left)
        if answer is None:
            break
        found[answer.asked] = answer.key
        there = [kind for kind in types if kind in answer.offered]
    if not found:
        raise click.ClickException(f"{address} port {port} answers SSH but has none of: {', '.join(types)}")
    return [found[kind] for kind in types if kind in found]


@dataclass(frozen=True)
class _Answer:
    """A key, by which of the asked types, and all types that the host offers."""

    key: HostKey
    asked: str
    offered: Sequence[str]


def _fetch_one(address: str, port: int, kinds: Sequence[str]) -> _Answer | None:
    """The host's key of the first type that it has, or None when it has none. Ends before any authentication."""
    try:
        connection = socket.create_connection((address, port), timeout=TIMEOUT)
    except OSError as error:
        raise click.ClickException(f"{address} port {port}: no SSH connection ({error.strerror or error})") from None
    heard = greeting.Heard(connection)
    transport = paramiko.Transport(cast(socket.socket, heard))
    try:
        transport.get_security_options().key_types = tuple(kinds)
        transport.start_client(timeout=TIMEOUT)
        key = transport.get_remote_server_key()
    except paramiko.ssh_exception.IncompatiblePeer:
        return None
    except (paramiko.SSHException, EOFError, OSError) as error:
        why = greeting.meaning(heard.lines, str(error) or "it ended the connection")
        raise click.ClickException(f"{address} port {port} answers{why}") from None
    finally:
        transport.close()
    offered = greeting.host_key_types(heard.first)
    return _Answer(HostKey(key.get_name(), key.asbytes()), transport.host_key_type or kinds[0], offered or kinds)
