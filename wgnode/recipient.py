"""A site's recipient key pair: the mesh stack seals the site's bundle to its public half (see pulumi_wgnode/seal.py).

The key is HPKE's hybrid MLKEM768_X25519, so a bundle recorded today stays closed to a quantum computer of tomorrow.
The private half is one seed of 32 bytes, expanded as X-Wing does (draft-connolly-cfrg-xwing-kem, section 5.2); the
public half is the ML-KEM-768 encapsulation key (1,184 bytes) and the X25519 key (32 bytes). As text both have a
prefix of their own, so that one is never taken for the other.
"""

from __future__ import annotations

import base64
import hashlib
import os

from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey, MLKEM768PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hpke import MLKEM768X25519PrivateKey, MLKEM768X25519PublicKey

PUBLIC_PREFIX = "wgnode-recipient-1:"
PRIVATE_PREFIX = "wgnode-recipient-private-1:"
SEED_LENGTH = 32
MLKEM_LENGTH = 1184
PUBLIC_LENGTH = MLKEM_LENGTH + 32


def generate() -> tuple[str, str]:
    """A new (private, public) pair as text."""
    private = PRIVATE_PREFIX + base64.b64encode(os.urandom(SEED_LENGTH)).decode()
    return private, public_of(private)


def public_of(private: str) -> str:
    """The public half of a private recipient key. Raises ValueError, which never quotes the key."""
    mlkem, x25519 = _expand(private)
    raw = mlkem.public_key().public_bytes_raw() + x25519.public_key().public_bytes_raw()
    return PUBLIC_PREFIX + base64.b64encode(raw).decode()


def parse_private(text: str) -> MLKEM768X25519PrivateKey:
    """Raises ValueError, which never quotes the key."""
    return MLKEM768X25519PrivateKey(*_expand(text))


def parse_public(text: str) -> MLKEM768X25519PublicKey:
    """Raises ValueError with what is wrong and what to do; it doesn't quote the text, which may be a private key."""
    text = text.strip()
    if text.startswith(PRIVATE_PREFIX):
        raise ValueError(
            "this is a private recipient key, and it now lies open in a file: make a new pair with"
            " `wgnode key recipient` and put only the public half here"
        )
    raw = _decode(text, PUBLIC_PREFIX, PUBLIC_LENGTH, "public")
    try:
        mlkem = MLKEM768PublicKey.from_public_bytes(raw[:MLKEM_LENGTH])
    except ValueError:
        raise ValueError("this public recipient key is damaged; copy it again from `wgnode site new`") from None
    return MLKEM768X25519PublicKey(mlkem, X25519PublicKey.from_public_bytes(raw[MLKEM_LENGTH:]))


def fingerprint(public: str) -> bytes:
    """16 bytes that name a public recipient key in a bundle and in messages."""
    return hashlib.sha256(public.strip().encode()).digest()[:16]


def _expand(private: str) -> tuple[MLKEM768PrivateKey, X25519PrivateKey]:
    private = private.strip()
    if private.startswith(PUBLIC_PREFIX):
        raise ValueError("this is a public recipient key; the private half is needed, from `wgnode key recipient`")
    seed = _decode(private, PRIVATE_PREFIX, SEED_LENGTH, "private")
    expanded = hashlib.shake_256(seed).digest(96)
    return MLKEM768PrivateKey.from_seed_bytes(expanded[:64]), X25519PrivateKey.from_private_bytes(expanded[64:])


def _decode(text: str, prefix: str, length: int, half: str) -> bytes:
    if not text.startswith(prefix):
        raise ValueError(f"not a {half} recipient key: it starts with `{prefix}`; `wgnode key recipient` makes a pair")
    try:
        raw = base64.b64decode(text[len(prefix) :], validate=True)
    except ValueError:
        raise ValueError(f"this {half} recipient key is not valid base64; copy it again, in full") from None
    if len(raw) != length:
        raise ValueError(f"this {half} recipient key has {len(raw)} bytes instead of {length}; copy it again, in full")
    return raw
