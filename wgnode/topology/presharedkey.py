"""Pre-shared keys of pairs of sites, derived from the mesh secret, so that nothing of size N^2 is ever stored."""

from __future__ import annotations

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from wgnode.nodeconfig import KEY_LENGTH

LABEL = b"wgnode preshared key 1\0"


def derive(mesh_secret: bytes, epoch: int, key: bytes, other: bytes) -> bytes:
    """The 32-byte pre-shared key of two public keys, the same from either side.

    HKDF-SHA256 (RFC 5869) over both keys, sorted, and the epoch. A joining site changes no other pair's key; a new
    epoch changes all of them. Raises ValueError for keys that aren't 32 bytes or are the same.
    """
    if len(key) != KEY_LENGTH or len(other) != KEY_LENGTH or key == other:
        raise ValueError("a pre-shared key is derived from two different public keys of 32 bytes")
    info = LABEL + epoch.to_bytes(4, "big") + b"".join(sorted((key, other)))
    return HKDF(algorithm=SHA256(), length=KEY_LENGTH, salt=None, info=info).derive(mesh_secret)
