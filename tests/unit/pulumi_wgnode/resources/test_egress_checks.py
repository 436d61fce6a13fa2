"""Which addresses a host can't answer for on its uplink: each refused by name, before anything is changed."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from pulumi_wgnode.hosts.host import HostError, Result
from pulumi_wgnode.hosts.networks import probe, routing
from pulumi_wgnode.hosts.networks.network import Network
from pulumi_wgnode.resources import egress_checks
from tests.unit.pulumi_wgnode.fake_host import FakeHost

ROUTES = [
    {"dst": "default", "gateway": "203.0.113.1", "dev": "wan0"},
    {"dst": "203.0.113.0/24", "dev": "wan0", "protocol": "kernel"},
    {"dst": "192.0.2.0/24", "dev": "lan0", "protocol": "kernel"},
]
LINKS = [{"ifname": "wan0", "addr_info": [{"local": "203.0.113.9", "prefixlen": 24}]}]
WANTED = Network("wan0", "lan0", (), {}, public=("203.0.113.33",))


def seen(proxies: str = "") -> dict[str, Any]:
    said = Result(0, f"{json.dumps(ROUTES)}--\n[]--\n[]--\n[]--\n", "")
    return {"routing": routing.parse(said), "links": json.dumps(LINKS), "proxies": proxies}


@pytest.fixture(autouse=True)
def asked(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """For which addresses the uplink's network was asked; .40 is somebody's."""
    calls: list[list[str]] = []

    def holders(_: object, addresses: list[str], **__: str) -> dict[str, str]:
        calls.append(addresses)
        return {one: "02:00:00:00:00:07" for one in addresses if one == "203.0.113.40"}

    monkeypatch.setattr(probe, "holders", holders)
    return calls


@pytest.mark.parametrize(
    ("address", "says"),
    [
        ("203.0.113.9", "is the host's own"),
        ("203.0.113.1", "is a next hop"),
        ("203.0.113.255", "is the network or broadcast address of 203.0.113.0/24"),
        ("198.51.100.7", "is not in a network of the uplink wan0 (there: 203.0.113.0/24)"),
        ("192.0.2.7", "say `routed: true` in `egressPool`"),
        ("2001:db8::33", "is not in a network of the uplink wan0 (there: none)"),
        ("203.0.113.40", "is in use at wan0 by 02:00:00:00:00:07"),
    ],
)
def test_what_cannot_be_answered_for_is_refused_by_name(address: str, says: str) -> None:
    with pytest.raises(HostError) as error:
        egress_checks.require_answerable(FakeHost(), replace(WANTED, public=(address,)), seen())
    assert f"{address} is to be a device's outside" in str(error.value)
    assert says in str(error.value)


def test_only_new_addresses_are_asked_for_and_routed_ones_need_no_network(asked: list[list[str]]) -> None:
    ours = "203.0.113.40 dev wan0 proxy proto 119 \n"
    egress_checks.require_answerable(FakeHost(), replace(WANTED, public=("203.0.113.33", "203.0.113.40")), seen(ours))
    assert asked == [["203.0.113.33"]]
    routed = replace(WANTED, public=("198.51.100.7",), answers=False)
    egress_checks.require_answerable(FakeHost(), routed, seen())
    egress_checks.require_answerable(FakeHost(), replace(WANTED, public=None), seen())
    assert len(asked) == 1
