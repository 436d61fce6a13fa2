"""X25519, AEADs and KDF against published vectors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from wgnode.protocol.crypto import dh, kdf, xaead_open, xaead_seal
from wgnode.protocol.errors import Drop, ProtocolError
from wgnode.protocol.noise import INITIAL_CHAINING_KEY, INITIAL_HASH

Load = Callable[[str], Any]
unhex = bytes.fromhex


def test_x25519_refuses_low_order_points_and_reduces_non_canonical_ones(load: Load) -> None:
    seen = {"low": 0, "good": 0}
    for case in load("x25519")["tests"]:
        key = X25519PrivateKey.from_private_bytes(unhex(case["private"]))
        if "ZeroSharedSecret" in case["flags"]:
            with pytest.raises(ProtocolError) as caught:
                dh(key, unhex(case["public"]))
            assert caught.value.drop is Drop.LOW_ORDER_POINT
            seen["low"] += 1
        else:
            assert dh(key, unhex(case["public"])).hex() == case["shared"], case["tcId"]
            seen["good"] += 1
    assert all(seen.values())


def test_chacha20_poly1305(load: Load) -> None:
    for case in load("chacha20_poly1305")["tests"]:
        cipher = ChaCha20Poly1305(unhex(case["key"]))
        sealed = unhex(case["ct"] + case["tag"])
        nonce, aad, plain = unhex(case["iv"]), unhex(case["aad"]), unhex(case["msg"])
        if case["result"] == "valid":
            assert cipher.encrypt(nonce, plain, aad) == sealed
            assert cipher.decrypt(nonce, sealed, aad) == plain
        else:
            with pytest.raises(InvalidTag):
                cipher.decrypt(nonce, sealed, aad)


def test_xchacha20_poly1305(load: Load) -> None:
    for case in load("xchacha20_poly1305")["tests"]:
        sealed = unhex(case["ct"] + case["tag"])
        key, nonce, aad, plain = (unhex(case[name]) for name in ("key", "iv", "aad", "msg"))
        if case["result"] == "valid":
            assert xaead_seal(key, nonce, plain, aad) == sealed, case["tcId"]
            assert xaead_open(key, nonce, sealed, aad) == plain
        else:
            with pytest.raises(InvalidTag):
                xaead_open(key, nonce, sealed, aad)


def test_kdf_and_initial_values(load: Load) -> None:
    data = load("kdf")
    assert INITIAL_CHAINING_KEY.hex() == data["initial_chaining_key"]
    assert INITIAL_HASH.hex() == data["initial_hash"]
    for case in data["tests"]:
        key, given = unhex(case["key"]), unhex(case["input"])
        for n in (1, 2, 3):
            assert [t.hex() for t in kdf(n, key, given)] == [case["t0"], case["t1"], case["t2"]][:n]
