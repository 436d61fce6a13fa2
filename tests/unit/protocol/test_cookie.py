"""The halves of mac1, mac2 and cookies by themselves (whitepaper 5.4.4, 5.4.7)."""

from __future__ import annotations

import hashlib

import pytest

from wgnode.protocol.constants import COOKIE_SECRET_MAX_AGE
from wgnode.protocol.cookie import CookieChecker, CookieGenerator, cookie_key, mac1_key
from wgnode.protocol.messages import CookieReply

PUBLIC = bytes(range(32))
BODY = bytes(116)
NO_MAC2 = bytes(16)


def no_randomness(length: int) -> bytes:
    pytest.fail("a secret was drawn")


def test_keys_are_hashes_of_label_and_public_key() -> None:
    assert mac1_key(PUBLIC) == hashlib.blake2s(b"mac1----" + PUBLIC).digest()
    assert cookie_key(PUBLIC) == hashlib.blake2s(b"cookie--" + PUBLIC).digest()


def test_mac1_is_a_keyed_hash_of_all_before_it() -> None:
    message = CookieGenerator(PUBLIC).add_macs(BODY, 0.0)
    key = hashlib.blake2s(b"mac1----" + PUBLIC).digest()
    assert message == BODY + hashlib.blake2s(BODY, key=key, digest_size=16).digest() + NO_MAC2


def test_a_first_message_has_no_mac2_however_young_the_clock() -> None:
    for now in (0.0, 1.0, 100.0):
        assert CookieGenerator(PUBLIC).add_macs(BODY, now).endswith(NO_MAC2)


def test_a_cookie_is_valid_from_the_moment_of_its_secret_on_and_not_before() -> None:
    """A clock that stepped back finds no cookie valid: its secret is not of the past."""
    checker, generator = CookieChecker(PUBLIC, bytes), CookieGenerator(PUBLIC)
    message = generator.add_macs(BODY, 5.0)
    generator.consume(CookieReply.parse(checker.reply(message, b"source", 5.0)), 5.0)
    with_mac2 = generator.add_macs(BODY, 5.0)
    assert checker.check_mac2(with_mac2, b"source", 5.0)
    assert not checker.check_mac2(with_mac2, b"source", 4.999)


def test_a_mac2_that_nobody_gave_a_cookie_for_draws_no_secret() -> None:
    forged = BODY + bytes(16) + b"m" * 16
    assert not CookieChecker(PUBLIC, no_randomness).check_mac2(forged, b"source", 5.0)
    given = [bytes(24), bytes(32)]
    checker = CookieChecker(PUBLIC, lambda length: given.pop(0))
    checker.reply(BODY + bytes(32), b"source", 0.0)
    assert not checker.check_mac2(forged, b"source", COOKIE_SECRET_MAX_AGE)
    assert given == []
