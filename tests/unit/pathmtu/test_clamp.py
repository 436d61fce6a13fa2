"""MSS of SYN and SYN-ACK: lowered to the limit, never raised, nothing else touched; by an independent reading."""

from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tests.unit.pathmtu.naive import checksum_is_right, ipv4, ipv6, parse, pseudo, sum16, tcp, with_checksum
from wgnode.pathmtu.clamp import clamped, mss

SYN, SYN_ACK, ACK, RST = 0x02, 0x12, 0x10, 0x04
TCP, CHECKSUM = 6, 16
HOP = (0, bytes(8))
ROUTING = (43, bytes((0, 2)) + bytes(22))
DESTINATION = (60, bytes((0, 1)) + bytes(14))


def option(value: int) -> bytes:
    return b"\2\4" + value.to_bytes(2, "big")


def syn(value: int, version: int = 4, flags: int = SYN, before: bytes = b"", after: bytes = b"") -> bytes:
    body = tcp(flags, before + option(value) + after)
    return with_checksum(ipv4(TCP, body) if version == 4 else ipv6(TCP, body), CHECKSUM)


def said(packet: bytes) -> int:
    """The MSS of a packet whose only option of kind 2 has its length before it."""
    at = packet.index(b"\2\4", parse(packet).header + 20)
    return int.from_bytes(packet[at + 2 : at + 4], "big")


@pytest.mark.parametrize("flags", [SYN, SYN_ACK, SYN | 0xC0])
@pytest.mark.parametrize(
    ("version", "limit", "most"), [(4, 1220, 1180), (6, 1220, 1160), (4, 1380, 1340), (6, 1380, 1320)]
)
def test_lowered_to_what_fits_and_only_that(flags: int, version: int, limit: int, most: int) -> None:
    assert mss(limit, version) == most
    changed = clamped(syn(1460, version, flags), limit)
    assert changed == syn(most, version, flags)
    assert checksum_is_right(changed)
    at_limit = syn(most, version, flags)
    assert clamped(at_limit, limit) is at_limit
    assert clamped(syn(most + 1, version, flags), limit) == at_limit


@given(st.integers(0, 65535), st.integers(100, 9000), st.sampled_from((4, 6)), st.integers(0, 5), st.binary(max_size=4))
def test_any_value_at_any_place(value: int, limit: int, version: int, nops: int, port: bytes) -> None:
    """After an odd number of NOPs the value lies across two words of the checksum."""
    packet = syn(value, version, before=b"\1" * nops, after=b"\3\3\7")
    changed = clamped(packet, limit)
    assert said(changed) == min(value, mss(limit, version))
    assert checksum_is_right(changed)
    assert changed == syn(min(value, mss(limit, version)), version, before=b"\1" * nops, after=b"\3\3\7")


@given(st.integers(0, 65535), st.integers(0, 3))
def test_a_partial_checksum_covers_no_option(value: int, nops: int) -> None:
    """As a virtio-net header's NEEDS_CSUM says: the field holds the pseudo header's sum."""
    packet = syn(value, before=b"\1" * nops)
    at = parse(packet).header + CHECKSUM
    partial = packet[:at] + sum16(pseudo(parse(packet))).to_bytes(2, "big") + packet[at + 2 :]
    changed = clamped(partial, 1280, partial=True)
    assert changed[at : at + 2] == partial[at : at + 2]
    assert said(changed) == min(value, 1240)
    assert with_checksum(changed, CHECKSUM) == syn(min(value, 1240), before=b"\1" * nops)


def test_behind_ipv6_extension_headers() -> None:
    for extensions in ((HOP,), (HOP, ROUTING), (HOP, DESTINATION, ROUTING, DESTINATION)):
        packet = with_checksum(ipv6(TCP, tcp(SYN, option(1460)), extensions), CHECKSUM)
        changed = clamped(packet, 1280)
        assert said(changed) == 1220
        assert checksum_is_right(changed)


def test_behind_ipv4_options() -> None:
    packet = with_checksum(ipv4(TCP, tcp(SYN, option(1460)), options=b"\7\7\4\0\0\0\0\0"), CHECKSUM)
    changed = clamped(packet, 1280)
    assert said(changed) == 1240
    assert checksum_is_right(changed)


def test_more_than_one_is_lowered_each() -> None:
    packet = with_checksum(ipv4(TCP, tcp(SYN, option(1460) + b"\1" + option(9000) + option(500))), CHECKSUM)
    changed = clamped(packet, 1280)
    assert changed[40:53] == option(1240) + b"\1" + option(1240) + option(500)
    assert checksum_is_right(changed)


@pytest.mark.parametrize(
    "packet",
    [
        syn(1460, flags=ACK),
        syn(1460, flags=RST),
        syn(1460, flags=0),
        with_checksum(ipv4(TCP, tcp(SYN)), CHECKSUM),
        with_checksum(ipv4(TCP, tcp(SYN, b"\1\1\3\3\7\4\2")), CHECKSUM),
        ipv4(17, tcp(SYN, option(1460))),
        ipv4(TCP, tcp(SYN, option(1460)), flags=0x0003),
        ipv6(44, bytes((6, 0, 0, 9, 0, 0, 0, 1)) + tcp(SYN, option(1460))),
        ipv4(TCP, tcp(SYN, b"\0" + option(1460))),
        ipv4(TCP, tcp(SYN, b"\2\0\5\xb4")),
        ipv4(TCP, tcp(SYN, b"\2\1\5\xb4")),
        ipv4(TCP, tcp(SYN, b"\2\3\5\xb4")),
        ipv4(TCP, tcp(SYN, b"\3\1" + option(1460))),
        ipv4(TCP, tcp(SYN, b"\3\xff" + option(1460))),
        ipv4(TCP, tcp(SYN, b"\1\1\1\2")),
        ipv4(TCP, tcp(SYN, b"\1\1\2\4")),
    ],
    ids=[
        "ack", "rst", "no flags", "no options", "no mss", "udp", "later fragment", "later fragment 6", "after the end",
        "length 0", "length 1", "length 3", "after a bad length", "beyond", "cut after the kind",
        "cut after the length",
    ],
)  # fmt: skip
def test_all_else_is_left_alone(packet: bytes) -> None:
    assert clamped(packet, 1280) is packet


@given(st.binary(max_size=80), st.integers(0, 9000), st.booleans())
def test_anything_may_be_looked_at(data: bytes, limit: int, partial: bool) -> None:
    for packet in (data, b"\x45" + data, b"\x60" + data, ipv4(TCP, data), ipv6(TCP, data), ipv6(0, data)):
        changed = clamped(packet, limit, partial=partial)
        assert len(changed) == len(packet)


@given(st.binary(max_size=40), st.integers(200, 1500))
def test_options_of_any_bytes_keep_a_right_checksum_and_only_values_change(options: bytes, limit: int) -> None:
    assume(len(options) <= 40)
    packet = with_checksum(ipv4(TCP, tcp(SYN, options, b"data")), CHECKSUM)
    changed = clamped(packet, limit)
    assert checksum_is_right(changed)
    assert changed[:36] == packet[:36]
    assert changed[-4:] == b"data"


def test_cut_short_anywhere_it_is_left_alone() -> None:
    packet = syn(1460)
    for size in range(len(packet)):
        assert clamped(packet[:size], 1280) == packet[:size]


def test_what_stands_behind_the_packet_does_not_count() -> None:
    packet = syn(1460)
    assert clamped(packet + b"\0" * 8, 1280) == syn(1240) + b"\0" * 8
