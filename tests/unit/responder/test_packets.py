"""ARP and neighbour discovery, byte for byte, and nothing believed that the standards refuse."""

from __future__ import annotations

from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wgnode.platform.linux.announce import frame as kernel_like
from wgnode.responder.packets import Kind, Said, announcement, answer, heard, probe, solicited_node

OURS, THEIRS = bytes.fromhex("020000000001"), bytes.fromhex("020000000002")
V4, V6 = ip_address("10.1.0.130"), ip_address("fd00:10:1::1001")
THEIR4, THEIR6 = ip_address("10.1.0.7"), ip_address("fd00:10:1::7")


def test_an_arp_probe_and_its_answer_are_those_of_rfc_5227() -> None:
    asked = probe(THEIRS, V4)
    assert asked.hex() == "ffffffffffff0200000000020806000108000604000102000000000200000000" + ("0000000000000a010082")
    (said,) = heard(asked)
    assert said == Said(Kind.PROBED, V4, THEIRS)
    assert answer(OURS, said).hex() == (
        "020000000002020000000001080600010800060400020200000000010a01008202000000000200000000"
    )


def test_a_solicitation_for_duplicates_goes_to_the_group_and_is_answered_to_all() -> None:
    asked = probe(THEIRS, V6)
    assert asked[:6].hex() == "3333ff001001"
    assert solicited_node(V6) == ip_address("ff02::1:ff00:1001")
    (said,) = heard(asked)
    assert said == Said(Kind.PROBED, V6, THEIRS)
    reply = answer(OURS, said)
    assert reply == announcement(OURS, V6)
    assert reply[:6].hex() == "333300000001"
    assert heard(reply) == [Said(Kind.CLAIMED, V6, OURS)]


def test_who_asks_with_an_address_is_answered_alone_and_claims_its_own_by_arp() -> None:
    request = bytes.fromhex("ffffffffffff02000000000208060001080006040001020000000002") + THEIR4.packed
    request += bytes(6) + V4.packed
    claimed, asked = heard(request)
    assert claimed == Said(Kind.CLAIMED, THEIR4, THEIRS)
    assert asked == Said(Kind.ASKED, V4, THEIRS, THEIR4)
    (back,) = heard(answer(OURS, asked))
    assert back == Said(Kind.CLAIMED, V4, OURS, to_all=False)
    (told,) = heard(answer(OURS, Said(Kind.ASKED, V6, THEIRS, THEIR6)))
    assert told == Said(Kind.CLAIMED, V6, OURS, to_all=False)
    assert answer(OURS, Said(Kind.ASKED, V6, THEIRS, THEIR6))[58] == 0x60, "solicited, override"


@pytest.mark.parametrize("address", [V4, V6])
def test_announcements_are_as_the_gateway_makes_them_of_its_own_addresses(address) -> None:  # type: ignore[no-untyped-def]
    said = heard(kernel_like(OURS, address))
    assert said == heard(announcement(OURS, address)) == [Said(Kind.CLAIMED, address, OURS)]


@pytest.mark.parametrize(
    ("offset", "value"), [(21, 254), (56, 0), (58, 1), (20, 17), (54, 133), (55, 1), (19, 20), (40, 1)]
)
def test_a_damaged_advertisement_says_nothing(offset: int, value: int) -> None:
    good = bytearray(announcement(OURS, V6))
    assert good[offset] != value
    good[offset] = value
    assert heard(bytes(good)) == []


@given(st.binary(max_size=100), st.sampled_from([b"\x08\x06", b"\x86\xdd", b"\x08\x00"]))
def test_nothing_that_comes_is_an_error(rest: bytes, kind: bytes) -> None:
    heard(OURS + THEIRS + kind + rest)
    heard(rest)


@given(st.integers(0, 89), st.integers(0, 255))
def test_no_changed_byte_of_a_good_frame_makes_it_say_something_of_another_address(offset: int, value: int) -> None:
    frame = bytearray(announcement(OURS, V6))
    if 14 <= offset < len(frame) and frame[offset] != value:
        frame[offset] = value
        assert all(said.address == V6 for said in heard(bytes(frame)))
