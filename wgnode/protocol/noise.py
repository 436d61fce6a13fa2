"""The handshake Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s (wp 5.4.1 to 5.4.5): bytes and keys only, no peers, no time.

Names are the whitepaper's: the chaining key C and the hash H live in a `SymmetricState`, e is an ephemeral and s a
static key, i the initiator and r the responder.
"""

from __future__ import annotations

from dataclasses import dataclass

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from wgnode.protocol.constants import KEY_LENGTH
from wgnode.protocol.crypto import aead_open, aead_seal, dh, hash_, kdf
from wgnode.protocol.errors import Drop, ProtocolError
from wgnode.protocol.wipe import own, wipe

CONSTRUCTION = b"Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s"
IDENTIFIER = b"WireGuard v1 zx2c4 Jason@zx2c4.com"
NO_PSK = bytes(KEY_LENGTH)

INITIAL_CHAINING_KEY = hash_(CONSTRUCTION)
INITIAL_HASH = hash_(INITIAL_CHAINING_KEY, IDENTIFIER)


class SymmetricState:
    """Chaining key and transcript hash of one handshake. Its fields are secrets: never shown.

    It owns its chaining key, which is overwritten when the next one follows; so are the keys for the payloads.
    """

    __slots__ = ("chaining_key", "hash")

    def __init__(self, chaining_key: bytes = INITIAL_CHAINING_KEY, hash: bytes = INITIAL_HASH) -> None:
        self.chaining_key = own(chaining_key)
        self.hash = hash

    def copy(self) -> SymmetricState:
        """To try a message without losing the state."""
        return SymmetricState(self.chaining_key, self.hash)

    def mix_hash(self, data: bytes) -> None:
        self.hash = hash_(self.hash, data)

    def mix_public(self, public_key: bytes) -> None:
        """An ephemeral public key: into the hash and, for the sake of PSK mode, the chaining key."""
        self.mix_hash(public_key)
        (following,) = kdf(1, self.chaining_key, public_key)
        self._follow(following)

    def mix_shared(self, shared: bytes) -> bytes:
        """A DH result into the chaining key; returns the key for the next payload."""
        following, key = kdf(2, self.chaining_key, shared)
        self._follow(following)
        return key

    def mix_dh(self, private_key: X25519PrivateKey, public_key: bytes) -> bytes:
        """The same with a DH result that is needed only here. Raises ProtocolError for a low-order point."""
        shared = dh(private_key, public_key)
        key = self.mix_shared(shared)
        wipe(shared)
        return key

    def mix_psk(self, psk: bytes) -> bytes:
        """The pre-shared key into both; returns the key for the next payload."""
        following, temporary, key = kdf(3, self.chaining_key, psk)
        self._follow(following)
        self.mix_hash(temporary)
        wipe(temporary)
        return key

    def seal(self, key: bytes, plain: bytes) -> bytes:
        """Uses the key up."""
        sealed = aead_seal(key, 0, plain, self.hash)
        wipe(key)
        self.mix_hash(sealed)
        return sealed

    def open(self, key: bytes, sealed: bytes) -> bytes:
        """Uses the key up. Raises ProtocolError."""
        try:
            plain = aead_open(key, 0, sealed, self.hash)
        except InvalidTag:
            raise ProtocolError(Drop.BAD_HANDSHAKE) from None
        finally:
            wipe(key)
        self.mix_hash(sealed)
        return plain

    def split(self) -> tuple[bytes, bytes]:
        """Transport keys: what the initiator seals with, what the responder seals with (wp 5.4.5)."""
        by_initiator, by_responder = kdf(2, self.chaining_key, b"")
        return by_initiator, by_responder

    def wipe(self) -> None:
        """The handshake is over: nothing can be derived from it any more."""
        wipe(self.chaining_key)

    def _follow(self, following: bytes) -> None:
        wipe(self.chaining_key)
        self.chaining_key = following


def public_bytes(private_key: X25519PrivateKey) -> bytes:
    """The 32 bytes of its public key."""
    return private_key.public_key().public_bytes_raw()


@dataclass(repr=False)
class InitiatorState:
    """What an initiator keeps until the response: the transcript so far, its ephemeral and its static key."""

    symmetric: SymmetricState
    ephemeral: X25519PrivateKey
    static: X25519PrivateKey


def write_initiation(
    static: X25519PrivateKey,
    own_public: bytes,
    remote_public: bytes,
    static_shared: bytes,
    ephemeral: X25519PrivateKey,
    payload: bytes,
    symmetric: SymmetricState | None = None,
) -> tuple[InitiatorState, bytes, bytes, bytes]:
    """Returns the state, the ephemeral public key, the sealed static key and the sealed payload (a TAI64N).

    `static_shared` is the DH of both static keys, computed once for each peer. `symmetric` is there for other
    prologues than WireGuard's. Raises ProtocolError when the remote public key is a low-order point.
    """
    state = symmetric or SymmetricState()
    state.mix_hash(remote_public)
    ephemeral_public = public_bytes(ephemeral)
    state.mix_public(ephemeral_public)
    key = state.mix_dh(ephemeral, remote_public)
    sealed_static = state.seal(key, own_public)
    key = state.mix_shared(static_shared)
    sealed_payload = state.seal(key, payload)
    return InitiatorState(state, ephemeral, static), ephemeral_public, sealed_static, sealed_payload


def read_initiation_static(
    static: X25519PrivateKey,
    own_public: bytes,
    ephemeral: bytes,
    sealed_static: bytes,
    symmetric: SymmetricState | None = None,
) -> tuple[SymmetricState, bytes]:
    """First half of reading an initiation: who it claims to be from (one DH). Raises ProtocolError."""
    state = symmetric or SymmetricState()
    state.mix_hash(own_public)
    state.mix_public(ephemeral)
    key = state.mix_dh(static, ephemeral)
    return state, state.open(key, sealed_static)


def read_initiation_payload(state: SymmetricState, static_shared: bytes, sealed_payload: bytes) -> bytes:
    """Second half: proves the claim and returns the payload. Raises ProtocolError."""
    key = state.mix_shared(static_shared)
    return state.open(key, sealed_payload)


def write_response(
    state: SymmetricState,
    ephemeral: X25519PrivateKey,
    remote_ephemeral: bytes,
    remote_static: bytes,
    psk: bytes,
    payload: bytes = b"",
) -> tuple[bytes, bytes]:
    """Returns the ephemeral public key and the sealed payload (empty in WireGuard); then `state.split()` is ready.

    Raises ProtocolError for a low-order point.
    """
    ephemeral_public = public_bytes(ephemeral)
    state.mix_public(ephemeral_public)
    wipe(state.mix_dh(ephemeral, remote_ephemeral), state.mix_dh(ephemeral, remote_static))
    key = state.mix_psk(psk)
    return ephemeral_public, state.seal(key, payload)


def read_response(
    initiator: InitiatorState, psks: tuple[bytes, ...], ephemeral: bytes, sealed: bytes
) -> SymmetricState:
    """The finished transcript under the first pre-shared key that fits; no key means NO_PSK.

    The initiator's own state stays as it was, so that a forged response cannot spoil the real one. Raises
    ProtocolError.
    """
    state = initiator.symmetric.copy()
    state.mix_public(ephemeral)
    wipe(state.mix_dh(initiator.ephemeral, ephemeral), state.mix_dh(initiator.static, ephemeral))
    for psk in psks or (NO_PSK,):
        attempt = state.copy()
        key = attempt.mix_psk(psk)
        try:
            attempt.open(key, sealed)
        except ProtocolError:
            attempt.wipe()
            continue
        state.wipe()
        return attempt
    state.wipe()
    raise ProtocolError(Drop.BAD_HANDSHAKE)
