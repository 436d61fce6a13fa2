"""`wgnode key`: make and convert keys, as `wg genkey` and `wg pubkey` do, by pipes."""

from __future__ import annotations

import sys

import click
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from wgnode import recipient
from wgnode.nodeconfig import decode_key, encode_key


@click.group()
def command() -> None:
    """Make and convert keys."""


@command.command(
    "recipient",
    epilog="""\b
Example:
  wgnode key recipient > rome.key && wgnode key public < rome.key
""",
)
def recipient_command() -> None:
    """Print a new private recipient key; `wgnode key public` gives its public half.

    The mesh stack seals a site's secrets to its recipient key.
    """
    click.echo(recipient.generate()[0])


@command.command(
    "public",
    epilog="""\b
Example:
  wg genkey | wgnode key public
""",
)
def public() -> None:
    """Print the public half of the private key on standard input: a site's recipient key, or WireGuard's."""
    try:
        click.echo(public_half(sys.stdin.read().strip()))
    except ValueError as error:
        raise click.ClickException(str(error)) from None


def public_half(private: str) -> str:
    """Raises ValueError, which never quotes the key."""
    if private.startswith("wgnode-"):
        return recipient.public_of(private)
    try:
        key = decode_key(private)
    except ValueError as error:
        raise ValueError(f"neither a recipient key (`wgnode key recipient`) nor WireGuard's: {error}") from None
    return encode_key(X25519PrivateKey.from_private_bytes(key).public_key().public_bytes_raw())
