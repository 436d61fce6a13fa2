"""An address of the LAN that another machine has is nobody's gateway's: found by asking, refused before all else."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace

import pytest

from pulumi_wgnode.hosts import undo
from pulumi_wgnode.hosts.host import HostError
from pulumi_wgnode.hosts.networks import probe
from pulumi_wgnode.resources.gateway import Gateway
from pulumi_wgnode.resources.hypervisor_host import HypervisorHost
from tests.unit.pulumi_wgnode.fake_host import link, said
from tests.unit.pulumi_wgnode.resources import gateway_case, hypervisor_case
from tests.unit.pulumi_wgnode.resources.gateway_host import GatewayHost
from tests.unit.pulumi_wgnode.resources.hypervisor_case import FakeHypervisor
from wgnode.image import paths

ROUTER = "02:00:00:00:00:01"
BOTH = replace(gateway_case.CONFIG.lan, addresses=("10.1.0.2/24", "fd00:10:1::2/64"))


class Lan(GatewayHost):
    """`machines` by address answer to whoever asks; `asked` is what was asked."""

    def __init__(self):
        super().__init__()
        self.machines: dict[str, str] = {}
        self.asked: list[list[str]] = []

    def _sh(self, argv, input):
        if argv[2] != probe._ASK:
            return super()._sh(argv, input)
        assert b"neighbour_probe" in input
        self.asked.append(argv[4:])
        there = [(address, self.machines[address]) for address in argv[6:] if address in self.machines]
        return said("".join(f"{address} dev lan0 lladdr {mac}\n" for address, mac in there))


def config(lan):
    return replace(gateway_case.CONFIG, lan=lan).to_json().decode()


@pytest.mark.parametrize("taken", ["10.1.0.2", "fd00:10:1::2"])
def test_a_gateway_whose_address_is_the_routers_is_refused_and_nothing_is_made(taken):
    host = Lan()
    host.machines[taken] = ROUTER
    with pytest.raises(HostError, match=rf"{taken} is to be the gateway's .* in use there by {ROUTER}.*another in the"):
        gateway_case.created(Gateway(connect=lambda _: host), config=config(BOTH), lanInterface="lan0")
    assert host.events == []
    assert host.asked == [[paths.PLAIN.lan_tap, "lan0", "10.1.0.2", "fd00:10:1::2"]]


def test_its_own_guest_may_answer_as_on_a_host_that_is_taken_over():
    host = Lan()
    host.machines["10.1.0.2"] = gateway_case.CONFIG.lan.mac.upper()
    gateway_case.created(Gateway(connect=lambda _: host))


def test_addresses_that_its_running_guest_has_are_not_asked_for_again_others_are():
    host = Lan()
    kind = Gateway(connect=lambda _: host)
    inputs, id, state = gateway_case.created(kind)
    host.asked.clear()
    news = kind.check({**gateway_case.NEWS, **gateway_case.JOINED}, inputs)
    state = kind.update(id, state, news, False)
    assert host.asked == []
    host.machines["fd00:10:1::2"] = ROUTER
    host.events.clear()
    with pytest.raises(HostError, match=f"fd00:10:1::2 .* in use there by {ROUTER}"):
        kind.update(id, state, kind.check({**gateway_case.NEWS, "config": config(BOTH)}, inputs), False)
    assert host.events == [], "the running guest goes on"
    host.states[paths.PLAIN.gateway_unit][0] = "inactive"
    host.machines["10.1.0.2"] = ROUTER
    state, _ = kind.read(id, state, news)
    with pytest.raises(HostError, match=r"10\.1\.0\.2 is to be"):
        kind.update(id, state, news, False)


def test_where_the_lan_is_asked_is_no_change_of_a_gateway():
    host = Lan()
    kind = Gateway(connect=lambda _: host)
    inputs, _, state = gateway_case.created(kind)
    news = kind.check({**gateway_case.NEWS, "lanInterface": "lan0"}, inputs)
    assert kind.diff(state, inputs, news).changes == ()


@pytest.mark.parametrize(
    ("links", "says"),
    [
        ([link("lan0", "10.1.0.1/24", "192.168.100.1/24")], "lan0 has 192.168.100.1/24"),
        ([link("lan0", "10.1.0.1/16", "10.5.0.9/24")], "lan0 has 10.5.0.9/24"),
        ([link("lan0", "10.1.0.1/16", "10.99.9.9/32", "169.254.3.4/16", "fd00:5::1/64")], None),
        ([link("lan0"), link("wan0", "198.51.100.2/24")], None),
        ([link("lan0", master="br7"), link("br7", "10.5.0.1/24", kind="bridge")], "br7 has 10.5.0.1/24"),
    ],
)
@pytest.mark.parametrize("proxy_arp", [True, False])
def test_a_gateway_that_answers_for_others_does_not_for_another_network_of_the_wire(links, says, proxy_arp):
    host = Lan()
    host.links.update({one["ifname"]: one for one in links})
    lan = replace(gateway_case.CONFIG.lan, proxy_arp=proxy_arp)
    with pytest.raises(HostError, match=f"{says}, and by proxy-arp") if says and proxy_arp else nullcontext():
        gateway_case.created(Gateway(connect=lambda _: host), config=config(lan), lanInterface="lan0")


class AskedHost(Lan, FakeHypervisor):
    pass


GATEWAY = {"addresses": list(BOTH.addresses), "mac": BOTH.mac, "proxyArp": False}


def host_inputs(kind, olds, routes=(), **gateway):
    networks = {**hypervisor_case.NEWS["networks"], "routes": list(routes), "gateway": {**GATEWAY, **gateway}}
    return kind.check({**hypervisor_case.NEWS, "networks": networks}, olds)


@pytest.fixture
def asked(monkeypatch):
    """A host, and its resource."""
    monkeypatch.setattr(undo, "RETRY", 0)
    host = AskedHost()
    return host, HypervisorHost(connect=lambda _: host, reconnect=lambda _: host.new_connection())


@pytest.mark.parametrize("taken", ["10.1.0.2", "fd00:10:1::2"])
def test_anothers_address_is_refused_before_anything_of_the_site_is_touched(asked, taken):
    host, kind = asked
    host.machines[taken] = ROUTER
    with pytest.raises(HostError, match=rf"{taken} is to be the gateway's .* in use there by {ROUTER}"):
        kind.create("host", host_inputs(kind, {}), False)
    assert (host.events, host.files) == ([], {})
    host.machines[taken] = BOTH.mac.upper()
    kind.create("host", host_inputs(kind, {}), False)


def test_the_hosts_own_address_and_another_network_by_proxy_arp_are_refused_there_too(asked):
    host, kind = asked
    with pytest.raises(HostError, match=r"10\.1\.0\.1 is to be .* is the host's own, on lan0"):
        kind.create("host", host_inputs(kind, {}, addresses=["10.1.0.1/24"]), False)
    host.links["lan0"] = link("lan0", "10.1.0.1/24", "192.168.100.1/24")
    with pytest.raises(HostError, match=r"lan0 has 192\.168\.100\.1/24, and by proxy-arp"):
        kind.create("host", host_inputs(kind, {}, proxyArp=True), False)
    assert host.events == []


@pytest.mark.parametrize(("own", "its"), [("10.1.0.1/31", "10.1.0.0/31"), ("fd00:10:1::9/127", "fd00:10:1::8/127")])
def test_a_lan_of_two_addresses_has_one_for_each(asked, own, its):
    host, kind = asked
    host.links["lan0"] = link("lan0", own)
    with pytest.raises(HostError, match="is the host's own, on lan0"):
        kind.create("host", host_inputs(kind, {}, addresses=[own], proxyArp=True), False)
    kind.create("host", host_inputs(kind, {}, addresses=[its], proxyArp=True), False)
    assert host.asked[-1][2:] == [its.split("/")[0]]


def test_only_new_addresses_are_asked_for_and_are_no_change_of_the_host(asked):
    host, kind = asked
    inputs = host_inputs(kind, {})
    id, state = kind.create("host", inputs, False)
    host.asked.clear()
    host.machines["10.1.0.3"] = ROUTER
    state = kind.update(id, state, host_inputs(kind, inputs, routes=[{"to": "10.2.0.0/24", "via": "10.1.0.2"}]), False)
    assert host.asked == []
    host.events.clear()
    news = host_inputs(kind, inputs, addresses=["10.1.0.3/24"])
    assert [one.path for one in kind.diff(state, inputs, news).changes if "gateway" in one.path] == []
    with pytest.raises(HostError, match=rf"10\.1\.0\.3 is to be .* in use there by {ROUTER}"):
        kind.update(id, state, news, False)
    assert host.events == []


def test_a_host_that_is_told_nothing_of_its_gateway_asks_nobody(asked):
    host, kind = asked
    kind.create("host", kind.check(hypervisor_case.NEWS, {}), False)
    assert host.asked == []
