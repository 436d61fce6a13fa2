"""The primitives of wp 5.4 over `cryptography` and hashlib, and the XChaCha20 that `cryptography` lacks."""

from __future__ import annotations

import hmac
from hashlib import blake2s
from struct import Struct

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.ciphers.algorithms import ChaCha20

from wgnode.protocol.constants import KEY_LENGTH, MAC_LENGTH
from wgnode.protocol.errors import Drop, ProtocolError
from wgnode.protocol.wipe import wipe

NONCE = Struct("<IQ")
"""A transport nonce: 32 zero bits and the counter."""

_BLOCK = 64
_INNER_PAD = bytes(byte ^ 0x36 for byte in range(256))
_OUTER_PAD = bytes(byte ^ 0x5C for byte in range(256))
_WORDS = Struct("<8I")
_CHACHA_CONSTANTS = b"expand 32-byte k"


def hash_(*parts: bytes) -> bytes:
    """HASH of the parts' concatenation: BLAKE2s, 32 bytes."""
    return blake2s(b"".join(parts)).digest()


def mac(key: bytes, data: bytes) -> bytes:
    """MAC: keyed BLAKE2s, 16 bytes."""
    return blake2s(data, key=key, digest_size=MAC_LENGTH).digest()


def mac_equal(expected: bytes, given: bytes) -> bool:
    """In constant time."""
    return hmac.compare_digest(expected, given)


def hmac_(key: bytes, data: bytes) -> bytes:
    """HMAC over BLAKE2s, 32 bytes: not BLAKE2s's own keyed mode. `key` has at most a block of 64 bytes.

    The standard library's makes copies of the key that it leaves in memory; these are erased, as BLAKE2s's state is.
    """
    block = bytearray(_BLOCK)
    block[: len(key)] = key
    inner, outer = block.translate(_INNER_PAD), block.translate(_OUTER_PAD)
    inside = blake2s(inner)
    inside.update(data)
    outside = blake2s(outer)
    between = inside.digest()
    outside.update(between)
    wipe(between)
    block[:] = inner[:] = outer[:] = bytes(_BLOCK)
    return outside.digest()


def kdf(n: int, key: bytes, data: bytes) -> list[bytes]:
    """KDF1..KDF3: n outputs of 32 bytes."""
    secret = hmac_(key, data)
    outputs = [hmac_(secret, b"\x01")]
    while len(outputs) < n:
        chained = outputs[-1] + bytes([len(outputs) + 1])
        outputs.append(hmac_(secret, chained))
        wipe(chained)
    wipe(secret)
    return outputs


def clamp(key: bytes) -> bytes:
    """A private key with the bits set that RFC 7748 fixes: what UAPI reads back."""
    if len(key) != KEY_LENGTH:
        raise ValueError(f"a private key does not have {KEY_LENGTH} bytes")
    return bytes([key[0] & 248]) + key[1:31] + bytes([key[31] & 127 | 64])


def dh(private_key: X25519PrivateKey, public_key: bytes) -> bytes:
    """Raises ProtocolError for a low-order point, whose shared secret is all zeros."""
    try:
        return private_key.exchange(X25519PublicKey.from_public_bytes(public_key))
    except ValueError:
        raise ProtocolError(Drop.LOW_ORDER_POINT) from None


def aead_seal(key: bytes, counter: int, plain: bytes, associated: bytes) -> bytes:
    """AEAD with a counter nonce: ciphertext and 16-byte tag."""
    return ChaCha20Poly1305(key).encrypt(NONCE.pack(0, counter), plain, associated)


def aead_open(key: bytes, counter: int, sealed: bytes, associated: bytes) -> bytes:
    """Raises InvalidTag."""
    return ChaCha20Poly1305(key).decrypt(NONCE.pack(0, counter), sealed, associated)


def xaead_seal(key: bytes, nonce: bytes, plain: bytes, associated: bytes) -> bytes:
    """XAEAD, XChaCha20-Poly1305 with a 24-byte nonce: for cookie replies only."""
    return ChaCha20Poly1305(hchacha20(key, nonce[:16])).encrypt(bytes(4) + nonce[16:], plain, associated)


def xaead_open(key: bytes, nonce: bytes, sealed: bytes, associated: bytes) -> bytes:
    """Raises InvalidTag."""
    return ChaCha20Poly1305(hchacha20(key, nonce[:16])).decrypt(bytes(4) + nonce[16:], sealed, associated)


class XaeadSealer:
    """XAEAD for many messages: nonces that share their first 16 bytes share a subkey, and go on as a counter."""

    def __init__(self, key: bytes, first_nonce: bytes) -> None:
        self._prefix = first_nonce[:16]
        self._counter = int.from_bytes(first_nonce[16:], "little")
        self._cipher = ChaCha20Poly1305(hchacha20(key, self._prefix))

    def seal(self, plain: bytes, associated: bytes) -> tuple[bytes, bytes]:
        """The nonce, 24 bytes and never the same one again, and what it sealed."""
        tail = self._counter.to_bytes(8, "little")
        self._counter = (self._counter + 1) % 2**64
        return self._prefix + tail, self._cipher.encrypt(bytes(4) + tail, plain, associated)


def hchacha20(key: bytes, nonce: bytes) -> bytes:
    """The subkey of draft-irtf-cfrg-xchacha 2.2, from `cryptography`'s ChaCha20 (docs/decisions/xchacha20.md).

    A ChaCha20 block is the permuted state plus the initial one, HChaCha20 the first and last row of the permuted
    state alone. Those rows start as the constants and the 16-byte nonce, both known, so they are subtracted.
    """
    block = Cipher(ChaCha20(key, nonce), mode=None).encryptor().update(bytes(64))
    rows = _WORDS.unpack(block[:16] + block[48:])
    initial = _WORDS.unpack(_CHACHA_CONSTANTS + nonce)
    return _WORDS.pack(*((row - start) & 0xFFFFFFFF for row, start in zip(rows, initial, strict=True)))
