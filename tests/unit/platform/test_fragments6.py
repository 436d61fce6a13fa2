"""Outer datagrams over IPv6 that we cut ourselves are what any receiver puts together again."""

from __future__ import annotations

import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wgnode.pathmtu.checksum import checksum, pseudo_header
from wgnode.platform.linux.fragments6 import FRAGMENT_HEADER, IPV6_HEADER, datagram, pieces

A, B = (socket.inet_pton(socket.AF_INET6, text) for text in ("2001:db8::1", "2001:db8::2"))


def together(fragments: list[bytes]) -> bytes:
    """By the words of RFC 8200 section 4.5."""
    found = b""
    for number, each in enumerate(fragments):
        field = int.from_bytes(each[2:4], "big")
        assert (each[0], each[4:8]) == (socket.IPPROTO_UDP, b"abcd")
        assert field & 0xFFF8 == len(found)
        assert bool(field & 1) == (number < len(fragments) - 1)
        assert number == len(fragments) - 1 or (len(each) - FRAGMENT_HEADER) % 8 == 0
        found += each[FRAGMENT_HEADER:]
    return found


@given(st.integers(0, 9000), st.integers(1280, 1500))
def test_pieces_are_put_together_again_and_none_is_longer_than_allowed(length: int, size: int) -> None:
    whole = bytes(number % 251 for number in range(length + 8))
    made = pieces(whole, size, b"abcd")
    assert together(made) == whole
    assert max(map(len, made)) + IPV6_HEADER <= size


@given(st.binary(max_size=200))
def test_the_checksum_is_right_and_never_zero(data: bytes) -> None:
    whole = datagram(data, (4000, 51820), A, B)
    assert whole[:6] == bytes.fromhex("0fa0ca6c") + len(whole).to_bytes(2, "big")
    assert checksum(whole, pseudo_header(A, B, socket.IPPROTO_UDP, len(whole))) == 0
    assert whole[6:8] != b"\0\0"


def test_a_size_that_holds_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="55 bytes"):
        pieces(b"a" * 100, 55, b"abcd")
