"""Netlink messages, byte by byte as linux/rtnetlink.h lays them out; tests/lab holds them against the kernel."""

from __future__ import annotations

import errno
import re
import struct
from pathlib import Path

import pytest

from wgnode.io import netlink
from wgnode.io.netlink import codec, links, prefix, routes
from wgnode.io.netlink.links import Link
from wgnode.io.netlink.monitor import Subscription
from wgnode.io.netlink.routes import Route


def test_message_header_counts_itself() -> None:
    assert (
        codec.message(links.RTM_GETLINK, 0x301, 7, b"abcd").hex()
        == "14000000 1200 0103 07000000 00000000".replace(" ", "") + b"abcd".hex()
    )


def test_attribute_is_padded_but_its_length_is_not() -> None:
    assert codec.attribute(links.IFLA_IFNAME, b"wg0\0") == b"\x08\0\x03\0wg0\0"
    assert codec.attribute(links.IFLA_IFNAME, b"wg10\0") == b"\x09\0\x03\0wg10\0\0\0\0"


def test_address_message_of_ipv4() -> None:
    expected = "02 18 00 00 05000000  0800 0200 0a010002  0800 0100 0a010002"
    assert links.address_message(5, "10.1.0.2/24", nodad=True) == bytes.fromhex(expected)


def test_address_message_of_ipv6_asks_for_no_duplicate_address_detection() -> None:
    address = "fd000000000000000000000000000001"
    expected = f"0a 40 00 00 05000000  1400 0200 {address}  1400 0100 {address}  0800 0800 02000000"
    assert links.address_message(5, "fd00::1/64", nodad=True) == bytes.fromhex(expected)
    assert links.address_message(5, "fd00::1/64") == bytes.fromhex(expected)[:-8]


def test_route_message_through_a_next_hop() -> None:
    expected = "02 00 00 00 fe 04 00 01 00000000  0800 0100 00000000  0800 0500 ac1ffffd"
    assert routes.route_message("0.0.0.0/0", via="172.31.255.253", index=None) == bytes.fromhex(expected)


def test_route_message_through_a_link_has_link_scope_and_an_mtu() -> None:
    expected = "02 10 00 00 fe 04 fd 01 00000000  0800 0100 0a020000  0800 0400 03000000  0c00 0800 0800 0200 13050000"
    assert routes.route_message("10.2.0.0/16", via=None, index=3, mtu=1299) == bytes.fromhex(expected)


def test_route_with_a_next_hop_of_the_other_family_is_refused() -> None:
    with pytest.raises(ValueError, match="one address family"):
        routes.route_message("0.0.0.0/0", via="fd00::1", index=None)


def test_proxy_neighbour_message() -> None:
    expected = "02 000000 04000000 0000 08 00  0800 0100 0a020001"
    assert routes.neighbour_message(4, "10.2.0.1", flags=routes.NTF_PROXY) == bytes.fromhex(expected)


@pytest.mark.parametrize("text", ["10.0.0.0/33", "fd00::/129", "10.0.0/8", "nonsense", "10.0.0.0/-1", "10.0.0.0/", ""])
def test_bad_prefixes_are_refused(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 (int() has its own words)
        prefix.split_prefix(text)


def test_link_is_parsed() -> None:
    body = links.IFINFOMSG.pack(0, 1, 7, 0x1003, 0)
    body += codec.attribute(links.IFLA_IFNAME, b"lan0\0") + codec.attribute(links.IFLA_MTU, struct.pack("=I", 1400))
    body += codec.attribute(links.IFLA_ADDRESS, bytes.fromhex("525400776700"))
    assert links.parse_link(body) == Link(7, "lan0", "52:54:00:77:67:00", 1400, True)
    assert links.parse_link(links.IFINFOMSG.pack(0, 1, 7, 0x1002, 0)) == Link(7, "", "", 0, False)


def test_route_is_parsed_and_other_tables_and_kinds_are_not() -> None:
    body = routes.route_message("10.2.0.0/16", via="10.1.0.2", index=3)
    assert routes.parse_route(body) == Route("10.2.0.0/16", "10.1.0.2", 3)
    assert routes.parse_route(routes.route_message("::/0", via="fd00::1", index=None)) == Route("::/0", "fd00::1", None)
    assert routes.parse_route(body[:4] + b"\xff" + body[5:]) is None  # the local table
    assert routes.parse_route(body[:7] + b"\x06" + body[8:]) is None  # a blackhole


def test_messages_of_one_datagram_come_apart_and_truncated_ones_end_it() -> None:
    first, second = codec.message(16, 0, 1, b"abcde"), codec.message(17, 0, 2, b"")
    padded = first + b"\0" * 3 + second
    assert list(codec.parse_messages(padded)) == [(16, 1, b"abcde"), (17, 2, b"")]
    assert list(codec.parse_messages(padded + struct.pack("=I", 3) + bytes(12))) == [
        (16, 1, b"abcde"),
        (17, 2, b""),
    ]


def test_attributes_with_impossible_lengths_end_the_parse() -> None:
    good = codec.attribute(3, b"wg0\0")
    assert codec.parse_attributes(good + b"\x03\0\x04\0") == {3: b"wg0\0"}
    assert codec.parse_attributes(good + b"\x08") == {3: b"wg0\0"}


def test_flags_in_an_attribute_type_are_ignored() -> None:
    assert codec.parse_attributes(codec.attribute(0x8000 | 12, b"abcd")) == {12: b"abcd"}


def test_what_ends_a_request_says_how() -> None:
    assert codec.refusal(struct.pack("=i", -errno.ENOENT) + bytes(16)) == errno.ENOENT
    assert codec.refusal(struct.pack("=i", 0)) == 0
    assert codec.refusal(b"") == 0


def test_of_a_routes_message_its_mtu_and_interface_are_seen() -> None:
    body = routes.route_message("10.2.0.0/16", via=None, index=3, mtu=1299)
    assert routes.route_mtu(body) == 1299
    assert routes.route_mtu(routes.route_message("10.2.0.0/16", via=None, index=3)) is None
    assert routes.leaves_by(body, 3)
    assert not routes.leaves_by(body, 4)


def test_what_a_subscription_lost_is_told_as_such() -> None:
    class Overrun:
        answers = (b"abc", OSError(errno.ENOBUFS, "lost"), BlockingIOError())

        def __init__(self) -> None:
            self.left = list(self.answers)

        def recv(self, size: int) -> bytes:
            if isinstance(answer := self.left.pop(0), bytes):
                return answer[:size]
            raise answer

    made = Subscription(0)
    real, made._socket = made._socket, Overrun()  # type: ignore[assignment]
    real.close()
    assert list(made.told(size=1)) == [b"a", None]


def test_nobody_else_opens_a_netlink_socket() -> None:
    package = Path(netlink.__file__).parent
    opened = re.compile(r"\bsocket\.AF_NETLINK\b")
    sources = {each for each in package.parents[1].rglob("*.py") if opened.search(each.read_text())}
    assert {each.name for each in sources} == {"connection.py", "monitor.py"}
    assert {each.parent for each in sources} == {package}
