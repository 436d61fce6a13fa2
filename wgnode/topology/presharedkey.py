"""Pre-shared keys of pairs of sites, derived from the mesh secret, so that nothing of size N^2 is ever stored.

HKDF-SHA256 (RFC 5869) over what the two sites are, sorted, and the epoch: the same from either side. A joining site
changes no other pair's key; a new epoch changes all of them.
"""

from __future__ import annotations

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from wgnode.nodeconfig import KEY_LENGTH
from wgnode.topology.identity import parse_id

LABEL_KEYS = b"wgnode preshared key 1\0"
LABEL_IDS = b"wgnode preshared key 2\0"


def of_ids(mesh_secret: bytes, epoch: int, id: str, other: str) -> bytes:
    """The 32 bytes for two sites' ids, which neither a new key nor a new name changes (label 2).

    Raises ValueError for what is no id, or the same.
    """
    ids = sorted(parse_id(one).encode() for one in (id, other))
    if id == other:
        raise ValueError("a pre-shared key is derived from two different ids")
    return _derive(mesh_secret, LABEL_IDS, epoch, ids)


def of_keys(mesh_secret: bytes, epoch: int, key: bytes, other: bytes) -> bytes:
    """The 32 bytes for two public keys: how it was before sites had ids (label 1).

    Raises ValueError for keys that aren't 32 bytes or are the same.
    """
    if len(key) != KEY_LENGTH or len(other) != KEY_LENGTH or key == other:
        raise ValueError("a pre-shared key is derived from two different public keys of 32 bytes")
    return _derive(mesh_secret, LABEL_KEYS, epoch, sorted((key, other)))


def _derive(mesh_secret: bytes, label: bytes, epoch: int, parts: list[bytes]) -> bytes:
    info = label + epoch.to_bytes(4, "big") + b"".join(parts)
    return HKDF(algorithm=SHA256(), length=KEY_LENGTH, salt=None, info=info).derive(mesh_secret)
