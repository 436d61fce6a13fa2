"""The first bytes of an SSH server, whoever it is."""

from __future__ import annotations

import random

import pytest

from wgnode.greeting import host_key_types


def kexinit(keys: bytes, number: int = 20) -> bytes:
    lists = b"".join(len(one).to_bytes(4, "big") + one for one in (b"curve25519-sha256", keys, b"aes256-ctr"))
    payload = bytes([number]) + bytes(16) + lists
    return (len(payload) + 5).to_bytes(4, "big") + b"\4" + payload + bytes(4)


def test_the_types_are_those_that_the_server_lists() -> None:
    whole = b"Welcome\r\nSSH-2.0-x y\r\n" + kexinit(b"rsa-sha2-512,ssh-ed25519")
    assert host_key_types(whole) == ["rsa-sha2-512", "ssh-ed25519"]
    assert host_key_types(whole + b"more") == ["rsa-sha2-512", "ssh-ed25519"]


@pytest.mark.parametrize(
    "first",
    [
        b"",
        b"SSH-2.0-x",
        b"SSH-2.0-x\r\n",
        b"SSH-2.0-x\r\n" + b"\xff" * 40,
        b"SSH-2.0-x\r\n" + kexinit(b"ssh-ed25519", number=21),
        b"SSH-2.0-x\r\n" + kexinit(b""),
        b"220 mail\r\n",
    ],
)
def test_of_anything_else_nothing_is_known(first: bytes) -> None:
    assert host_key_types(first) == []


def test_no_bytes_are_an_error() -> None:
    draw, whole = random.Random(1), b"SSH-2.0-x\r\n" + kexinit(b"ssh-ed25519")
    for _ in range(500):
        changed = bytearray(whole[: draw.randrange(len(whole) + 1)])
        for _ in range(draw.randrange(4)):
            if changed:
                changed[draw.randrange(len(changed))] = draw.randrange(256)
        assert all(isinstance(one, str) for one in host_key_types(bytes(changed)))
