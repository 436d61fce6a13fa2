"""What is no WireGuard message is dropped silently, by length, type and reserved bytes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.protocol.pairs import ENDPOINT_B, pair
from wgnode.protocol.errors import Drop
from wgnode.protocol.messages import (
    COOKIE_REPLY,
    INITIATION,
    RESPONSE,
    TRANSPORT,
    CookieReply,
    Initiation,
    Response,
    message_type,
)


@pytest.mark.parametrize(("kind", "length"), [(INITIATION, 148), (RESPONSE, 92), (COOKIE_REPLY, 64)])
def test_handshake_messages_have_exactly_their_length(kind: int, length: int) -> None:
    head = kind.to_bytes(4, "little")
    assert message_type(head.ljust(length, b"x")) == kind
    assert message_type(head.ljust(length - 1, b"x")) == 0
    assert message_type(head.ljust(length + 1, b"x")) == 0


def test_transport_has_at_least_a_header_and_a_tag() -> None:
    head = TRANSPORT.to_bytes(4, "little")
    assert message_type(head.ljust(31, b"x")) == 0
    assert message_type(head.ljust(32, b"x")) == TRANSPORT
    assert message_type(head.ljust(1500, b"x")) == TRANSPORT


@pytest.mark.parametrize("kind", [0, 1 | 1 << 8, 2 | 1 << 16, 4 | 1 << 24, 5, 2**32 - 1])
def test_nonzero_reserved_bytes_and_other_types_are_unknown(kind: int) -> None:
    for length in (32, 64, 92, 148):
        assert message_type(kind.to_bytes(4, "little").ljust(length, b"x")) == 0


def test_packing_and_parsing_are_inverse() -> None:
    initiation = Initiation(7, b"e" * 32, b"s" * 48, b"t" * 28)
    response = Response(7, 2**32 - 1, b"e" * 32, b"0" * 16)
    reply = CookieReply(9, b"n" * 24, b"c" * 32)
    assert Initiation.parse(initiation.pack() + bytes(32)) == initiation
    assert Response.parse(response.pack() + bytes(32)) == response
    assert CookieReply.parse(reply.pack()) == reply


@given(st.binary(max_size=200))
def test_garbage_gets_silence(data: bytes) -> None:
    p = pair()
    p.b.receive(data, ENDPOINT_B)
    assert p.b.take() == []
    assert p.b.delivered == []
    assert p.b.device.counters.total() == 1
    assert p.b.device.next_deadline() is None


@given(kind=st.sampled_from([1, 2, 3, 4]), data=st.data())
def test_garbage_that_looks_like_a_message_gets_silence(kind: int, data: st.DataObject) -> None:
    length = {1: 148, 2: 92, 3: 64, 4: 64}[kind]
    body = data.draw(st.binary(min_size=length - 4, max_size=length - 4))
    p = pair()
    p.b.receive(kind.to_bytes(4, "little") + body, ENDPOINT_B)
    assert p.b.take() == []
    assert p.b.device.counters[Drop.MALFORMED] == 0
    assert p.b.device.counters.total() == 1
