"""rtnetlink messages, byte by byte as linux/rtnetlink.h lays them out; tests/lab holds them against the kernel."""

from __future__ import annotations

import struct

import pytest

from wgnode.io import rtmessages
from wgnode.io.rtmessages import Link, Route


def test_message_header_counts_itself() -> None:
    assert (
        rtmessages.message(rtmessages.RTM_GETLINK, 0x301, 7, b"abcd").hex()
        == "14000000 1200 0103 07000000 00000000".replace(" ", "") + b"abcd".hex()
    )


def test_attribute_is_padded_but_its_length_is_not() -> None:
    assert rtmessages.attribute(rtmessages.IFLA_IFNAME, b"wg0\0") == b"\x08\0\x03\0wg0\0"
    assert rtmessages.attribute(rtmessages.IFLA_IFNAME, b"wg10\0") == b"\x09\0\x03\0wg10\0\0\0\0"


def test_address_message_of_ipv4() -> None:
    expected = "02 18 00 00 05000000  0800 0200 0a010002  0800 0100 0a010002"
    assert rtmessages.address_message(5, "10.1.0.2/24", nodad=True) == bytes.fromhex(expected)


def test_address_message_of_ipv6_asks_for_no_duplicate_address_detection() -> None:
    address = "fd000000000000000000000000000001"
    expected = f"0a 40 00 00 05000000  1400 0200 {address}  1400 0100 {address}  0800 0800 02000000"
    assert rtmessages.address_message(5, "fd00::1/64", nodad=True) == bytes.fromhex(expected)
    assert rtmessages.address_message(5, "fd00::1/64") == bytes.fromhex(expected)[:-8]


def test_route_message_through_a_next_hop() -> None:
    expected = "02 00 00 00 fe 04 00 01 00000000  0800 0100 00000000  0800 0500 ac1ffffd"
    assert rtmessages.route_message("0.0.0.0/0", via="172.31.255.253", index=None) == bytes.fromhex(expected)


def test_route_message_through_a_link_has_link_scope_and_an_mtu() -> None:
    expected = "02 10 00 00 fe 04 fd 01 00000000  0800 0100 0a020000  0800 0400 03000000  0c00 0800 0800 0200 13050000"
    assert rtmessages.route_message("10.2.0.0/16", via=None, index=3, mtu=1299) == bytes.fromhex(expected)


def test_route_with_a_next_hop_of_the_other_family_is_refused() -> None:
    with pytest.raises(ValueError, match="one address family"):
        rtmessages.route_message("0.0.0.0/0", via="fd00::1", index=None)


def test_proxy_neighbour_message() -> None:
    expected = "02 000000 04000000 0000 08 00  0800 0100 0a020001"
    assert rtmessages.neighbour_message(4, "10.2.0.1", flags=rtmessages.NTF_PROXY) == bytes.fromhex(expected)


@pytest.mark.parametrize("text", ["10.0.0.0/33", "fd00::/129", "10.0.0/8", "nonsense", "10.0.0.0/-1", "10.0.0.0/", ""])
def test_bad_prefixes_are_refused(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 (int() has its own words)
        rtmessages.split_prefix(text)


def test_link_is_parsed() -> None:
    body = rtmessages.IFINFOMSG.pack(0, 1, 7, 0x1003, 0)
    body += rtmessages.attribute(rtmessages.IFLA_IFNAME, b"lan0\0") + rtmessages.attribute(
        rtmessages.IFLA_MTU, struct.pack("=I", 1400)
    )
    body += rtmessages.attribute(rtmessages.IFLA_ADDRESS, bytes.fromhex("525400776700"))
    assert rtmessages.parse_link(body) == Link(7, "lan0", "52:54:00:77:67:00", 1400, True)
    assert rtmessages.parse_link(rtmessages.IFINFOMSG.pack(0, 1, 7, 0x1002, 0)) == Link(7, "", "", 0, False)


def test_route_is_parsed_and_other_tables_and_kinds_are_not() -> None:
    body = rtmessages.route_message("10.2.0.0/16", via="10.1.0.2", index=3)
    assert rtmessages.parse_route(body) == Route("10.2.0.0/16", "10.1.0.2", 3)
    assert rtmessages.parse_route(rtmessages.route_message("::/0", via="fd00::1", index=None)) == Route(
        "::/0", "fd00::1", None
    )
    assert rtmessages.parse_route(body[:4] + b"\xff" + body[5:]) is None  # the local table
    assert rtmessages.parse_route(body[:7] + b"\x06" + body[8:]) is None  # a blackhole


def test_messages_of_one_datagram_come_apart_and_truncated_ones_end_it() -> None:
    first, second = rtmessages.message(16, 0, 1, b"abcde"), rtmessages.message(17, 0, 2, b"")
    padded = first + b"\0" * 3 + second
    assert list(rtmessages.parse_messages(padded)) == [(16, 1, b"abcde"), (17, 2, b"")]
    assert list(rtmessages.parse_messages(padded + struct.pack("=I", 3) + bytes(12))) == [
        (16, 1, b"abcde"),
        (17, 2, b""),
    ]


def test_attributes_with_impossible_lengths_end_the_parse() -> None:
    good = rtmessages.attribute(3, b"wg0\0")
    assert rtmessages.parse_attributes(good + b"\x03\0\x04\0") == {3: b"wg0\0"}
    assert rtmessages.parse_attributes(good + b"\x08") == {3: b"wg0\0"}


def test_flags_in_an_attribute_type_are_ignored() -> None:
    assert rtmessages.parse_attributes(rtmessages.attribute(0x8000 | 12, b"abcd")) == {12: b"abcd"}
