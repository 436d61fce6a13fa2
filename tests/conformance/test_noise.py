"""Our Noise against the one public vector of its protocol."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from wgnode.protocol.crypto import aead_open, aead_seal, dh
from wgnode.protocol.noise import (
    INITIAL_CHAINING_KEY,
    SymmetricState,
    public_bytes,
    read_initiation_payload,
    read_initiation_static,
    read_response,
    write_initiation,
    write_response,
)

unhex = bytes.fromhex


def start(prologue: bytes) -> SymmetricState:
    """Noise's start for another prologue than WireGuard's: the name is longer than a hash, so hashed in both."""
    state = SymmetricState(INITIAL_CHAINING_KEY, INITIAL_CHAINING_KEY)
    state.mix_hash(prologue)
    return state


def test_noise_ikpsk2(load: Callable[[str], Any]) -> None:
    for vector in load("noise_ikpsk2")["vectors"]:
        keys = {name: X25519PrivateKey.from_private_bytes(unhex(vector[name])) for name in KEYS}
        prologue, psk = unhex(vector["init_prologue"]), unhex(vector["init_psks"][0])
        messages = [(unhex(m["payload"]), unhex(m["ciphertext"])) for m in vector["messages"]]
        initiator, responder = keys["init_static"], keys["resp_static"]
        own, remote = public_bytes(initiator), public_bytes(responder)
        assert remote.hex() == vector["init_remote_static"]

        shared, payload = dh(initiator, remote), messages[0][0]
        sent, *parts = write_initiation(
            initiator, own, remote, shared, keys["init_ephemeral"], payload, start(prologue)
        )
        assert b"".join(parts) == messages[0][1]

        ephemeral, static, timestamp = parts
        state, who = read_initiation_static(responder, remote, ephemeral, static, start(prologue))
        assert who == own
        assert read_initiation_payload(state, dh(responder, who), timestamp) == payload

        answer = write_response(state, keys["resp_ephemeral"], ephemeral, own, psk, messages[1][0])
        assert b"".join(answer) == messages[1][1]
        finished = read_response(sent, (psk,), *answer)
        assert finished.hash.hex() == state.hash.hex() == vector["handshake_hash"]

        by_initiator, by_responder = finished.split()
        assert (by_initiator, by_responder) == state.split()
        for n, (plain, sealed) in enumerate(messages[2:]):
            key, counter = (by_initiator, by_responder)[n % 2], n // 2
            assert aead_seal(key, counter, plain, b"") == sealed
            assert aead_open(key, counter, sealed, b"") == plain


KEYS = ("init_static", "init_ephemeral", "resp_static", "resp_ephemeral")
