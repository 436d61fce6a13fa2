"""A host that is itself in a network of the mesh: refused before anything is touched, naming both, and foreseen."""

from __future__ import annotations

import json

import pytest

from pulumi_wgnode.call import log
from pulumi_wgnode.call.kind import CheckError
from pulumi_wgnode.call.log import Severity
from pulumi_wgnode.hosts.host import HostError
from pulumi_wgnode.hosts.networks import routing
from pulumi_wgnode.resources.foresee import judge
from pulumi_wgnode.resources.hypervisor_host import HypervisorHost
from tests.unit.pulumi_wgnode.fake_host import link, said
from tests.unit.pulumi_wgnode.resources.hypervisor_case import NEWS, FakeHypervisor


class Routed(FakeHypervisor):
    """With `routed` in its IPv4 tables, as `ip -j route show table all` has them."""

    routed: tuple = ()

    def _sh(self, argv, input):
        if argv[2] == routing._READ:
            return said(f"{json.dumps(list(self.routed))}\n--\n[]\n--\n[]\n--\n[]\n--\n")
        return super()._sh(argv, input)


@pytest.fixture
def told():
    lines = []
    log.send_to(lambda text, severity: lines.append(text) if severity is Severity.WARNING else None)
    yield lines
    log.send_to(None)


def kind_of(host):
    return HypervisorHost(connect=lambda _: host, reconnect=lambda _: host.new_connection())


def inputs_of(kind, *routes, **networks):
    wanted = [{"to": to, "via": "10.1.0.2"} for to in routes]
    given = {**NEWS["networks"], "routes": wanted, "whose": {"192.168.1.0/24": "site 'cabin'"}, **networks}
    return kind.check({**NEWS, "networks": given}, {})


def refused(host, *routes, **networks):
    """By a creation that changes nothing, and told by the preview of one."""
    kind, lines = kind_of(host), []
    inputs = inputs_of(kind, *routes, **networks)
    with pytest.raises(HostError) as error:
        kind.create("host", inputs, False)
    assert host.events == []
    log.send_to(lambda text, severity: lines.append(text))
    judge(kind.foresee(host, inputs, None))
    log.send_to(None)
    assert lines == [f"`pulumi up` would be refused: {error.value}"]
    return str(error.value)


def test_another_sites_lan_that_is_the_uplinks_network_is_refused_naming_both():
    host = Routed()
    host.links["wan0"] = link("wan0", "192.168.1.10/24")
    text = refused(host, "10.2.0.0/24", "192.168.1.0/24")
    assert "192.168.1.0/24 of site 'cabin' is not the mesh's alone there: wan0 has 192.168.1.10/24" in text
    assert "Renumber one of the two" in text


def test_all_overlaps_are_told_at_once_and_a_network_that_nobody_named_is_the_meshs():
    host = Routed()
    host.links["wan0"] = link("wan0", "192.168.1.10/24")
    host.routed = ({"dst": "10.2.0.0/24", "gateway": "192.168.1.9", "dev": "wan0", "table": "100", "flags": []},)
    text = refused(host, "10.2.0.0/24", "192.168.1.0/24")
    assert "192.168.1.0/24 of site 'cabin'" in text
    assert "10.2.0.0/24 of the mesh is not" in text
    assert "it has the route 10.2.0.0/24 via 192.168.1.9 dev wan0 table 100" in text


@pytest.mark.parametrize(
    ("address", "says"),
    [
        ("172.31.255.1/16", "wan0 has 172.31.255.1/16, which overlaps the network of the link to the gateway"),
        ("172.31.255.254/24", "wan0 has 172.31.255.254/24, which is in the network of the link to the gateway"),
        ("fd77:676e:6f64:6500::9/64", "wan0 has fd77:676e:6f64:6500::9/64, which overlaps the network of the link"),
    ],
)
def test_a_network_of_the_host_that_holds_the_link_to_the_gateway_is_refused(address, says):
    host = Routed()
    host.links["wan0"] = link("wan0", address)
    text = refused(host, "10.2.0.0/24")
    assert says in text
    assert "give another as gateway.transit" in text


def test_a_wider_route_may_hold_the_link_to_the_gateway():
    host = Routed()
    host.routed = ({"dst": "172.16.0.0/12", "gateway": "192.168.1.9", "dev": "wan0", "flags": []},)
    kind = kind_of(host)
    kind.create("host", inputs_of(kind, "10.2.0.0/24"), False)


def test_a_gateways_address_that_is_the_hosts_own_is_refused_before_routes_lead_there():
    host = Routed()
    host.links["lan0"] = link("lan0", "10.1.0.2/24")
    text = refused(host, "10.2.0.0/24")
    assert "10.1.0.2 is to be the gateway's address in the LAN, but is the host's own, on lan0" in text


def point_to_point(name, local, other):
    made = link(name)
    made["addr_info"] = [{"family": "inet", "local": local, "address": other, "prefixlen": 32, "scope": "global"}]
    return made


@pytest.mark.parametrize(
    ("lan", "routed"),
    [
        (link("lan0", "10.1.0.3/31"), ()),
        (link("lan0", "10.1.0.1/32"), [{"dst": "10.1.0.0/24", "dev": "lan0", "scope": "link", "flags": []}]),
        (point_to_point("lan0", "10.7.0.1", "10.1.0.2"), ()),
    ],
)
def test_a_host_that_reaches_its_gateway_without_a_network_of_both_may_route_to_it(lan, routed):
    host = Routed()
    host.links["lan0"], host.routed = lan, tuple(routed)
    kind = kind_of(host)
    kind.create("host", inputs_of(kind, "10.2.0.0/24"), False)


@pytest.mark.parametrize(
    ("lan", "routed"),
    [
        (link("lan0", "10.1.0.1/32"), ()),
        (link("lan0", "10.1.0.4/31"), ()),
        (link("lan0", "10.1.0.1/32"), [{"dst": "10.1.0.0/24", "gateway": "10.1.0.1", "dev": "lan0", "flags": []}]),
        (link("lan0", "10.1.0.1/32"), [{"dst": "default", "dev": "lan0", "scope": "link", "flags": []}]),
        (link("lan0", "10.1.0.1/32"), [{"dst": "10.1.0.0/24", "dev": "eth9", "scope": "link", "flags": []}]),
    ],
)
def test_a_host_that_does_not_is_refused(lan, routed):
    host = Routed()
    host.links["lan0"], host.routed = lan, tuple(routed)
    assert "lan0 has no address in the network of 10.1.0.2" in refused(host, "10.2.0.0/24")


def test_an_overlap_that_comes_later_is_warned_of_at_each_read_and_is_no_drift(told):
    host = Routed()
    kind = kind_of(host)
    inputs = inputs_of(kind, "10.2.0.0/24")
    id, state = kind.create("host", inputs, False)
    kind.read(id, state, inputs)
    assert told == []
    host.links["wan0"] = link("wan0", "10.2.0.50/24")
    state, real = kind.read(id, state, inputs)
    assert "wan0 has 10.2.0.50/24, so the LAN does not reach that" in told[0]
    assert kind.diff(state, real, inputs).changes == ()


def test_a_route_to_a_part_is_warned_of_and_nothing_is_refused(told):
    host = Routed()
    host.routed = ({"dst": "10.2.0.128/25", "gateway": "192.168.1.9", "dev": "wan0", "flags": []},)
    kind = kind_of(host)
    kind.create("host", inputs_of(kind, "10.2.0.0/24"), False)
    assert ["10.2.0.128/25 via 192.168.1.9 dev wan0 is for goes there" in text for text in told] == [True]


def test_another_name_of_another_site_is_no_change_of_the_host():
    host = Routed()
    kind = kind_of(host)
    inputs = inputs_of(kind, "10.2.0.0/24")
    _, state = kind.create("host", inputs, False)
    for whose in ({"10.2.0.0/24": "site 'alps'"}, None):
        news = inputs_of(kind, "10.2.0.0/24", whose=whose)
        assert kind.diff(state, inputs, news).changes == ()


@pytest.mark.parametrize(
    ("networks", "says"),
    [
        ({"routes": [{"to": "fd00:2::%eth0/64", "via": "fd00:1::2"}]}, "has a zone"),
        ({"routes": [{"to": "fd00:2::/64", "via": "fe80::1%lan0"}]}, "has a zone"),
        ({"routes": [{"to": "10.2.0.0/24", "via": "the gateway"}]}, "does not appear to be an IPv4 or IPv6 address"),
        ({"transit": {"v6": "fd77::%wan0/126"}}, "has a zone"),
        ({"gateway": {"addresses": ["fe80::2%lan0/64"], "mac": "02:00:00:00:00:01"}}, "has a zone"),
    ],
)
def test_a_network_or_an_address_with_a_zone_is_no_route(networks, says):
    with pytest.raises(CheckError, match=says):
        HypervisorHost().check({**NEWS, "networks": {**NEWS["networks"], **networks}}, {})
