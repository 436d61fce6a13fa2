"""Sealed bundles open for their recipient, as what they were sealed for, and for nobody else."""

from __future__ import annotations

import base64
import dataclasses
import hashlib

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from pulumi_wgnode import seal
from wgnode import recipient
from wgnode.nodeconfig import encode_key
from wgnode.topology.bundle import Bundle

PRIVATE, PUBLIC = recipient.generate()
ID, OTHER_ID = "0123456789abcdef", "fedcba9876543210"
BUNDLE = Bundle("dev", "cabin", (bytes(range(32)),), bytes(range(32, 64)), 1, ID)


def test_a_bundle_opens_with_the_recipient_key_it_was_sealed_to() -> None:
    sealed = seal.seal(BUNDLE, PUBLIC)
    assert seal.open_sealed(sealed, PRIVATE, "dev", "cabin", ID) == BUNDLE
    assert encode_key(BUNDLE.mesh_secret) not in sealed
    assert len(sealed) < 2048


def test_another_recipient_key_is_told_by_fingerprints_and_no_key_is_shown() -> None:
    other, _ = recipient.generate()
    with pytest.raises(seal.SealError, match=r"sealed to recipient [0-9a-f]{16}, but this stack's") as caught:
        seal.open_sealed(seal.seal(BUNDLE, PUBLIC), other, "dev", "cabin")
    assert other.removeprefix(recipient.PRIVATE_PREFIX) not in str(caught.value)


def test_a_bundle_opens_only_for_its_own_mesh_and_site_whatever_the_site_is_called() -> None:
    sealed = seal.seal(BUNDLE, PUBLIC)
    with pytest.raises(seal.SealError, match="something else than site 'cabin' of mesh 'prod'"):
        seal.open_sealed(sealed, PRIVATE, "prod", "cabin", ID)
    with pytest.raises(seal.SealError, match=f"sealed for the site with id {ID}, not for 'cabin' with id {OTHER_ID}"):
        seal.open_sealed(sealed, PRIVATE, "dev", "cabin", OTHER_ID)
    assert seal.open_sealed(sealed, PRIVATE, "dev", "renamed", ID) == BUNDLE


def test_an_id_that_was_written_over_opens_nothing() -> None:
    raw = base64.b64decode(seal.seal(BUNDLE, PUBLIC))
    start = seal.HEADER_LENGTH
    forged = base64.b64encode(raw[:start] + bytes.fromhex(OTHER_ID) + raw[start + 8 :]).decode()
    with pytest.raises(seal.SealError, match="damaged, or sealed for something else"):
        seal.open_sealed(forged, PRIVATE, "dev", "cabin", OTHER_ID)


def test_a_bundle_tells_its_id_to_who_has_lost_it_and_is_never_sealed_without() -> None:
    assert seal.open_sealed(seal.seal(BUNDLE, PUBLIC), PRIVATE, "dev", "cabin").id == ID
    with pytest.raises(ValueError, match="None is not a site's id"):
        seal.seal(dataclasses.replace(BUNDLE, id=None), PUBLIC)


def test_every_flipped_byte_is_noticed_except_in_the_digest_which_only_decides_about_sealing_again() -> None:
    raw = base64.b64decode(seal.seal(BUNDLE, PUBLIC))
    for position in {0, 1, 16, seal.HEADER_LENGTH, seal.HEADER_LENGTH + 8, len(raw) // 2, len(raw) - 1}:
        flipped = raw[:position] + bytes([raw[position] ^ 1]) + raw[position + 1 :]
        with pytest.raises(seal.SealError):
            seal.open_sealed(base64.b64encode(flipped).decode(), PRIVATE, "dev", "cabin")
    for damaged in ("", "%%%", base64.b64encode(raw[:20]).decode()):
        with pytest.raises(seal.SealError):
            seal.open_sealed(damaged, PRIVATE, "dev", "cabin")


def test_a_bundle_is_sealed_again_only_when_its_content_or_recipient_changes() -> None:
    sealed = seal.seal(BUNDLE, PUBLIC)
    assert seal.reseal(sealed, BUNDLE, PUBLIC) == sealed
    _, other = recipient.generate()
    assert seal.reseal(sealed, BUNDLE, other) != sealed
    assert seal.reseal("damaged", BUNDLE, PUBLIC) != "damaged"
    for change in (
        {"epoch": 2},
        {"mesh": "prod"},
        {"id": OTHER_ID},
        {"site": "den"},
        {"mesh_secret": bytes(32)},
        {"private_keys": (bytes(32),)},
    ):
        changed = dataclasses.replace(BUNDLE, **change)  # type: ignore[arg-type]
        assert seal.reseal(sealed, changed, PUBLIC) != sealed


def test_recipient_keys_are_never_taken_for_one_another_and_private_ones_never_shown() -> None:
    with pytest.raises(ValueError, match="private recipient key, and it now lies open") as caught:
        recipient.parse_public(PRIVATE)
    assert PRIVATE.removeprefix(recipient.PRIVATE_PREFIX) not in str(caught.value)
    with pytest.raises(ValueError, match="the private half is needed"):
        recipient.parse_private(PUBLIC)
    with pytest.raises(ValueError, match="not a public recipient key"):
        recipient.parse_public("AAAA")
    with pytest.raises(ValueError, match="has 30 bytes instead of 32") as caught:
        recipient.parse_private(PRIVATE[:-4])
    assert PRIVATE[-12:-4] not in str(caught.value)
    assert recipient.public_of(f" {PRIVATE}\n") == PUBLIC


def test_a_seed_expands_as_x_wing_does() -> None:
    """draft-connolly-cfrg-xwing-kem, appendix C, first vector: how its public key begins."""
    seed = bytes.fromhex("7f9c2ba4e88f827d616045507605853ed73b8093f6efbc88eb1a6eacfa66ef26")
    private = recipient.PRIVATE_PREFIX + base64.b64encode(seed).decode()
    raw = base64.b64decode(recipient.public_of(private).removeprefix(recipient.PUBLIC_PREFIX))
    assert raw.hex().startswith("e2236b35a8c24b39b10aa1323a96a919a2ced88400633a7b07131713fc14b2b5b19cfc3d")
    x25519 = X25519PrivateKey.from_private_bytes(hashlib.shake_256(seed).digest(96)[64:])
    assert raw[1184:] == x25519.public_key().public_bytes_raw()
