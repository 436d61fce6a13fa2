"""mac1, mac2, cookies and cookie replies, and their refusal without side effects."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from wgnode.protocol.cookie import CookieChecker, CookieGenerator, cookie_key, mac1_key
from wgnode.protocol.errors import Drop, ProtocolError
from wgnode.protocol.messages import CookieReply, sender_index
from wgnode.protocol.ratelimit import address_bytes

unhex = bytes.fromhex
BODY = slice(0, -32)


def flip(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


def source_of(case: dict[str, Any]) -> bytes:
    return address_bytes(case["source_address"]) + int(case["source_port"]).to_bytes(2, "big")


def checker(data: dict[str, Any], case: dict[str, Any]) -> CookieChecker:
    given = [unhex(case["nonce"]), unhex(data["cookie_secret"])]
    return CookieChecker(unhex(data["receiver_public"]), lambda length: given.pop(0))


def test_keys(load: Callable[[str], Any]) -> None:
    data = load("cookie")
    public = unhex(data["receiver_public"])
    assert mac1_key(public).hex() == data["mac1_key"]
    assert cookie_key(public).hex() == data["cookie_encryption_key"]


def test_both_sides_agree_with_the_vectors(load: Callable[[str], Any]) -> None:
    data = load("cookie")
    for case in data["cases"]:
        receiver, sender = checker(data, case), CookieGenerator(unhex(data["receiver_public"]))
        message, source = unhex(case["message_mac2_zero"]), source_of(case)
        assert sender.add_macs(message[BODY], 0.0) == message
        assert receiver.check_mac1(message)
        assert not receiver.check_mac2(message, source, 0.0)
        assert receiver.reply(message, source, 0.0).hex() == case["cookie_reply"]
        sender.consume(CookieReply.parse(unhex(case["cookie_reply"])), 0.0)
        with_mac2 = sender.add_macs(message[BODY], 1.0)
        assert with_mac2.hex() == case["message_with_mac2"]
        assert receiver.check_mac2(with_mac2, source, 1.0)


def test_another_source_or_any_flipped_bit_fails_mac2(load: Callable[[str], Any]) -> None:
    data = load("cookie")
    first, *_, last = data["cases"]
    assert first["source_address"] == last["source_address"]
    assert first["cookie"] != last["cookie"]
    receiver, message = checker(data, first), unhex(first["message_with_mac2"])
    receiver.reply(message, source_of(first), 0.0)
    assert receiver.check_mac2(message, source_of(first), 0.0)
    assert not receiver.check_mac2(message, source_of(last), 0.0)
    for at in range(len(message)):
        assert not receiver.check_mac2(flip(message, at), source_of(first), 0.0)
        assert receiver.check_mac1(flip(message, at)) is (at >= len(message) - 16)


def test_a_wrong_reply_changes_nothing(load: Callable[[str], Any]) -> None:
    data = load("cookie")
    case = data["cases"][0]
    message, reply = unhex(case["message_mac2_zero"]), unhex(case["cookie_reply"])
    assert sender_index(message) == sender_index(reply)
    sender = CookieGenerator(unhex(data["receiver_public"]))
    with pytest.raises(ProtocolError):
        sender.consume(CookieReply.parse(reply), 0.0)
    sender.add_macs(flip(message, 20)[BODY], 0.0)
    refused(sender, reply)
    sender.add_macs(message[BODY], 0.0)
    for at in range(8, len(reply)):
        refused(sender, flip(reply, at))
    assert sender.add_macs(message[BODY], 0.0) == message
    sender.consume(CookieReply.parse(reply), 0.0)
    refused(sender, reply)


def refused(sender: CookieGenerator, reply: bytes) -> None:
    with pytest.raises(ProtocolError) as caught:
        sender.consume(CookieReply.parse(reply), 0.0)
    assert caught.value.drop is Drop.BAD_COOKIE
