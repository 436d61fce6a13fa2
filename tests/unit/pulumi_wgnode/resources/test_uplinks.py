"""An uplink that is none, or no more, as the resources tell it: refused, foreseen, and shown as drift by name."""

from __future__ import annotations

import pytest

from pulumi_wgnode.call import log
from pulumi_wgnode.call.log import Severity
from pulumi_wgnode.hosts.host import HostError
from pulumi_wgnode.resources.hypervisor_host import HypervisorHost
from pulumi_wgnode.resources.nat_firewall import NatFirewall
from pulumi_wgnode.resources.unread import OnHost
from tests.unit.pulumi_wgnode.fake_host import FakeHost, link, said, ways
from tests.unit.pulumi_wgnode.resources.firewall_case import understands_scripts
from tests.unit.pulumi_wgnode.resources.hypervisor_case import FakeHypervisor
from tests.unit.pulumi_wgnode.resources.test_foresee import FIREWALL, HOST
from wgnode.firewall import nft

DEFAULT = {"dst": "default", "dev": "wan0"}
ON_BRIDGE = {"dst": "default", "dev": "vmbr0"}


@pytest.fixture
def told():
    lines = []
    log.send_to(lambda text, severity: lines.append((severity, text)))
    yield lines
    log.send_to(None)


@pytest.fixture
def host(monkeypatch):
    made = FakeHypervisor()
    made.routing = ways(DEFAULT)
    understands_scripts(made, monkeypatch)
    return made


def created(kind, host, news):
    made = kind(connect=lambda _: host, reconnect=lambda _: host.new_connection())
    inputs = made.check(news, {})
    id, state = made.create("it", inputs, False)
    assert made.diff(state, inputs, inputs).changes == ()
    return made, id, inputs, state


def drifted(made, id, inputs, state):
    """What the next refresh finds, and by which paths it differs."""
    state, refreshed = made.read(id, state, inputs)
    news = made.check({name: inputs[name] for name in made_of(inputs)}, refreshed)
    return state, [change.path for change in made.diff(state, refreshed, news).changes]


def made_of(inputs):
    return [name for name in inputs if name in {**HOST, **FIREWALL, "instance": 0}]


def enslave(host):
    host.links["wan0"] = link("wan0", master="vmbr0")
    host.links["vmbr0"] = link("vmbr0", "198.51.100.2/24", kind="bridge")
    host.routing = ways(ON_BRIDGE)


def rename(host):
    host.links["eth9"] = {**host.links.pop("wan0"), "ifname": "eth9"}
    host.routing = ways({"dst": "default", "dev": "eth9"})


@pytest.mark.parametrize(("kind", "news"), [(HypervisorHost, HOST), (NatFirewall, FIREWALL)])
@pytest.mark.parametrize(
    ("change", "what", "name"),
    [
        (enslave, "a port of the bridge vmbr0; traffic leaves by vmbr0", "vmbr0"),
        (rename, "missing; traffic leaves by eth9", "eth9"),
    ],
)
def test_what_became_of_the_uplink_is_drift_by_name_and_refused(host, told, kind, news, change, what, name):
    made, id, inputs, state = created(kind, host, news)
    change(host)
    seen, paths = drifted(made, id, inputs, state)
    assert "way.wan0" in paths
    assert seen["way"] == {"wan0": what}
    with pytest.raises(HostError, match=rf"uplink .*wan0.*`uplink: {name}`"):
        made.update(id, seen, inputs, False)


@pytest.mark.parametrize(("kind", "news"), [(HypervisorHost, HOST), (NatFirewall, FIREWALL)])
def test_it_is_refused_before_anything_is_changed_and_foreseen(host, told, kind, news):
    enslave(host)
    made = kind(connect=lambda _: host, reconnect=lambda _: host.new_connection())
    with pytest.raises(HostError, match=r"the uplink wan0 is a port of the bridge vmbr0.*set `uplink: vmbr0`"):
        made.create("it", made.check(news, {}), False)
    assert host.events == []
    OnHost(made, lambda _: host).foresee(made.check(news, {}), None)
    assert any(severity is Severity.WARNING and "set `uplink: vmbr0`" in text for severity, text in told)


def test_a_site_s_uplink_may_lie_beside_the_default_route_where_the_other_sites_do(host, told):
    host.routing = ways({"dst": "default", "dev": "lan0"}, {"dst": "192.0.2.0/24", "dev": "wan0"})
    with pytest.raises(HostError, match="traffic does not leave by the uplink wan0"):
        created(HypervisorHost, host, HOST)
    peers = {**HOST["networks"], "peers": ["192.0.2.7"]}
    made, _, inputs, state = created(HypervisorHost, host, {**HOST, "networks": peers})
    other = made.check({**HOST, "networks": {**peers, "peers": ["192.0.2.8"]}}, inputs)
    assert made.diff(state, inputs, other).changes == (), "another site's address changes nothing here"


PUBLIC_LAN = {"dst": "203.0.113.8/29", "dev": "lan1"}


def test_a_public_network_that_the_host_gets_inside_is_let_in_by_the_next_update(host, told):
    made, id, inputs, state = created(NatFirewall, host, FIREWALL)
    assert state["surroundings"] == {"inside": [], "outside": [], "interfaces": []}
    host.routing = ways(DEFAULT, PUBLIC_LAN, {"dst": "172.18.0.0/16", "dev": "br-0123"})
    state, paths = drifted(made, id, inputs, state)
    chains = [f"{hook}-unknown{what}" for hook in ("input", "forward") for what in ("-begin", "", "-end", "-after")]
    rules = {f'rules["{chain}-{what}"]' for chain in chains for what in ("known", "inside-v4")}
    assert set(paths) == {*rules, 'files["/etc/wgnode/firewall.nft"]'}, "for the private one nothing is to be done"
    assert state["surroundings"]["interfaces"] == ["lan1"]
    state = made.update(id, state, inputs, False)
    assert nft.described(host.table).rules["input-unknown-inside-v4"] == "input-unknown: ip saddr 203.0.113.8/29 accept"
    assert drifted(made, id, inputs, state)[1] == []


def test_while_the_uplink_is_gone_what_was_outside_is_not_taken_for_inside(host, told):
    near = {"dst": "198.51.100.0/24", "dev": "wan0"}
    host.routing = ways(near)  # no way out but what is on-link
    made, id, inputs, state = created(NatFirewall, host, FIREWALL)
    rename(host)
    host.routing = ways({**near, "dev": "eth9"})
    state, paths = drifted(made, id, inputs, state)
    assert state["surroundings"]["inside"] == []
    assert paths == ["way.wan0"]


def test_interfaces_that_are_to_be_left_alone_are(host, told):
    news = {**FIREWALL, "leaveAlone": ["lan0", "mgmt0"]}
    created(NatFirewall, host, news)
    rules = nft.described(host.table).rules
    known = 'iifname { "lan0", "lo", "mgmt0", "wan0", "wgnode-br0", "wgnode-wan" } accept'
    assert rules["input-unknown-known"] == f"input-unknown: {known}"
    assert rules["forward-unknown-known"] == f"forward-unknown: {known}"


class Called(FakeHost):
    """Reached from an address outside, by an interface that has a default route of its own."""

    def __init__(self):
        super().__init__()
        self.ssh_connection = "192.0.2.99 50000 203.0.113.2 22"
        self.routing = ways(DEFAULT, {"dst": "default", "dev": "mgmt0", "metric": 900})

    def _ip(self, argv, input):
        return said("192.0.2.99 via 203.0.113.1 dev mgmt0 src 203.0.113.2 uid 0\n")


@pytest.mark.parametrize(("alone", "locked"), [([], True), (["mgmt0"], False)])
def test_who_comes_by_another_way_from_outside_is_not_locked_out_unseen(told, alone, locked):
    news = {**FIREWALL, "managementNetworks": ["10.0.0.0/8"], "leaveAlone": alone}
    made = NatFirewall(connect=lambda _: Called())
    OnHost(made, lambda _: Called()).foresee(made.check(news, {}), None)
    warned = [text for severity, text in told if severity is Severity.WARNING]
    assert bool(warned) is locked
    if locked:
        assert "SSH comes from 192.0.2.99" in warned[0]
        assert "add its network, or mgmt0 to firewall.leaveAlone" in warned[0]
        assert any("mgmt0 has a route to the outside beside the uplink wan0" in text for _, text in told)
