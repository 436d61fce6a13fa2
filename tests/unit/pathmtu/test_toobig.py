"""Packet-too-big messages: to whom, about what, with which quotation, how often."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.pathmtu.naive import checksum_is_right, ipv4, ipv6, parse
from wgnode.pathmtu.toobig import ERRORS_PER_SECOND, TooBigRate, too_big

ROUTER = {4: bytes((10, 0, 0, 254)), 6: bytes.fromhex("fd00") + bytes(13) + b"\xfe"}
DF, MORE = 0x4000, 0x2000
UDP = bytes(range(8))


def big(version: int, size: int) -> bytes:
    body = UDP + bytes(size - (28 if version == 4 else 48))
    return ipv4(17, body, flags=DF) if version == 4 else ipv6(17, body)


@given(st.integers(69, 9001), st.integers(69, 9001))
def test_ipv4_fragmentation_needed_with_the_next_hops_mtu(size: int, limit: int) -> None:
    packet = big(4, size)
    error = too_big(packet, limit, ROUTER[4])
    if size <= limit:
        assert error is None
        return
    assert error is not None
    assert checksum_is_right(error)
    read = parse(error)
    assert (read.source, read.destination, read.protocol) == (ROUTER[4], packet[12:16], 1)
    assert error[20:22] == b"\3\4"
    assert error[24:28] == b"\0\0" + limit.to_bytes(2, "big")
    assert error[28:] == packet[: 576 - 28]
    assert len(error) == read.length <= 576


@given(st.integers(1281, 9001), st.integers(1280, 9001))
def test_ipv6_packet_too_big(size: int, limit: int) -> None:
    packet = big(6, size)
    error = too_big(packet, limit, ROUTER[6])
    if size <= limit:
        assert error is None
        return
    assert error is not None
    assert checksum_is_right(error)
    read = parse(error)
    assert (read.source, read.destination, read.protocol) == (ROUTER[6], packet[8:24], 58)
    assert error[40:42] == b"\2\0"
    assert error[44:48] == limit.to_bytes(4, "big")
    assert error[48:] == packet[: 1280 - 48]
    assert len(error) == 1280


def test_ipv6_is_never_told_less_than_1280() -> None:
    assert too_big(big(6, 1280), 1180, ROUTER[6]) is None
    error = too_big(big(6, 1281), 1180, ROUTER[6])
    assert error is not None
    assert error[44:48] == (1280).to_bytes(4, "big")


def test_ipv4_without_df_is_to_be_fragmented() -> None:
    assert too_big(ipv4(17, UDP + bytes(1400)), 1280, ROUTER[4]) is None


def test_a_first_fragment_is_answered_a_later_one_is_not() -> None:
    assert too_big(ipv4(17, UDP + bytes(1400), flags=DF | MORE), 1280, ROUTER[4]) is not None
    assert too_big(ipv4(17, UDP + bytes(1400), flags=DF | 5), 1280, ROUTER[4]) is None
    later, first = bytes((17, 0, 0, 9)) + bytes(4), bytes((17, 0, 0, 1)) + bytes(4)
    assert too_big(ipv6(44, later + bytes(1400)), 1280, ROUTER[6]) is None
    assert too_big(ipv6(44, first + bytes(1400)), 1280, ROUTER[6]) is not None


@pytest.mark.parametrize("kind", range(256))
def test_never_about_icmp_errors(kind: int) -> None:
    error = too_big(ipv4(1, bytes((kind, 0)) + bytes(1400), flags=DF), 1280, ROUTER[4])
    assert (error is None) == (kind in (3, 4, 5, 11, 12))
    error = too_big(ipv6(58, bytes((kind, 0)) + bytes(1400)), 1280, ROUTER[6])
    assert (error is None) == (kind < 128 or kind == 137)


def test_an_icmp_error_behind_extension_headers_is_one() -> None:
    packet = ipv6(58, bytes((1, 0)) + bytes(1400), ((0, bytes(8)), (60, bytes(8))))
    assert too_big(packet, 1280, ROUTER[6]) is None


@pytest.mark.parametrize(
    ("source", "destination"),
    [
        ("10.0.0.1", "224.0.0.5"),
        ("10.0.0.1", "239.255.255.250"),
        ("10.0.0.1", "255.255.255.255"),
        ("0.0.0.0", "10.1.0.2"),
        ("127.0.0.1", "10.1.0.2"),
        ("224.0.0.1", "10.1.0.2"),
        ("255.255.255.255", "10.1.0.2"),
    ],
)
def test_never_to_or_about_many_or_nobody(source: str, destination: str) -> None:
    addresses = bytes(map(int, f"{source}.{destination}".split(".")))
    packet = big(4, 1500)
    assert too_big(packet[:12] + addresses + packet[20:], 1280, ROUTER[4]) is None


@pytest.mark.parametrize(
    ("source", "destination"),
    [(bytes(16), None), (bytes(15) + b"\1", None), (b"\xff\2" + bytes(14), None), (None, b"\xff\2" + bytes(14))],
)
def test_never_to_or_about_many_or_nobody_over_ipv6(source: bytes | None, destination: bytes | None) -> None:
    packet = big(6, 1500)
    packet = packet[:8] + (source or packet[8:24]) + (destination or packet[24:40]) + packet[40:]
    assert too_big(packet, 1280, ROUTER[6]) is None


def test_an_address_of_the_other_version_is_misuse() -> None:
    with pytest.raises(ValueError, match="IPv4 packet from an address of 16 bytes"):
        too_big(big(4, 1500), 1280, ROUTER[6])


@given(st.binary(max_size=90), st.integers(0, 100))
def test_anything_may_be_looked_at(data: bytes, limit: int) -> None:
    for packet in (data, ipv4(1, data, flags=DF), ipv4(17, data, flags=DF)):
        error = too_big(packet, limit, ROUTER[4]) if packet[:1] and packet[0] >> 4 == 4 else None
        assert error is None or (checksum_is_right(error) and len(error) <= 576)


def test_a_host_gets_so_many_and_all_together_so_many() -> None:
    rate = TooBigRate()
    one = bytes((10, 0, 0, 1))
    assert [rate.allow(one, 0.0) for _ in range(7)] == [True] * 5 + [False] * 2
    assert [rate.allow(one, 0.05), rate.allow(one, 0.05)] == [True, False]
    assert rate.allow(bytes((10, 0, 0, 2)), 0.05)
    many = sum(rate.allow(number.to_bytes(4, "big"), 1.0) for number in range(5000))
    assert many <= ERRORS_PER_SECOND / 10
    assert rate.allow(bytes(16), 2.0)
