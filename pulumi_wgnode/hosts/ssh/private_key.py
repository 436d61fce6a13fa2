"""Private SSH keys: one judgement for what the configuration takes and what can log in."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import TYPE_CHECKING

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
    load_ssh_private_key,
)

if TYPE_CHECKING:
    import paramiko

SMALLEST_RSA = 1024  # bits; OpenSSH's own RequiredRSASize
_CURVES = (ec.SECP256R1, ec.SECP384R1, ec.SECP521R1)
Loaded = ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
_PATH = (
    "this is not an SSH private key but the path of a file; set what is in it, or the path as"
    " WGNODE_SSH_PRIVATE_KEY_FILE"
)
# The beginning of what people have in the key's place, and what to do about it.
_OTHERS = {
    "PuTTY-User-Key-File": "this is a key in PuTTY's format; `puttygen KEYFILE -O private-openssh` converts it",
    "---- BEGIN SSH2": "this is a key in the SSH2 format of another program; `ssh-keygen -i` converts it",
    "ssh-": "this is the public half of an SSH key; set the private one (the file without .pub)",
    "ecdsa-": "this is the public half of an SSH key; set the private one (the file without .pub)",
    "sk-": "this is the public half of a key in a security token; use `agent: true`, with the token in the agent",
    "-----BEGIN CERTIFICATE": "this is a certificate; set the private key that it belongs to",
    "/": _PATH,
    "~/": _PATH,
    "-----BEGIN PUBLIC KEY": "this is the public half of a key; set the private one",
}


class KeyProblem(ValueError):
    """Why this text cannot log in, and the way out; it never quotes the text."""


def check(text: str, passphrase: str | None = None) -> None:
    """Raises KeyProblem for what `load` would not take."""
    _judged(_parsed(_unindented(text), passphrase))


def load(text: str, passphrase: str | None = None) -> paramiko.PKey:
    """An Ed25519, ECDSA or RSA key as OpenSSH, PEM (PKCS#1, SEC 1) or PKCS#8 write it. Raises KeyProblem.

    `passphrase` is asked for only where the key has one.
    """
    import paramiko  # which takes long, and who only checks needs none of

    key = _judged(_parsed(_unindented(text), passphrase))
    openssh = key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()).decode()
    kind: type[paramiko.PKey] = paramiko.RSAKey
    if isinstance(key, ed25519.Ed25519PrivateKey):
        kind = paramiko.Ed25519Key
    elif isinstance(key, ec.EllipticCurvePrivateKey):
        kind = paramiko.ECDSAKey
    return kind.from_private_key(io.StringIO(openssh))


def _parsed(text: str, passphrase: str | None) -> object:
    for beginning, remedy in _OTHERS.items():
        if text.startswith(beginning):
            raise KeyProblem(remedy)
    read = load_ssh_private_key if "BEGIN OPENSSH PRIVATE KEY" in text else load_pem_private_key
    try:
        return read(text.encode(), password=None)
    except TypeError:
        return _unlocked(read, text, passphrase)
    except UnsupportedAlgorithm:
        raise KeyProblem(f"this kind of SSH key is not supported; {_KINDS}") from None
    except ValueError:
        raise KeyProblem("this is not an SSH private key (its text is not shown); set it again, in full") from None


def _unlocked(read: Callable[..., object], text: str, passphrase: str | None) -> object:
    if not passphrase:
        raise KeyProblem(_LOCKED)
    try:
        return read(text.encode(), password=passphrase.encode())
    except UnsupportedAlgorithm:
        raise KeyProblem(f"this kind of SSH key, or of its protection, is not supported; {_KINDS}") from None
    except (ValueError, TypeError):
        raise KeyProblem(
            "this private key is protected by another passphrase than the one that is given; `ssh-keygen -y -f KEYFILE`"
            " asks for it and tells whether it is right"
        ) from None


def _judged(key: object) -> Loaded:
    if isinstance(key, rsa.RSAPrivateKey):
        if key.key_size < SMALLEST_RSA:
            raise KeyProblem(f"this RSA key has {key.key_size} bits, which no SSH server takes any more; {_KINDS}")
        return key
    if isinstance(key, ec.EllipticCurvePrivateKey):
        if not isinstance(key.curve, _CURVES):
            raise KeyProblem(f"this key is of curve {key.curve.name}, which SSH does not have; {_KINDS}")
        return key
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return key
    kind = type(key).__name__.lstrip("_").removesuffix("PrivateKey")
    raise KeyProblem(f"this is a key of the kind {kind}, which cannot log in by SSH; {_KINDS}")


def _unindented(text: str) -> str:
    """As it was before an editor, a YAML block or another system's line ends were put around it."""
    lines = (line.strip() for line in text.lstrip("\ufeff").strip().splitlines())
    return "".join(f"{line}\n" for line in lines)


_LOCKED = (
    "this private key is protected by a passphrase: give it too (`passphrase`, a secret, or WGNODE_SSH_PASSPHRASE), use"
    " `agent: true`, or a key without"
)
_KINDS = "take an Ed25519 key (`ssh-keygen -t ed25519`), an ECDSA or an RSA key"
