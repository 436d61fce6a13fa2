"""Fragmenting IPv4: what a receiver puts together is what was sent."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.pathmtu.naive import checksum_is_right, ipv4, ipv6, parse, pseudo, sum16, tcp, with_checksum
from wgnode.pathmtu.checksum import adjusted, checksum, complete
from wgnode.pathmtu.fragment import fragments

DF, MORE = 0x4000, 0x2000
TIMESTAMP, RECORD_ROUTE, ROUTER_ALERT, STREAM = b"\x44\4\5\0", b"\7\4\4\0", b"\x94\4\0\0", b"\x88\4\1\2"


def header(packet: bytes) -> bytes:
    return packet[: (packet[0] & 15) * 4]


def offset(packet: bytes) -> int:
    return (int.from_bytes(packet[6:8], "big") & 0x1FFF) * 8


def more(packet: bytes) -> bool:
    return bool(packet[6] & 0x20)


def reassembled(pieces: list[bytes]) -> bytes:
    """The data, put together in any order: by offsets alone."""
    data = bytearray()
    for piece in sorted(pieces, key=offset):
        assert offset(piece) - offset(min(pieces, key=offset)) == len(data)
        data += piece[len(header(piece)) :]
    return bytes(data)


@given(
    st.binary(min_size=1, max_size=3000),
    st.integers(68, 1600),
    st.sampled_from((b"", TIMESTAMP, ROUTER_ALERT, RECORD_ROUTE + STREAM, b"\1\1\1\1" + ROUTER_ALERT)),
    st.integers(0, 65535),
)
def test_put_together_it_is_what_was_sent(data: bytes, limit: int, options: bytes, ident: int) -> None:
    packet = ipv4(17, data, options=options, ident=ident)
    pieces = fragments(packet, limit)
    assert reassembled(pieces) == data
    for piece in pieces:
        assert len(piece) == int.from_bytes(piece[2:4], "big") <= limit
        assert sum16(header(piece)) == 0xFFFF
        assert (
            piece[1:2] + piece[4:6] + piece[8:10] + piece[12:20]
            == packet[1:2] + packet[4:6] + packet[8:10] + packet[12:20]
        )
        assert offset(piece) % 8 == 0
    assert [more(piece) for piece in pieces] == [True] * (len(pieces) - 1) + [False]
    assert (pieces == [packet]) == (len(packet) <= limit)


def test_no_more_pieces_than_needed() -> None:
    assert [len(piece) for piece in fragments(ipv4(17, bytes(1480)), 1280)] == [1276, 244]
    assert len(fragments(ipv4(17, bytes(1256 * 3)), 1276)) == 3


def test_only_options_that_say_so_are_in_later_fragments() -> None:
    pieces = fragments(ipv4(17, bytes(600), options=TIMESTAMP + ROUTER_ALERT + RECORD_ROUTE + STREAM), 300)
    assert header(pieces[0])[20:] == TIMESTAMP + ROUTER_ALERT + RECORD_ROUTE + STREAM
    assert {header(piece)[20:] for piece in pieces[1:]} == {ROUTER_ALERT + STREAM}


@pytest.mark.parametrize("options", [b"\x94\0\0\0", b"\x94\1\0\0", b"\x94\x09\0\0", b"\1\1\1\x94"])
def test_options_that_are_malformed_end_there(options: bytes) -> None:
    pieces = fragments(ipv4(17, bytes(600), options=options), 300)
    assert header(pieces[0])[20:] == options
    assert {header(piece)[20:] for piece in pieces[1:]} == {b""}
    assert reassembled(pieces) == bytes(600)


@given(st.integers(0, 0x1000), st.booleans(), st.integers(100, 1200))
def test_a_fragment_is_fragmented_further(first: int, followed: bool, limit: int) -> None:
    packet = ipv4(17, bytes(1304), flags=first | (MORE if followed else 0))
    pieces = fragments(packet, limit)
    assert offset(pieces[0]) == first * 8
    assert reassembled(pieces) == bytes(1304)
    assert [more(piece) for piece in pieces] == [True] * (len(pieces) - 1) + [followed]


def test_a_partial_checksum_is_completed_before_the_data_is_parted() -> None:
    whole = with_checksum(ipv4(6, tcp(0x10, b"", bytes(range(256)) * 6)), 16)
    partial = whole[:36] + sum16(pseudo(parse(whole))).to_bytes(2, "big") + whole[38:]
    pieces = fragments(partial, 576, partial=(20, 16))
    assert reassembled(pieces) == whole[20:]


def test_padding_behind_the_packet_is_left_out() -> None:
    assert reassembled(fragments(ipv4(17, bytes(1400)) + b"\7" * 8, 1280)) == bytes(1400)


@pytest.mark.parametrize("packet", [ipv4(17, bytes(1400), flags=DF), ipv6(17, bytes(1400)), b"", b"\x45" + bytes(30)])
def test_what_may_not_be_fragmented_is_misuse(packet: bytes) -> None:
    with pytest.raises(ValueError, match="only an IPv4 packet without DF"):
        fragments(packet, 1280)


def test_a_limit_without_room_is_named() -> None:
    assert len(fragments(ipv4(17, bytes(80)), 28)) == 10
    with pytest.raises(ValueError, match="27 bytes holds no fragment: give at least 28"):
        fragments(ipv4(17, bytes(80)), 27)


@given(st.binary(max_size=300))
def test_the_checksum_is_rfc_1071s(data: bytes) -> None:
    assert checksum(data) == 0xFFFF - sum16(data)


@given(st.binary(min_size=20, max_size=60), st.integers(0, 9), st.binary(min_size=2, max_size=2))
def test_a_changed_word_changes_the_checksum_as_if_made_anew(data: bytes, word: int, new: bytes) -> None:
    at = 2 * word
    changed = data[:at] + new + data[at + 2 :]
    old, now = int.from_bytes(data[at : at + 2], "big"), int.from_bytes(new, "big")
    assert (adjusted(checksum(data), old, now) - checksum(changed)) % 0xFFFF == 0


def test_completing_a_checksum() -> None:
    whole = with_checksum(ipv4(6, tcp(2, b"\2\4\5\xb4")), 16)
    partial = whole[:36] + sum16(pseudo(parse(whole))).to_bytes(2, "big") + whole[38:]
    assert complete(partial, 20, 16) == whole
    assert checksum_is_right(complete(partial, 20, 16))
    with pytest.raises(ValueError, match=r"partial checksum at 20 \+ 30 of a packet of 44 bytes"):
        complete(partial, 20, 30)
