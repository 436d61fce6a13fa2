"""That a secret is found in whatever form it leaks."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import urllib.parse

import pytest

from tests.lab.leaks import leaks

SECRET = hashlib.sha256(b"of this test").digest()
TEXT = base64.b64encode(SECRET).decode()


@pytest.mark.parametrize(
    "leaked",
    [
        SECRET,
        SECRET.hex().encode(),
        SECRET.hex().upper().encode(),
        SECRET.hex(":").encode(),
        TEXT.encode(),
        TEXT.rstrip("=").encode(),
        base64.urlsafe_b64encode(SECRET),
        urllib.parse.quote(TEXT, safe="").encode(),
        json.dumps({"key": TEXT}).encode(),
        base64.b64encode(TEXT.encode()),
        base64.b64encode(b"x" + SECRET + b"tail of it"),
        base64.b64encode(b"xy" + SECRET + b"tail of it"),
        base64.b64encode(b"xyz" + SECRET + b"tail of it"),
        base64.b32encode(SECRET),
    ],
)
def test_a_secret_is_found(leaked: bytes) -> None:
    assert leaks([SECRET], {"journal": b"before " + leaked + b" after", "fine": os.urandom(1000)}) == ["journal"]


def test_another_one_is_not() -> None:
    other = os.urandom(32)
    assert leaks([SECRET], {"journal": other + base64.b64encode(other) + other.hex().encode()}) == []
