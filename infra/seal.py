"""Bundles sealed to a site's recipient key by HPKE (RFC 9180), so that secrets cross stacks as a plain output.

Suite MLKEM768_X25519, HKDF_SHA256, ChaCha20-Poly1305. The mesh's and the site's name and the format are bound in as
HPKE's info, so a bundle opens only as what it was sealed for. A sealed bundle is base64 of

    1 byte format, 16 bytes fingerprint of the recipient key, 16 bytes digest of what is inside, HPKE's output

The fingerprint tells "sealed to another recipient" from damage; the digest tells whether to seal again, since HPKE's
output differs each time. The digest covers 256 bits of key that nobody can guess, so it gives nothing away.
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite

from wgnode import recipient
from wgnode.topology.bundle import Bundle

FORMAT = 1
HEADER_LENGTH = 1 + 16 + 16
SUITE = Suite(KEM.MLKEM768_X25519, KDF.HKDF_SHA256, AEAD.CHACHA20_POLY1305)


class SealError(ValueError):
    """A sealed bundle can't be opened; the text says why and what to do, and shows no key."""


@dataclass(frozen=True)
class _Sealed:
    fingerprint: bytes
    digest: bytes
    ciphertext: bytes


def seal(bundle: Bundle, public: str) -> str:
    """The sealed bundle as base64, readable only with the private half of `public`."""
    plaintext = bundle.to_json()
    ciphertext = SUITE.encrypt(plaintext, recipient.parse_public(public), _info(bundle.mesh, bundle.site))
    header = bytes([FORMAT]) + recipient.fingerprint(public) + _digest(plaintext)
    return base64.b64encode(header + ciphertext).decode()


def reseal(sealed: str | None, bundle: Bundle, public: str) -> str:
    """`sealed` itself where it already holds exactly this for this recipient, else the bundle sealed anew."""
    return sealed if sealed and is_current(sealed, bundle, public) else seal(bundle, public)


def is_current(sealed: str, bundle: Bundle, public: str) -> bool:
    try:
        parts = _split(sealed)
    except SealError:
        return False
    return (parts.fingerprint, parts.digest) == (recipient.fingerprint(public), _digest(bundle.to_json()))


def open_sealed(sealed: str, private: str, mesh: str, site: str) -> Bundle:
    """Raises SealError when it was sealed to another recipient, for another mesh or site, or is damaged."""
    parts = _split(sealed)
    public = recipient.public_of(private)
    if parts.fingerprint != recipient.fingerprint(public):
        raise SealError(
            f"sealed to recipient {parts.fingerprint.hex()[:16]}, but this stack's recipientKey is"
            f" {recipient.fingerprint(public).hex()[:16]}"
        )
    try:
        plaintext = SUITE.decrypt(parts.ciphertext, recipient.parse_private(private), _info(mesh, site))
    except InvalidTag:
        raise SealError(f"damaged, or sealed for something else than site {site!r} of mesh {mesh!r}") from None
    return Bundle.from_json(plaintext)


def _split(sealed: str) -> _Sealed:
    try:
        raw = base64.b64decode(sealed, validate=True)
    except ValueError:
        raise SealError("damaged: not base64") from None
    if raw[:1] != bytes([FORMAT]) or len(raw) < HEADER_LENGTH:
        raise SealError(f"written in another format than {FORMAT}, which this version reads")
    return _Sealed(raw[1:17], raw[17:HEADER_LENGTH], raw[HEADER_LENGTH:])


def _digest(plaintext: bytes) -> bytes:
    return hashlib.sha256(b"wgnode bundle digest 1\0" + plaintext).digest()[:16]


def _info(mesh: str, site: str) -> bytes:
    return b"\0".join((b"wgnode bundle", str(FORMAT).encode(), mesh.encode(), site.encode()))
