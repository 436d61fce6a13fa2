"""Probes for an address, and what counts as an answer."""

from __future__ import annotations

import pytest

from pulumi_wgnode.hosts.networks import who_has

MAC, OTHER = bytes.fromhex("020000000001"), bytes.fromhex("020000000002")


def test_an_arp_probe_has_no_sender_address_and_teaches_nobody():
    frame = who_has.arp_probe(MAC, "10.1.0.2")
    assert frame[:14] == b"\xff" * 6 + MAC + b"\x08\x06"
    assert frame[14:] == bytes.fromhex("0001 0800 06 04 0001") + MAC + bytes(4) + bytes(6) + bytes((10, 1, 0, 2))


def test_a_neighbour_probe_goes_from_nobody_to_the_addresss_group_with_a_right_checksum():
    frame = who_has.neighbour_probe(MAC, "fd00:10:1::a2:b3c4")
    assert frame[:14] == bytes.fromhex("3333ffa2b3c4") + MAC + b"\x86\xdd"
    assert frame[20:22] == b"\x3a\xff"
    assert frame[22:54] == bytes(16) + bytes.fromhex("ff0200000000000000000001ffa2b3c4")
    assert frame[54] == 135
    pseudo = frame[22:54] + (24).to_bytes(4, "big") + (58).to_bytes(4, "big")
    assert who_has.checksum(pseudo + frame[54:]) == 0


def arp(sender, mac=OTHER, operation=2):
    return MAC + mac + bytes.fromhex("0806 0001 0800 06 04") + operation.to_bytes(2, "big") + mac + sender + bytes(10)


def advertisement(address, kind=136, limit=255):
    header = bytes.fromhex("60000000 0020 3a") + bytes((limit,)) + bytes(32)
    return bytes.fromhex("333300000001") + OTHER + b"\x86\xdd" + header + bytes((kind, 0, 0, 0)) + bytes(4) + address


@pytest.mark.parametrize(
    ("frame", "said"),
    [
        (arp(bytes((10, 1, 0, 2))), ("10.1.0.2", OTHER)),
        (arp(bytes((10, 1, 0, 2)), operation=1), ("10.1.0.2", OTHER)),
        (arp(bytes(4), operation=1), None),
        (arp(bytes((10, 1, 0, 2)))[:41], None),
        (advertisement(bytes.fromhex("fd000010000100000000000000000002")), ("fd00:10:1::2", OTHER)),
        (advertisement(bytes(16), kind=135), None),
        (advertisement(bytes(16), limit=64), None),
        (advertisement(bytes(16))[:77], None),
        (b"", None),
        (bytes(200), None),
    ],
)
def test_who_speaks_of_an_address_as_its_own_has_it(frame, said):
    assert who_has.answered(frame) == said
