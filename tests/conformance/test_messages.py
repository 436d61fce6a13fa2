"""Whole conversations with fixed keys, byte for byte, by the device itself in both roles."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.planes import new_device, plane
from wgnode.protocol import Device, Endpoint
from wgnode.protocol.errors import Drop
from wgnode.protocol.noise import SymmetricState

__all__ = ["plane"]
unhex = bytes.fromhex
INITIATOR, RESPONDER = Endpoint("192.0.2.7", 40000), Endpoint("198.51.100.1", 51820)
NAMES = ["no psk", "psk", "psk, indices 0xffffffff"]


class Script:
    """A random source that gives what it is told, in this order, and says how much of which length was asked."""

    def __init__(self) -> None:
        self.queue: list[bytes] = []

    def __call__(self, length: int) -> bytes:
        if self.queue and len(self.queue[0]) == length:
            return self.queue.pop(0)
        return bytes(length)


class Ends:
    """Both devices of one transcript and the randomness of each."""

    def __init__(self, transcript: dict[str, Any], *, under_load: bool = False) -> None:
        self.time = transcript["tai64n"]
        self.initiator_random, self.responder_random = Script(), Script()
        keys = [unhex(transcript[f"{role}_static_private"]) for role in ("initiator", "responder")]
        self.initiator = new_device(keys[:1], random=self.initiator_random, tai64n=lambda: unhex(self.time))
        self.responder = new_device(
            keys[1:], random=self.responder_random, tai64n=lambda: unhex(self.time), under_load=lambda now: under_load
        )
        for device, other, net, endpoint in (
            (self.initiator, "responder", "10.189.129.1/32", RESPONDER),
            (self.responder, "initiator", "10.189.129.2/32", None),
        ):
            peer = device.add_peer([unhex(transcript[f"{other}_static_public"])])
            device.set_preshared_keys(peer, [unhex(transcript["psk"])])
            device.add_allowed_ip(peer, net)
            device.set_endpoint(peer, endpoint)
            device.start(0.0)
        self.initiator_random.queue = [ephemeral(transcript, "initiator_"), index(transcript["initiator_index"])]
        self.responder_random.queue = [ephemeral(transcript, "responder_"), index(transcript["responder_index"])]


def ephemeral(transcript: dict[str, Any], whose: str) -> bytes:
    return unhex(transcript[f"{whose}ephemeral_private"])


def index(number: int) -> bytes:
    return number.to_bytes(4, "little")


def sent(device: Device) -> list[str]:
    return [data.hex() for data, _ in device.datagrams_to_send()]


@pytest.fixture(params=NAMES)
def transcript(request: pytest.FixtureRequest, load: Callable[[str], Any]) -> dict[str, Any]:
    (chosen,) = [t for t in load("messages")["transcripts"] if t["name"] == request.param]
    return chosen


def test_every_transcript_is_tested(load: Callable[[str], Any]) -> None:
    assert [t["name"] for t in load("messages")["transcripts"]] == NAMES


def test_handshake_data_and_keepalives(transcript: dict[str, Any]) -> None:
    ends = Ends(transcript)
    devices = {"initiator": ends.initiator, "responder": ends.responder}
    sources = {"initiator": INITIATOR, "responder": RESPONDER}
    first = transcript["transport"][0]
    ends.initiator.send_packet(unhex(first["plaintext"]), 0.0)
    assert sent(ends.initiator) == [transcript["initiation"]]
    ends.responder.receive_datagram(unhex(transcript["initiation"]), INITIATOR, 0.0)
    assert sent(ends.responder) == [transcript["response"]]
    ends.initiator.receive_datagram(unhex(transcript["response"]), RESPONDER, 0.0)
    assert sent(ends.initiator) == [first["message"]]

    for message in transcript["transport"]:
        sender, receiver = message["from"], "responder" if message["from"] == "initiator" else "initiator"
        if message is not first:
            produce(devices[sender], message)
            assert sent(devices[sender]) == [message["message"]]
        devices[receiver].receive_datagram(unhex(message["message"]), sources[sender], 0.0)
        assert [p.hex() for p in devices[receiver].packets_to_deliver()] == [message["plaintext"]] * (
            message["kind"] == "data"
        )
        assert sent(devices[receiver]) == []
    assert not ends.initiator.counters
    assert not ends.responder.counters


def produce(device: Device, message: dict[str, Any]) -> None:
    """Make the device send the message."""
    if message["kind"] == "data":
        device.send_packet(unhex(message["plaintext"]), 0.0)
        return
    device.set_keepalive(device.peers[0], 1, 0.0)
    device.handle_timer(0.0)
    device.set_keepalive(device.peers[0], 0, 0.0)


def test_cookie_reply_and_retry_with_mac2(transcript: dict[str, Any]) -> None:
    defence = transcript["under_load"]
    ends = Ends(transcript, under_load=True)
    ends.responder_random.queue[:0] = [unhex(defence["nonce"]), unhex(defence["cookie_secret"])]
    ends.initiator.send_packet(unhex(transcript["transport"][0]["plaintext"]), 0.0)
    assert sent(ends.initiator) == [transcript["initiation"]]
    ends.responder.receive_datagram(unhex(transcript["initiation"]), INITIATOR, 0.0)
    assert sent(ends.responder) == [defence["cookie_reply_to_initiation"]]
    assert ends.responder.counters == {Drop.COOKIE_SENT: 1}

    ends.initiator.receive_datagram(unhex(defence["cookie_reply_to_initiation"]), RESPONDER, 0.1)
    assert sent(ends.initiator) == []
    ends.time = defence["retry_tai64n"]
    ends.initiator_random.queue = [unhex(defence["retry_ephemeral_private"]), index(defence["retry_index"])]
    ends.initiator.handle_timer(5.4)
    assert sent(ends.initiator) == [defence["retry_initiation_with_mac2"]]
    ends.responder.receive_datagram(unhex(defence["retry_initiation_with_mac2"]), INITIATOR, 5.4)
    (response,) = ends.responder.datagrams_to_send()
    assert len(response[0]) == 92


def test_states_after_each_handshake_message(transcript: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    ends, wanted = Ends(transcript), {state["after"]: state for state in transcript["states"]}
    ends.initiator.send_packet(unhex(transcript["transport"][0]["plaintext"]), 0.0)
    outstanding = ends.initiator.peers[0].outstanding
    assert outstanding is not None
    assert shown(outstanding.state.symmetric, "initiation") == wanted["initiation"]

    finished: list[dict[str, str]] = []
    split = SymmetricState.split

    def noted(state: SymmetricState) -> tuple[bytes, bytes]:
        finished.append(shown(state, "response"))
        return split(state)

    monkeypatch.setattr(SymmetricState, "split", noted)
    ends.responder.receive_datagram(unhex(transcript["initiation"]), INITIATOR, 0.0)
    ends.initiator.receive_datagram(unhex(transcript["response"]), RESPONDER, 0.0)
    assert finished == [wanted["response"]] * 2


def shown(state: SymmetricState, after: str) -> dict[str, str]:
    return {"after": after, "chaining_key": state.chaining_key.hex(), "hash": state.hash.hex()}


def test_a_cookie_reply_with_a_flipped_bit_anywhere_changes_nothing(transcript: dict[str, Any]) -> None:
    ends = Ends(transcript)
    ends.initiator.send_packet(unhex(transcript["transport"][0]["plaintext"]), 0.0)
    ends.initiator.datagrams_to_send()
    reply = unhex(transcript["under_load"]["cookie_reply_to_initiation"])
    elsewhere = Endpoint("203.0.113.9", 9)
    for at in range(len(reply)):
        ends.initiator.receive_datagram(reply[:at] + bytes([reply[at] ^ 0x10]) + reply[at + 1 :], elsewhere, 0.0)
    assert ends.initiator.counters == {
        Drop.MALFORMED: 4,
        Drop.UNKNOWN_INDEX: 4,
        Drop.BAD_COOKIE: len(reply) - 8,
    }
    assert ends.initiator.peers[0].endpoint == RESPONDER
    ends.time = transcript["under_load"]["retry_tai64n"]
    ends.initiator.handle_timer(5.4)
    ((retry, _),) = ends.initiator.datagrams_to_send()
    assert retry.endswith(bytes(16))
    ends.initiator.receive_datagram(reply, RESPONDER, 5.5)
    assert ends.initiator.counters[Drop.UNKNOWN_INDEX] == 5
