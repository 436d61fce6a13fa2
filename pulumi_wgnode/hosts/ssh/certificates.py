"""OpenSSH certificates (PROTOCOL.certkeys), of hosts and of users: what they are, and what keeps one from counting."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable
from datetime import UTC, datetime
from fnmatch import fnmatchcase

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    SSHCertificate,
    SSHCertificateType,
    load_ssh_public_identity,
)

SUFFIX = "-cert-v01@openssh.com"
_SHA1 = b"\0\0\0\x07ssh-rsa"  # how a signature begins that is made of SHA-1
_FOR_EVER = 2**64 - 1  # PROTOCOL.certkeys, "valid before"


class CertificateProblem(ValueError):
    """Why this text is no certificate that can be used, and the way out."""


def load(line: str) -> SSHCertificate:
    """ "ssh-ed25519-cert-v01@openssh.com AAAA... comment". Raises CertificateProblem."""
    try:
        found = load_ssh_public_identity(" ".join(line.split()[:2]).encode())
    except (ValueError, UnsupportedAlgorithm):
        found = None
    if not isinstance(found, SSHCertificate):
        raise CertificateProblem(
            "this is not an OpenSSH certificate; it is the line in the file KEY-cert.pub that `ssh-keygen -s` writes"
        )
    return found


def load_users(line: str) -> SSHCertificate:
    """One to log in with. Raises CertificateProblem."""
    if (found := load(line)).type is not SSHCertificateType.USER:
        raise CertificateProblem("this is a certificate of a host, not of a user (`ssh-keygen -h` makes those)")
    return found


def hosts_problem(
    found: SSHCertificate, names: Iterable[str], authorities: Iterable[str], now: float, revoked: Iterable[str] = ()
) -> str | None:
    """Why this certificate does not prove a host, by what sshd's clients ask (sshconnect.c, sshkey_cert_check_host).

    `names` are those that it is called by, `authorities` and `revoked` public keys as "TYPE BASE64", `now` in seconds
    since the epoch.
    """
    names = list(names)
    issuer = _line(found.signature_key())
    if issuer in revoked or _line(found.public_key()) in revoked:
        return "is revoked"
    if issuer not in authorities:
        return f"is signed by {fingerprint(issuer)}, which is none of the authorities"
    if found.type is not SSHCertificateType.HOST:
        return "is one of a user, not of a host"
    if not _is_signed(found):
        return "has a signature that is not its authority's"
    if found.critical_options:
        return f"has critical options ({_texts(found.critical_options)}), which a host's has none of"
    if not any(
        fnmatchcase(name.lower(), one.decode(errors="replace").lower())
        for name in names
        for one in found.valid_principals
    ):
        return f"is for {_texts(found.valid_principals) or 'nobody by name'}, not for {' or '.join(names)}"
    return untimely(found, now)


def untimely(found: SSHCertificate, now: float) -> str | None:
    """Why it does not count at that time, in seconds since the epoch."""
    if now < found.valid_after:
        return f"is valid from {_time(found.valid_after)} on only"
    if found.valid_before != _FOR_EVER and now >= found.valid_before:
        return f"expired at {_time(found.valid_before)}"
    return None


def described(found: SSHCertificate) -> str:
    """Of a user's, for messages."""
    return (
        f"certificate {found.key_id.decode(errors='replace')!r} for {_texts(found.valid_principals) or 'anybody'},"
        f" signed by {fingerprint(_line(found.signature_key()))}"
    )


def is_of(found: SSHCertificate, public: str) -> bool:
    """Whether it certifies this key, "TYPE BASE64"."""
    return _line(found.public_key()) == public


def fingerprint(line: str) -> str:
    """Of "TYPE BASE64", as ssh-keygen -l prints it."""
    digest = hashlib.sha256(base64.b64decode(line.split()[1])).digest()
    return "SHA256:" + base64.b64encode(digest).decode().rstrip("=")


def _is_signed(found: SSHCertificate) -> bool:
    """By more than SHA-1, as OpenSSH wants it too (CASignatureAlgorithms)."""
    signer, body = found.signature_key(), base64.b64decode(found.public_bytes().split()[1])
    if isinstance(signer, rsa.RSAPublicKey):
        before = len(body) - (signer.key_size + 7) // 8 - 4
        if body[before - len(_SHA1) : before] == _SHA1:
            return False
    try:
        found.verify_cert_signature()
    except InvalidSignature:
        return False
    return True


def _line(key: object) -> str:
    text: bytes = key.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)  # type: ignore[attr-defined]
    return text.decode()


def _texts(names: Iterable[bytes]) -> str:
    return ", ".join("".join(sign for sign in name.decode(errors="replace") if sign.isprintable()) for name in names)


def _time(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M UTC")
