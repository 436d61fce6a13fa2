"""Addresses of a pool are asked for before they are held, answered for, defended once, and never fought over."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from wgnode.responder.guard import DEFEND_INTERVAL, TRY_AGAIN, Guard, State
from wgnode.responder.packets import Address, Kind, Said, announcement, answer, heard, probe

OURS, THEIRS = bytes.fromhex("020000000001"), bytes.fromhex("020000000002")
V4, V6 = ip_address("10.1.0.130"), ip_address("fd00:10:1::1001")
OTHER = {V4: ip_address("10.1.0.131"), V6: ip_address("fd00:10:1::1002")}
ASKER = {V4: ip_address("10.1.0.7"), V6: ip_address("fd00:10:1::7")}
EACH = pytest.mark.parametrize("address", [V4, V6])


class Lan:
    """A guard, its time, and what it has said by then."""

    def __init__(self, *addresses: Address) -> None:
        self.now, self.guard = 100.0, Guard(OURS, lambda: 0.5)
        self.guard.want(addresses, self.now)
        self.said: list[tuple[float, Said]] = []

    def run(self, seconds: float) -> Lan:
        end = self.now + seconds
        while (due := self.guard.next_deadline()) is not None and due <= end:
            self.now = due
            self.guard.handle_timer(due)
            self.take()
        self.now = end
        return self

    def hear(self, frame: bytes) -> list[bytes]:
        self.guard.receive(frame, self.now)
        return self.guard.frames_to_send()

    def take(self) -> None:
        self.said += [(self.now, said) for frame in self.guard.frames_to_send() for said in heard(frame)]


def held(address: Address) -> Lan:
    lan = Lan(address).run(20)
    assert lan.guard.state(address) is State.HELD
    return lan


def asked(address: Address, to: bytes = b"\xff" * 6) -> bytes:
    """A request by somebody with an address."""
    if address.version == 4:
        head = to + THEIRS + bytes.fromhex("08060001080006040001") + THEIRS
        return head + ASKER[address].packed + bytes(6) + address.packed
    frame = bytearray(answer(THEIRS, Said(Kind.ASKED, address, to, ASKER[address])))
    frame[54], frame[22:38] = 135, ASKER[address].packed
    frame[56:58] = bytes(2)
    from wgnode.pathmtu.checksum import checksum, pseudo_header

    sum_ = checksum(bytes(frame[54:]), pseudo_header(bytes(frame[22:38]), bytes(frame[38:54]), 58, len(frame) - 54))
    frame[56:58] = sum_.to_bytes(2, "big")
    return bytes(frame)


@EACH
def test_three_probes_and_a_silence_come_before_two_announcements(address: Address) -> None:
    lan = Lan(address).run(30)
    at = [(round(when - 100.0, 3), said.kind) for when, said in lan.said]
    probes = [(0.5, Kind.PROBED), (2.0, Kind.PROBED), (3.5, Kind.PROBED)]
    assert at == [*probes, (5.5, Kind.CLAIMED), (7.5, Kind.CLAIMED)]
    assert {said.address for _, said in lan.said} == {address}
    assert lan.guard.next_deadline() is None


@EACH
def test_it_answers_probes_and_requests_for_exactly_what_it_holds(address: Address) -> None:
    lan = held(address)
    (reply,) = lan.hear(probe(THEIRS, address))
    assert heard(reply)[0].kind is Kind.CLAIMED
    assert lan.hear(probe(THEIRS, OTHER[address])) == []
    (reply,) = lan.hear(asked(address))
    assert reply[:6] == THEIRS
    assert heard(reply)[0] == Said(Kind.CLAIMED, address, OURS, to_all=False)
    lan.guard.want([], lan.now)
    assert lan.hear(probe(THEIRS, address)) == lan.hear(asked(address)) == []


@EACH
def test_while_it_asks_it_answers_only_who_knows_the_gateway_before(address: Address) -> None:
    lan = Lan(address).run(2.5)
    assert lan.hear(asked(address)) == []
    assert len(lan.hear(asked(address, OURS))) == 1


@EACH
@pytest.mark.parametrize("frame", [announcement, probe])
def test_one_that_another_machine_has_is_skipped_and_tried_again_later(address: Address, frame) -> None:  # type: ignore[no-untyped-def]
    lan = Lan(address).run(2.5)
    assert lan.hear(frame(THEIRS, address)) == []
    assert lan.guard.taken == {address: THEIRS}
    lan.said.clear()
    lan.run(TRY_AGAIN - 0.1)
    assert lan.said == []
    assert lan.hear(probe(THEIRS, address)) == lan.hear(asked(address)) == [], "it is theirs"
    lan.run(1.0)
    assert [said.kind for _, said in lan.said] == [Kind.PROBED]
    assert lan.guard.taken == {address: THEIRS}, "until it is sure"
    lan.hear(announcement(THEIRS, address))
    lan.run(TRY_AGAIN + 20)
    assert lan.guard.taken == {}
    assert lan.guard.state(address) is State.HELD, "the other one has gone"


@EACH
def test_it_is_defended_once_and_given_up_to_who_insists(address: Address) -> None:
    lan = held(address)
    (defence,) = lan.hear(announcement(THEIRS, address))
    assert heard(defence) == [Said(Kind.CLAIMED, address, OURS)]
    lan.run(DEFEND_INTERVAL)
    assert len(lan.hear(announcement(THEIRS, address))) == 1, "a long time after"
    lan.run(DEFEND_INTERVAL - 0.1)
    assert lan.hear(announcement(THEIRS, address)) == []
    assert lan.guard.taken == {address: THEIRS}


@EACH
def test_what_it_says_itself_comes_back_and_is_nobodys_claim(address: Address) -> None:
    lan = Lan(address).run(2.5)
    assert lan.hear(probe(OURS, address)) == lan.hear(announcement(OURS, address)) == []
    assert lan.guard.taken == {}


def test_many_that_come_at_once_begin_a_hundred_a_second_and_what_stays_is_not_asked_for_again() -> None:
    many = [ip_address(int(ip_address("10.1.0.0")) + number) for number in range(1000)]
    numbers = iter(number / 1000 for number in range(2000))
    guard = Guard(OURS, lambda: next(numbers))
    guard.want(many, 0.0)
    guard.handle_timer(1.0)
    assert 90 <= len(guard.frames_to_send()) <= 110
    lan = held(V4)
    lan.said.clear()
    lan.guard.want([V4, V6], lan.now)
    lan.run(20)
    assert {said.address for _, said in lan.said} == {V6}
