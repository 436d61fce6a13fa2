"""The lab's internet: it routes between public networks only, carries both address families, and can be listened to."""

from __future__ import annotations

import pytest

from lab.api import Lab

pytestmark = pytest.mark.lab


@pytest.mark.parametrize(
    ("role", "address"),
    [
        ("runner", "198.51.100.2"),
        ("runner", "2001:db8:2::2"),
        ("berlin", "203.0.113.2"),
        ("cabin", "2001:db8:1::2"),
        ("berlin.client", "10.1.0.1"),
        ("cabin.client", "fd00:10:2::1"),
    ],
)
def test_neighbours_reach_each_other(lab: Lab, role: str, address: str) -> None:
    assert lab.ping(role, address)


@pytest.mark.parametrize("address", ["10.2.0.100", "fd00:10:2::100", "10.2.0.1"])
def test_the_internet_does_not_know_private_networks(lab: Lab, address: str) -> None:
    assert not lab.ping("berlin", address, deadline=1)


def test_clients_are_apart_until_something_joins_them(lab: Lab) -> None:
    assert not lab.ping("berlin.client", "10.2.0.100", deadline=1)


def test_transfer_compares_what_was_sent_with_what_arrived(lab: Lab) -> None:
    done = lab.transfer("runner", "berlin", "198.51.100.2", 1_000_001)
    assert done.intact
    assert done.size == 1_000_001
    assert lab.transfer("berlin.client", "berlin", "fd00:10:1::1", 10).intact


def test_capture_sees_what_passes_the_internet(lab: Lab) -> None:
    with lab.capture() as packets:
        assert lab.ping("runner", "198.51.100.2", count=3)
    echoes = [p for p in packets if p.ethertype == 0x0800 and p.data[9] == 1 and p.data[20] == 8]
    assert {p.interface for p in echoes} == {"runner", "berlin"}
    assert {p.data[12:16] for p in echoes} == {bytes([192, 0, 2, 10])}
    assert len(echoes) == 6
