"""Devices that leave by a host: what its two resources make of them, what is drift, and which flows are forgotten."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from pulumi_wgnode.contracts import hypervisor_host
from pulumi_wgnode.hosts import egress_record, undo
from pulumi_wgnode.hosts.host import HostError
from pulumi_wgnode.hosts.networks import network
from pulumi_wgnode.hosts.networks.network import Network
from pulumi_wgnode.resources.hypervisor_state import Traits, desired
from pulumi_wgnode.resources.inputs import validated
from pulumi_wgnode.resources.nat_firewall import NatFirewall
from pulumi_wgnode.resources.versioned import of_firewall, of_host
from tests.unit.pulumi_wgnode.fake_host import FakeHost
from tests.unit.pulumi_wgnode.resources import hypervisor_case

from .firewall_case import NEWS, created, host, kind

__all__ = ["host", "kind"]
PHONE = {"addresses": ["10.1.0.130", "fd00:10:1::1001"], "public": ["203.0.113.33", "2001:db8::33"]}
PAD = {"addresses": ["10.1.0.132"]}
EGRESS = {"lan": "br0", "devices": {"alice/phone": PHONE, "carol/pad": PAD}}
LINKS = Network("wan0", "lan0", (), {}, public=("203.0.113.33", "2001:db8::33"))


def forgotten(host: FakeHost) -> set[str]:
    """By what `conntrack` was asked for, in a shell."""
    asked = zip(host.commands, host.inputs, strict=True)
    return {word for text, given in asked if text.endswith(" forget") for word in given.decode().split()}


def test_devices_are_told_by_name_and_a_missing_mapping_is_drift_by_name(host: FakeHost, kind: NatFirewall) -> None:
    inputs, id, state = created(kind, egress=EGRESS)
    assert state["leaving"] == {
        "alice/phone 10.1.0.130": "leaves, as 203.0.113.33, is behind 203.0.113.33",
        "alice/phone fd00:10:1::1001": "leaves, as 2001:db8::33, is behind 2001:db8::33",
        "carol/pad 10.1.0.132": "leaves, as the host",
    }
    assert not kind.diff(state, inputs, inputs).changes
    host.sets = tuple(replace(one, elements={}) if one.name == "egress-out-v4" else one for one in host.sets)
    found = kind.read(id, state, inputs)
    assert found is not None
    changes = kind.diff(found[0], inputs, inputs).changes
    assert [change.path for change in changes] == ['leaving["alice/phone 10.1.0.130"]']


def test_only_flows_of_what_is_translated_otherwise_are_forgotten(host: FakeHost, kind: NatFirewall) -> None:
    inputs, id, state = created(kind, egress=EGRESS)
    assert forgotten(host) == set(), "nobody left before"
    moved = {"lan": "br0", "devices": {"alice/phone": {**PHONE, "public": ["203.0.113.34", "2001:db8::33"]}}}
    after = kind.check({**NEWS, "egress": moved}, inputs)
    state = kind.update(id, state, after, False)
    assert forgotten(host) == {"10.1.0.130", "203.0.113.33", "10.1.0.132"}
    host.commands.clear()
    host.inputs.clear()
    kind.delete(id, state)
    assert forgotten(host) == {"10.1.0.130", "203.0.113.34", "fd00:10:1::1001", "2001:db8::33"}


def test_whose_a_public_address_will_be_is_written_before_it_is_and_what_it_became_behind(
    host: FakeHost, kind: NatFirewall, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So a runner that is killed between leaves nothing that is not true."""
    told: list[tuple[str, dict[str, str | None]]] = []

    def tell(what: str, behind: Mapping[str, str | None]) -> str:
        told.append((what, {public: inside for public, inside in behind.items() if "." in public}))
        return "7"

    monkeypatch.setattr(egress_record, "announce", lambda host, paths, behind: tell("will be", behind))
    monkeypatch.setattr(egress_record, "write", lambda host, paths, began, behind: tell(f"since {began}", behind))
    inputs, id, state = created(kind, egress=EGRESS)
    assert told == [("will be", {"203.0.113.33": "10.1.0.130"}), ("since 7", {"203.0.113.33": "10.1.0.130"})]
    told.clear()
    confirmed = undo.confirmed

    def refused(*arguments: Any, **more: Any) -> None:
        raise HostError("the host said no")

    monkeypatch.setattr(undo, "confirmed", refused)
    moved = {"lan": "br0", "devices": {"bob/pad": {**PHONE, "addresses": ["10.1.0.131"]}}}
    after = kind.check({**NEWS, "egress": moved}, inputs)
    with pytest.raises(HostError):
        kind.update(id, state, after, False)
    assert told == [("will be", {"203.0.113.33": "10.1.0.131"}), ("since 7", {"203.0.113.33": "10.1.0.130"})]
    monkeypatch.setattr(undo, "confirmed", confirmed)
    kind.update(id, state, after, False)
    assert told[-1] == ("since 7", {"203.0.113.33": "10.1.0.131"})


def test_a_device_with_addresses_of_its_own_leaves_by_no_other_family(host: FakeHost, kind: NatFirewall) -> None:
    _, _, state = created(kind, egress={"lan": "br0", "devices": {"a/b": {**PHONE, "public": ["203.0.113.33"]}}})
    assert list(state["leaving"]) == ["a/b 10.1.0.130"]


def test_addresses_lead_to_the_link_and_are_answered_for_unless_they_are_routed() -> None:
    answered = network.script(LINKS)
    assert "PUBLIC='203.0.113.33 2001:db8::33'\nANSWERED='203.0.113.33 2001:db8::33' LEAVES=yes" in answered
    assert "ANSWERED='' LEAVES=yes" in network.script(replace(LINKS, answers=False))
    assert "PUBLIC=''\nANSWERED='' LEAVES= " in network.script(replace(LINKS, public=None))
    routes = "203.0.113.33 dev wgnode-wan proto 118 scope link \n2001:db8::33 dev wgnode-wan proto 118 metric 1024\n"
    proxies = (
        "203.0.113.33 dev wan0 proxy proto 119 \n2001:db8::33 dev wan0 proxy proto 119 \n203.0.113.9 dev wan0 proxy \n"
    )
    proxies += "203.0.113.40 dev wan0 proxy proto 120 \n/proc/sys/net/ipv4/conf/wgnode-wan/rp_filter:2\n"
    assert network.observed_egress(proxies, routes, LINKS) == network.described_egress(LINKS)
    lost = network.observed_egress(proxies, routes.splitlines()[1], LINKS)
    assert lost["203.0.113.33"] == "answered for on wan0"
    left = network.observed_egress(proxies, routes, replace(LINKS, public=None))
    assert left["203.0.113.33"] == "to wgnode-wan, answered for on wan0", "what nobody wants any more is seen"


def test_the_host_answers_for_ipv6_only_where_it_is_asked_to() -> None:
    def sysctls(public: list[str], **more: Any) -> set[str]:
        networks = {**hypervisor_case.NEWS["networks"], "egress": {"public": public, **more}}
        inputs = validated(hypervisor_host.HypervisorHostInputs, {**hypervisor_case.NEWS, "networks": networks})
        return {name for name in desired(inputs, Traits()).outputs["sysctls"] if "neigh" in name or "proxy" in name}

    assert sysctls(["203.0.113.33"]) == {"net/ipv4/neigh/wan0/proxy_delay"}
    assert sysctls(["2001:db8::33"]) == {"net/ipv6/conf/wan0/proxy_ndp", "net/ipv6/neigh/wan0/proxy_delay"}
    assert sysctls(["2001:db8::33"], routed=True) == set()


def test_a_version_that_would_end_it_refuses_the_state() -> None:
    assert (of_firewall({"connection": {}}), of_firewall({"connection": {}, "egress": EGRESS})) == (1, 3)
    assert of_host({"connection": {}, "networks": {"egress": {"public": []}}}) == 5
