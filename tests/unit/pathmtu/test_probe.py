"""The probe's bytes: right by an independent reading, of exactly the wanted size, answered as any host answers."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.pathmtu.naive import answer, checksum_is_right, parse
from wgnode.pathmtu.flight import ID_LENGTH
from wgnode.pathmtu.probe import SMALLEST, one_way, recognise, smallest
from wgnode.pathmtu.sizes import OVERHEAD, inner_of, wire_of, wire_of_message

OURS = {4: bytes((10, 66, 0, 1)), 6: bytes.fromhex("fd66") + bytes(13) + b"\1"}
THEIRS = {4: bytes((10, 66, 0, 2)), 6: bytes.fromhex("fd66") + bytes(13) + b"\2"}
ID = bytes(range(1, ID_LENGTH + 1))
IDS = st.binary(min_size=ID_LENGTH, max_size=ID_LENGTH)
VERSION = st.sampled_from((4, 6))


def test_overhead_is_60_over_ipv4_and_80_over_ipv6() -> None:
    assert OVERHEAD == {4: 60, 6: 80}
    assert (inner_of(1280, 4), inner_of(1440, 4), wire_of(1420, 6)) == (1220, 1380, 1500)
    assert wire_of_message(1452, 4) == 1480


@given(IDS, VERSION, VERSION, st.integers(0, 9001))
def test_every_size_from_the_bare_echo_on_can_be_had_exactly(
    probe: bytes, version: int, family: int, wire: int
) -> None:
    least = SMALLEST[version] + OVERHEAD[family]
    if wire < least:
        with pytest.raises(ValueError, match=rf"a probe of {wire} bytes over IPv{family}: give at least {least}"):
            one_way(probe, OURS[version], THEIRS[version], wire, family)
        return
    inner = one_way(probe, OURS[version], THEIRS[version], wire, family)
    assert wire_of(len(inner), family) == wire
    packet = parse(inner)
    assert (packet.source, packet.destination) == (OURS[version], THEIRS[version])
    assert packet.length == SMALLEST[version]
    assert not any(inner[packet.length :])
    assert checksum_is_right(inner)


@given(IDS, VERSION, st.integers(200, 3000))
def test_the_echo_comes_back_small_and_is_recognised(probe: bytes, version: int, wire: int) -> None:
    reply = answer(one_way(probe, OURS[version], THEIRS[version], wire, 4))
    assert len(reply) == SMALLEST[version]
    assert recognise(reply + bytes(12), OURS[version], THEIRS[version]) == probe, "padded by who sent it"


@pytest.mark.parametrize("version", [4, 6])
def test_what_is_no_reply_from_there_to_us_is_nothing(version: int) -> None:
    ours, theirs = OURS[version], THEIRS[version]
    request = one_way(ID, ours, theirs, 300, 4)[: SMALLEST[version]]
    reply = answer(request)
    assert recognise(reply, ours, theirs) is not None
    assert recognise(request, ours, theirs) is None
    assert recognise(reply, ours, theirs[:-1] + b"\7") is None
    assert recognise(reply, ours[:-1] + b"\7", theirs) is None
    assert recognise(answer(one_way(ID, theirs, ours, 300, 4)), ours, theirs) is None


@pytest.mark.parametrize("version", [4, 6])
def test_one_wrong_bit_after_the_addresses_makes_it_nothing(version: int) -> None:
    ours, theirs = OURS[version], THEIRS[version]
    reply = answer(one_way(ID, ours, theirs, 300, 4))
    for bit in range(8 * (20 if version == 4 else 40), 8 * len(reply)):
        wrong = bytearray(reply)
        wrong[bit // 8] ^= 1 << bit % 8
        assert recognise(bytes(wrong), ours, theirs) is None


@pytest.mark.parametrize("flags", [b"\x20\x00", b"\x00\x01", b"\x20\x01"])
def test_a_fragment_of_a_reply_proves_nothing(flags: bytes) -> None:
    reply = answer(one_way(ID, OURS[4], THEIRS[4], 1400, 4))
    assert recognise(reply[:6] + flags + reply[8:], OURS[4], THEIRS[4]) is None


def test_a_fragment_of_an_ipv6_reply_proves_nothing() -> None:
    reply = answer(one_way(ID, OURS[6], THEIRS[6], 1400, 4))
    body = bytes((58, 0, 0, 1, 0, 0, 0, 9)) + reply[40:]
    first = reply[:4] + len(body).to_bytes(2, "big") + bytes((44,)) + reply[7:40] + body
    assert recognise(first, OURS[6], THEIRS[6]) is None


@given(st.binary(max_size=100))
def test_anything_may_be_looked_at(data: bytes) -> None:
    assert recognise(data, OURS[4], THEIRS[4]) is None
    assert recognise(b"\x45" + data, OURS[4], THEIRS[4]) is None
    assert recognise(b"\x60" + data, OURS[6], THEIRS[6]) is None


def test_every_shorter_part_of_a_reply_is_nothing() -> None:
    for version in (4, 6):
        reply = answer(one_way(ID, OURS[version], THEIRS[version], 300, 4))
        for size in range(len(reply)):
            assert recognise(reply[:size], OURS[version], THEIRS[version]) is None


def test_misuse_is_named() -> None:
    with pytest.raises(ValueError, match="4 and 16 bytes"):
        one_way(ID, OURS[4], THEIRS[6], 1400, 4)
    with pytest.raises(ValueError, match="id of 3 bytes: give 12"):
        one_way(b"abc", OURS[4], THEIRS[4], 1400, 4)
    with pytest.raises(ValueError, match="a probe of 90 bytes over IPv4: give at least 96"):
        one_way(ID, OURS[4], THEIRS[4], 90, 4)


def test_the_smallest_probes() -> None:
    assert {(version, family): smallest(version, family) for version in (4, 6) for family in (4, 6)} == {
        (4, 4): 108,
        (4, 6): 128,
        (6, 4): 124,
        (6, 6): 144,
    }


def test_the_reading_of_the_tests_is_not_the_one_that_is_tested() -> None:
    """A wrong checksum is found wrong by it."""
    inner = one_way(ID, OURS[4], THEIRS[4], 300, 4)
    assert not checksum_is_right(inner[:22] + b"\0\0" + inner[24:])
    assert replace(parse(inner), length=0) != parse(inner)
