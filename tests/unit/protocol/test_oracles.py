"""Independent implementations that are always at hand: noiseprotocol for handshakes, cryptography's own vectors."""

from __future__ import annotations

import hashlib
import hmac
import struct
from collections.abc import Iterator
from pathlib import Path

import cryptography_vectors
import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from noise.connection import Keypair as NoiseKeypair
from noise.connection import NoiseConnection

from tests.unit.protocol.pairs import A4, B4, ENDPOINT_A, ENDPOINT_B, KEY_A, KEY_B, PSK_1, packet, pair
from wgnode.protocol.crypto import aead_open, aead_seal, dh, hash_, hchacha20, kdf, xaead_open, xaead_seal
from wgnode.protocol.errors import ProtocolError

VECTORS = Path(cryptography_vectors.__file__).parent
unhex = bytes.fromhex


def oracle(own: bytes, remote: bytes | None, psk: bytes) -> NoiseConnection:
    """WireGuard's Noise by somebody else; an initiator when it knows the remote key."""
    noise = NoiseConnection.from_name(b"Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s")
    noise.set_prologue(b"WireGuard v1 zx2c4 Jason@zx2c4.com")
    noise.set_psks(psk)
    noise.set_keypair_from_private_bytes(NoiseKeypair.STATIC, own)
    if remote is None:
        noise.set_as_responder()
    else:
        noise.set_as_initiator()
        noise.set_keypair_from_public_bytes(NoiseKeypair.REMOTE_STATIC, remote)
    noise.start_handshake()
    return noise


def mac1(public_key: bytes, body: bytes) -> bytes:
    key = hashlib.blake2s(b"mac1----" + public_key).digest()
    return hashlib.blake2s(body, key=key, digest_size=16).digest()


@pytest.mark.parametrize("psk", [bytes(32), PSK_1], ids=["no psk", "psk"])
def test_our_initiator_with_a_noiseprotocol_responder(psk: bytes) -> None:
    p = pair()
    p.a.device.set_preshared_keys(p.a.peer, [psk])
    noise = oracle(KEY_B, None, psk)
    p.a.send(packet(A4, B4))
    (initiation,) = p.a.take()
    assert initiation[116:132] == mac1(p.b.device.public_keys[0], initiation[:116])
    assert bytes(noise.read_message(initiation[8:116])) == p.clock.tai64n()
    body = struct.pack("<II", 2, 77) + initiation[4:8] + bytes(noise.write_message())
    p.a.receive(body + mac1(p.a.device.public_keys[0], body) + bytes(16), ENDPOINT_B)
    (data,) = p.a.take()
    assert data[:16] == struct.pack("<IIQ", 4, 77, 0)
    assert noise.decrypt(data[16:]).rstrip(b"\0") == packet(A4, B4)
    sealed = noise.encrypt(packet(B4, A4))
    p.a.receive(struct.pack("<I", 4) + initiation[4:8] + struct.pack("<Q", 0) + sealed, ENDPOINT_B)
    assert p.a.delivered == [packet(B4, A4)]


@pytest.mark.parametrize("psk", [bytes(32), PSK_1], ids=["no psk", "psk"])
def test_our_responder_with_a_noiseprotocol_initiator(psk: bytes) -> None:
    p = pair()
    p.b.device.set_preshared_keys(p.b.peer, [psk])
    noise = oracle(KEY_A, p.b.device.public_keys[0], psk)
    body = struct.pack("<II", 1, 77) + bytes(noise.write_message(p.clock.tai64n()))
    p.b.receive(body + mac1(p.b.device.public_keys[0], body) + bytes(16), ENDPOINT_A)
    (response,) = p.b.take()
    assert response[:4] + response[8:12] == struct.pack("<II", 2, 77)
    assert response[60:76] == mac1(p.a.device.public_keys[0], response[:60])
    noise.read_message(response[12:60])
    sealed = noise.encrypt(packet(A4, B4))
    p.b.receive(struct.pack("<I", 4) + response[4:8] + struct.pack("<Q", 0) + sealed, ENDPOINT_A)
    assert p.b.delivered == [packet(A4, B4)]


def entries(path: str) -> Iterator[dict[str, str]]:
    """The `NAME = value` blocks of a vector file."""
    entry: dict[str, str] = {}
    for line in [*(VECTORS / path).read_text().splitlines(), ""]:
        name, equals, value = line.partition("=")
        if equals and not line.startswith("#"):
            entry[name.strip()] = value.strip()
        elif not line.strip() and entry:
            yield entry
            entry = {}


def test_x25519_by_rfc_7748() -> None:
    cases = [case for case in entries("asymmetric/X25519/rfc7748.txt") if "OUTPUT_U" in case]
    assert len(cases) >= 2
    for case in cases:
        key = X25519PrivateKey.from_private_bytes(unhex(case["INPUT_SCALAR"]))
        assert dh(key, unhex(case["INPUT_U"])).hex() == case["OUTPUT_U"]
    with pytest.raises(ProtocolError):
        dh(key, bytes(32))


def test_chacha20_poly1305_by_openssl() -> None:
    checked = 0
    for case in entries("ciphers/ChaCha20Poly1305/openssl.txt"):
        nonce = unhex(case["IV"])
        if len(nonce) != 12 or any(nonce[:4]) or "Result" in case:
            continue
        key, aad, plain = unhex(case["Key"]), unhex(case.get("AAD", "")), unhex(case["Plaintext"])
        counter = int.from_bytes(nonce[4:], "little")
        sealed = unhex(case["Ciphertext"] + case["Tag"])
        assert aead_seal(key, counter, plain, aad) == sealed
        assert aead_open(key, counter, sealed, aad) == plain
        checked += 1
    assert checked


def test_blake2s() -> None:
    for case in entries("hashes/blake2/blake2s.txt"):
        message = unhex(case["Msg"])[: int(case["Len"]) // 8]
        assert hash_(message).hex() == case["MD"]


def test_kdf_is_hkdf_over_hmac_blake2s() -> None:
    key, data = bytes(range(32)), b"input"
    secret = hmac.new(key, data, "blake2s").digest()
    first = hmac.new(secret, b"\x01", "blake2s").digest()
    second = hmac.new(secret, first + b"\x02", "blake2s").digest()
    third = hmac.new(secret, second + b"\x03", "blake2s").digest()
    assert kdf(3, key, data) == [first, second, third]
    assert kdf(1, key, data) == [first]


def test_hchacha20_and_xchacha20_poly1305_by_the_draft() -> None:
    """draft-irtf-cfrg-xchacha-03, sections 2.2.1 and A.3.1."""
    subkey = hchacha20(bytes(range(32)), unhex("000000090000004a0000000031415927"))
    assert subkey.hex() == "82413b4227b27bfed30e42508a877d73a0f9e4d58a74a853c12ec41326d3ecdc"
    key, nonce, aad = bytes(range(0x80, 0xA0)), bytes(range(0x40, 0x58)), unhex("50515253c0c1c2c3c4c5c6c7")
    plain = (
        b"Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, "
        b"sunscreen would be it."
    )
    sealed = xaead_seal(key, nonce, plain, aad)
    assert sealed[:16].hex() == "bd6d179d3e83d43b9576579493c0e939"
    assert sealed[-16:].hex() == "c0875924c1c7987947deafd8780acf49"
    assert xaead_open(key, nonce, sealed, aad) == plain
