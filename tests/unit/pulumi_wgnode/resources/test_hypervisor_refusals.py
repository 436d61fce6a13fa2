"""Set-ups of a host that cannot work with a gateway: refused before anything is changed, with the way out."""

from __future__ import annotations

import pytest

from pulumi_wgnode.call.kind import Partial
from pulumi_wgnode.hosts.host import HostError, Result
from pulumi_wgnode.resources import foreign_checks
from pulumi_wgnode.resources.hypervisor_host import HypervisorHost
from pulumi_wgnode.resources.hypervisor_state import directories
from tests.unit.pulumi_wgnode.fake_host import link, said
from tests.unit.pulumi_wgnode.resources.hypervisor_case import NEWS, FakeHypervisor, created, host, kind, paths
from wgnode.image.paths import PLAIN

SCRIPT, UNIT, SYSCTL_FILE = PLAIN.network_script, PLAIN.network_unit, PLAIN.sysctl_file
DIRECTORIES = directories(PLAIN)

__all__ = ["host", "kind"]


@pytest.mark.parametrize(("role", "name"), [("uplink", "eth0"), ("lanInterface", "eth1")])
def test_a_missing_interface_is_named_with_those_that_exist_and_nothing_is_changed(kind, host, role, name):
    with pytest.raises(HostError, match=rf"interface {name}; there are wan0, lan0"):
        created(kind, networks={**NEWS["networks"], role: name})
    assert host.events == []


def test_a_lan_interface_in_anothers_bridge_is_refused(kind, host):
    host.links["lan0"]["master"] = "vmbr0"
    with pytest.raises(HostError, match="port of vmbr0; give vmbr0"):
        created(kind)
    assert host.events == []


def managed(host, monkeypatch, state):
    monkeypatch.setattr(host, "_nmcli", lambda argv, input: said(state + "\n"), raising=False)


def test_a_lan_interface_that_networkmanager_keeps_is_refused_with_the_way_out(kind, host, monkeypatch):
    managed(host, monkeypatch, "100 (connected)")
    with pytest.raises(HostError, match=r"NetworkManager manages lan0.* give that bridge as lan\.interface"):
        created(kind)
    assert host.events == []
    managed(host, monkeypatch, "10 (unmanaged)")
    inputs, id, state = created(kind)
    managed(host, monkeypatch, "100 (connected (externally))")  # as it sees what is in our bridge
    kind.update(id, state, inputs, False)


@pytest.mark.parametrize("address", ["10.1.0.1/24", "fd00:10:1::1/128"])
def test_a_lan_interface_whose_address_comes_by_dhcp_is_refused_with_the_way_out(kind, host, address):
    host.links["lan0"] = link("lan0", address)
    host.links["lan0"]["addr_info"][0]["dynamic"] = True
    with pytest.raises(HostError, match=r"lan0 has \S+ by DHCP.* give that bridge as lan\.interface"):
        created(kind)
    assert host.events == []


def test_addresses_of_router_advertisements_and_those_of_a_bridge_may_come_by_themselves(kind, host, monkeypatch):
    host.links["lan0"] = link("lan0", "10.1.0.1/24", "fd00:10:1::1/64")
    host.links["lan0"]["addr_info"][1]["dynamic"] = True
    created(kind)
    bridged = FakeHypervisor()
    bridged.links["lan0"] = link("lan0", "10.1.0.1/24", kind="bridge")
    bridged.links["lan0"]["addr_info"][0]["dynamic"] = True
    managed(bridged, monkeypatch, "100 (connected)")
    created(HypervisorHost(connect=lambda _: bridged, reconnect=lambda _: bridged.new_connection()))


def test_a_lan_that_is_a_bridge_already_is_joined_as_it_is(kind, host):
    host.links["lan0"] = link("lan0", "10.1.0.1/24", kind="bridge")
    inputs, id, state = created(kind)
    assert state["traits"]["bridge"] == "lan0"
    assert "wgnode-br0" not in state["links"]
    state, inputs = kind.read(id, state, inputs)
    assert paths(kind, state, kind.check(NEWS, inputs)) == set()


def test_a_host_that_is_not_in_its_gateways_lan_is_told_before_anything_is_changed(kind, host):
    host.links["lan0"] = link("lan0", "10.9.0.1/24", "fe80::1/64")
    with pytest.raises(HostError, match=r"lan0 has no address in the network of 10\.1\.0\.2, .*proxy-arp"):
        created(kind)
    assert host.events == []
    created(kind, networks={**NEWS["networks"], "routes": []})


def test_a_firewall_that_would_drop_forwarded_packets_is_named_and_nothing_is_changed(kind, host):
    base = {"family": "ip", "table": "filter"}
    host.foreign = [
        {"chain": {**base, "name": "FORWARD", "hook": "forward", "policy": "drop"}},
        {"chain": {**base, "name": "DOCKER-USER"}},
    ]
    with pytest.raises(HostError, match=r"ip filter FORWARD \(Docker\): iptables -I DOCKER-USER"):
        created(kind)
    assert host.events == []


def test_a_firewall_of_which_it_is_not_sure_is_warned_of_and_does_not_stop_it(kind, host, monkeypatch):
    said_so = []
    monkeypatch.setattr(foreign_checks, "log", lambda text, *_: said_so.append(text))
    base = {"family": "inet", "table": "filter"}
    host.foreign = [
        {"chain": {**base, "name": "forward", "hook": "forward", "policy": "drop"}},
        {"rule": {**base, "chain": "forward", "expr": [{"xt": {"type": "match", "name": "set"}}, {"accept": None}]}},
    ]
    created(kind)
    text, *again = said_so
    assert set(again) <= {text}, "once packages are there, it is asked again"
    assert "may drop what the gateway needs" in text
    assert "nft insert rule inet filter forward iifname wgnode-br0 oifname wgnode-br0 accept" in text


def test_a_bridge_of_the_host_is_what_another_firewall_has_to_let_pass(kind, host):
    host.links["lan0"]["linkinfo"] = {"info_kind": "bridge"}
    host.foreign = [
        {"chain": {"family": "inet", "table": "filter", "name": "forward", "hook": "forward", "policy": "drop"}}
    ]
    with pytest.raises(HostError, match="iifname lan0 oifname lan0 accept"):
        created(kind)


def test_a_firewall_that_shows_only_once_nft_is_installed_is_named_before_the_networks_come_up(kind, host, monkeypatch):
    host.foreign = [
        {"chain": {"family": "ip", "table": "filter", "name": "FORWARD", "hook": "forward", "policy": "drop"}}
    ]
    answer = host._nft
    monkeypatch.setattr(
        host, "_nft", lambda argv, input: answer(argv, input) if "nftables" in host.packages else Result(127, "", "")
    )
    with pytest.raises(Partial, match="ip filter FORWARD"):
        created(kind)
    assert "wgnode-wan" not in host.links
    assert host.sysctls["net/ipv4/ip_forward"] == "0"
