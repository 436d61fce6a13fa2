"""Bundles sealed to a site's recipient key by HPKE (RFC 9180), so that secrets cross stacks as a plain output.

Suite MLKEM768_X25519, HKDF_SHA256, ChaCha20-Poly1305. The mesh's name, the site's id and the format are bound in as
HPKE's info, so a bundle opens only as what it was sealed for. A sealed bundle is base64 of

    1 byte format, 16 bytes fingerprint of the recipient key, 16 bytes digest of what is inside, 8 bytes id of the
    site, HPKE's output

The fingerprint tells "sealed to another recipient" from damage; the digest tells whether to seal again, since HPKE's
output differs each time. The digest covers 256 bits of key that nobody can guess, so it gives nothing away. The id is
no secret: a mesh that is recovered from its hosts learns it here. Format 1, of before sites had ids, has none and is
bound to the site's name instead; it is read, no more written.
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite

from pulumi_wgnode.errors import ExplainedError
from wgnode import formats, recipient
from wgnode.topology.bundle import Bundle
from wgnode.topology.identity import ID_LENGTH, parse_id

FORMAT = 2
FORMAT_WITHOUT_ID = 1
HEADER_LENGTH = 1 + 16 + 16
SUITE = Suite(KEM.MLKEM768_X25519, KDF.HKDF_SHA256, AEAD.CHACHA20_POLY1305)


class SealError(ValueError):
    """A sealed bundle can't be opened; the text says why and what to do, and shows no key."""


class NewerBundle(ExplainedError, SealError):
    """It was sealed by a newer version, and is not sealed again by this one."""


@dataclass(frozen=True)
class _Sealed:
    fingerprint: bytes
    digest: bytes
    id: str | None
    ciphertext: bytes


def seal(bundle: Bundle, public: str) -> str:
    """The sealed bundle as base64, readable only with the private half of `public`. Raises ValueError without an id."""
    id = parse_id(bundle.id)
    plaintext = bundle.to_json()
    ciphertext = SUITE.encrypt(plaintext, recipient.parse_public(public), _info(FORMAT, bundle.mesh, id))
    header = bytes([FORMAT]) + recipient.fingerprint(public) + _digest(plaintext) + bytes.fromhex(id)
    return base64.b64encode(header + ciphertext).decode()


def reseal(sealed: str | None, bundle: Bundle, public: str) -> str:
    """`sealed` itself where it already holds exactly this for this recipient, else the bundle sealed anew.

    Raises NewerBundle.
    """
    return sealed if sealed and is_current(sealed, bundle, public) else seal(bundle, public)


def is_current(sealed: str, bundle: Bundle, public: str) -> bool:
    """Raises NewerBundle."""
    try:
        parts = _split(sealed)
    except NewerBundle:
        raise
    except SealError:
        return False
    return (parts.fingerprint, parts.digest) == (recipient.fingerprint(public), _digest(bundle.to_json()))


def open_sealed(sealed: str, private: str, mesh: str, site: str, id: str | None = None) -> Bundle:
    """`id` is None where the bundle itself has to tell it; `site` is a name for messages, and for format 1.

    Raises SealError when it was sealed to another recipient, for another mesh or site, or is damaged.
    """
    parts = _split(sealed)
    public = recipient.public_of(private)
    if parts.fingerprint != recipient.fingerprint(public):
        raise SealError(
            f"sealed to recipient {parts.fingerprint.hex()[:16]}, but this stack's recipientKey is"
            f" {recipient.fingerprint(public).hex()[:16]}"
        )
    if id is not None and parts.id != id:
        raise SealError(f"sealed for the site with id {parts.id or 'none'}, not for {site!r} with id {id}")
    info = _info(FORMAT, mesh, parts.id) if parts.id else _info(FORMAT_WITHOUT_ID, mesh, site)
    try:
        plaintext = SUITE.decrypt(parts.ciphertext, recipient.parse_private(private), info)
    except InvalidTag:
        raise SealError(f"damaged, or sealed for something else than site {site!r} of mesh {mesh!r}") from None
    return Bundle.from_json(plaintext)


def _split(sealed: str) -> _Sealed:
    try:
        raw = base64.b64decode(sealed, validate=True)
    except ValueError:
        raise SealError("damaged: not base64") from None
    start = {FORMAT_WITHOUT_ID: HEADER_LENGTH, FORMAT: HEADER_LENGTH + ID_LENGTH}.get(raw[0] if raw else 0)
    if raw and (why := formats.newer("the bundle", raw[0], FORMAT)):
        raise NewerBundle(why)
    if start is None or len(raw) < start:
        raise SealError(f"written in another format than {FORMAT_WITHOUT_ID} and {FORMAT}, which this version reads")
    return _Sealed(raw[1:17], raw[17:HEADER_LENGTH], raw[HEADER_LENGTH:start].hex() or None, raw[start:])


def _digest(plaintext: bytes) -> bytes:
    return hashlib.sha256(b"wgnode bundle digest 1\0" + plaintext).digest()[:16]


def _info(format: int, mesh: str, site: str) -> bytes:
    """`site` is its id, in format 1 its name."""
    return b"\0".join((b"wgnode bundle", str(format).encode(), mesh.encode(), site.encode()))
