"""Whose an address was: exact where it is known, and honest about the moments between."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from wgnode.hostd import holders
from wgnode.hostd.holders import Holders, Holding
from wgnode.hostd.ledger import HOLDERS, Ledger
from wgnode.hostd.parts import Refused
from wgnode.nodeconfig import LinkConfig, NodeConfig, PeerConfig, encode_key

NOW = 1_700_000_000.0
ONE, TWO = "10.1.0.130", "fd00:10:1::1001"
ALICE, BOB = bytes([1]) * 32, bytes([2]) * 32


def config(**names: tuple[bytes, str]) -> NodeConfig:
    card = LinkConfig("52:54:00:00:00:01", ())
    devices = tuple(
        PeerConfig(name.replace("_", "/"), (key,), (f"{address}/{128 if ':' in address else 32}",))
        for name, (key, address) in names.items()
    )
    return NodeConfig("dev", "berlin", (bytes(32),), 51820, (), card, card, devices=devices)


FIRST = config(alice_phone=(ALICE, ONE), bob_pad=(BOB, TWO))
SECOND = config(bob_pad=(BOB, TWO), bob_phone=(bytes([3]) * 32, ONE))
NOBODYS = config()


def told(ledger: Ledger, address: str = ONE) -> list[Holding]:
    return [holders.read(one) for one in ledger.holders(address)["holdings"]]


class Host:
    """`ledger` by a clock that the test sets."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.now = folder, NOW
        self.ledger = self.begin()

    def begin(self) -> Ledger:
        return Ledger(self.folder, lambda: self.now, pytest.fail)

    def health(self, at: float, running: NodeConfig, on_disk: NodeConfig | None = None, guest: object = 1) -> None:
        self.now = NOW + at
        self.ledger.heard({"applied": running.digest}, on_disk or running, guest)

    def alive(self, at: float, guest: object = 1) -> None:
        self.now = NOW + at
        self.ledger.alive(guest)


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


def test_the_record_begins_with_what_runs_and_claims_nothing_of_before(host: Host) -> None:
    host.health(0, FIRST)
    (one,) = told(host.ledger)
    assert (one.name, one.key, one.begun, one.ended) == ("alice/phone", encode_key(ALICE), (NOW, NOW), None)
    assert host.ledger.holders(ONE)["since"] == NOW
    assert not one.surely(NOW - 1)
    assert not one.perhaps(NOW - 1)


def test_an_address_that_goes_from_one_to_another_is_nobodys_for_sure_only_while_it_is_handed_over(host: Host) -> None:
    host.health(0, FIRST)
    host.health(100, FIRST, SECOND)  # read before the change
    host.ledger.changing()
    host.alive(101)
    host.now = NOW + 102
    host.ledger.changed(SECOND.digest, SECOND, 1)
    alice, bob = told(host.ledger)
    assert (alice.name, alice.begun, alice.ended) == ("alice/phone", (NOW, NOW), (NOW + 100, NOW + 102))
    assert (bob.name, bob.begun, bob.ended) == ("bob/phone", (NOW + 100, NOW + 102), None)
    assert [(one.surely(NOW + 100), one.perhaps(NOW + 101)) for one in (alice, bob)] == [(True, True), (False, True)]
    assert [one.surely(NOW + 102) for one in (alice, bob)] == [False, True]
    (pad,) = told(host.ledger, TWO)
    assert (pad.begun, pad.ended) == ((NOW, NOW), None), "bob's pad has had its address all the time"


def test_a_change_that_was_refused_changes_nothing(host: Host) -> None:
    host.health(0, FIRST)
    host.ledger.changing()
    host.now += 5
    host.ledger.changed(None, SECOND, 1)
    host.health(10, FIRST, SECOND)
    (one,) = told(host.ledger)
    assert one.ended is None, "the layer on the disk is not what runs"


def test_a_guest_that_boots_another_configuration_had_the_former_until_its_last_sign_of_life(host: Host) -> None:
    host.health(0, FIRST)
    host.alive(50)
    host.alive(70, guest=2)  # a heartbeat of the next guest says nothing of the one before
    host.health(80, SECOND, guest=2)
    alice, bob = told(host.ledger)
    assert (alice.ended, bob.begun) == ((NOW + 50, NOW + 80), (NOW + 50, NOW + 80))


def test_what_was_recorded_and_confirmed_outlives_hostd(host: Host) -> None:
    host.health(0, FIRST)
    host.health(100, SECOND)
    host.alive(200)
    host.ledger.save(at_once=True)
    host.ledger = host.begin()
    host.health(300, NOBODYS, guest=9)
    alice, bob = told(host.ledger)
    assert (alice.name, bob.name, bob.ended) == ("alice/phone", "bob/phone", (NOW + 200, NOW + 300))
    assert host.ledger.holders(ONE)["since"] == NOW


def test_hostd_that_was_killed_knows_less_exactly_and_nothing_wrong(host: Host) -> None:
    host.health(0, FIRST)
    host.alive(200)
    host.ledger = host.begin()
    host.health(300, SECOND, guest=9)
    alice, bob = told(host.ledger)
    assert alice.ended is not None
    assert alice.ended[0] <= NOW + 200 < alice.ended[1] == NOW + 300
    assert alice.ended == bob.begun


def test_another_key_or_time_of_the_same_device_is_told_apart(host: Host) -> None:
    host.health(0, FIRST)
    host.health(10, config(alice_phone=(BOB, ONE)))
    assert [one.key for one in told(host.ledger)] == [encode_key(ALICE), encode_key(BOB)]


def test_what_ended_first_goes_first_and_the_record_says_since_when_it_is_whole(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(holders, "MOST_ENDED", 3)
    record = Holders()
    for number in range(10):
        name = {f"alice_d{number}": (bytes([number]) * 32, ONE)}
        record.follow(config(**name), NOW + number - 0.5, NOW + number)
    assert [one.name for one in record] == ["alice/d6", "alice/d7", "alice/d8", "alice/d9"]
    assert record.since == NOW + 6, "d5 had it until then, and is forgotten"


def test_a_clock_that_was_behind_makes_no_time_go_backwards() -> None:
    record = Holders()
    record.follow(FIRST, NOW, NOW)
    record.follow(SECOND, NOW + 100, NOW + 50)
    assert all(one.begun[0] <= one.begun[1] for one in record)


@pytest.mark.parametrize(
    "damage", [{"holdings": [7]}, {"holdings": 7}, {"digest": None}, {"since": "x"}, {"format": 2}]
)
def test_a_record_of_which_a_part_is_damaged_is_set_aside_whole(host: Host, damage: dict[str, Any]) -> None:
    host.health(0, FIRST)
    file = host.folder / HOLDERS
    file.write_text(json.dumps({**json.loads(file.read_text()), **damage}))
    warned: list[str] = []
    ledger = Ledger(host.folder, lambda: NOW, warned.append)
    assert ledger.holders(ONE) == {"since": None, "holdings": []}
    assert len(warned) == 1
    assert (host.folder / f"{HOLDERS}.refused").exists()


@pytest.mark.parametrize("address", ["", "10.1.0", 7, None, "10.1.0.0/24"])
def test_only_addresses_are_asked_for(host: Host, address: object) -> None:
    assert "error" in host.ledger.holders(address)


def test_an_address_is_found_however_it_is_written(host: Host) -> None:
    host.health(0, FIRST)
    assert [one.name for one in told(host.ledger, "FD00:10:1:0:0::1001")] == ["bob/pad"]


@pytest.mark.parametrize(
    "change", [{"address": ""}, {"key": "AA=="}, {"begun": [2, 1]}, {"ended": [1]}, {"expires": -1}]
)
def test_what_is_no_holding_is_refused(change: dict[str, Any]) -> None:
    good = Holding(ONE, "alice/phone", encode_key(ALICE), None, (1.0, 2.0), (3.0, 4.0)).told()
    assert holders.read(good)
    with pytest.raises(Refused):
        holders.read({**good, **change})
