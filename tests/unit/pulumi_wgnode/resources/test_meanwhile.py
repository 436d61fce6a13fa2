"""A host that forwards only because of us is never open to others' packets: in which order things come and go."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from pulumi_wgnode.call.kind import Partial
from pulumi_wgnode.hosts import owners, undo
from pulumi_wgnode.hosts.host import HostError
from pulumi_wgnode.resources.hypervisor_host import HypervisorHost
from pulumi_wgnode.resources.nat_firewall import NatFirewall
from tests.unit.pulumi_wgnode.resources import hypervisor_case, test_nat_firewall
from tests.unit.pulumi_wgnode.resources.firewall_case import understands_scripts
from tests.unit.pulumi_wgnode.resources.hypervisor_case import RECORD, FakeHypervisor
from wgnode.firewall import nft

SWITCHED = "set net/ipv4/ip_forward=1"
NONE = 'iifname "wgnode-br0" oifname != "wgnode-br0" meta nfproto ipv4 drop'


class Deployed:
    """The two resources of a host, one after the other."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(undo, "RETRY", 0)
        self.machine = FakeHypervisor()
        understands_scripts(self.machine, monkeypatch)
        connect = {"connect": lambda _: self.machine, "reconnect": lambda _: self.machine.new_connection()}
        self.host, self.firewall = HypervisorHost(**connect), NatFirewall(**connect)

    def with_host(self):
        inputs = self.host.check(hypervisor_case.NEWS, {})
        return inputs, *self.host.create("host", inputs, False)

    def with_firewall(self, state):
        inputs = self.firewall.check({**test_nat_firewall.NEWS, "forwarding": state["forwarding"]}, {})
        return inputs, *self.firewall.create("firewall", inputs, False)

    def order(self, *events):
        return [event for event in self.machine.events if event in events]


@pytest.fixture
def deployed(monkeypatch):
    return Deployed(monkeypatch)


def test_a_host_is_closed_before_forwarding_is_switched_on_and_until_its_firewall_is_loaded(deployed):
    _, _, state = deployed.with_host()
    assert NONE in deployed.machine.closed
    deployed.with_firewall(state)
    assert deployed.machine.closed == "", "in the same transaction"
    events = ("close meanwhile", SWITCHED, "load table", "reopen")
    assert deployed.order(*events) == ["close meanwhile", SWITCHED, "load table"]


@pytest.mark.parametrize(
    ("on", "closed"), [((), ["4", "6"]), (("net/ipv4/ip_forward",), ["6"]), (("net/ipv6/conf/all/forwarding",), ["4"])]
)
def test_closed_is_what_was_not_forwarded(deployed, on, closed):
    deployed.machine.sysctls |= dict.fromkeys(on, "1")
    deployed.with_host()
    assert [version for version in "46" if f"forward-none-v{version}" in deployed.machine.closed] == closed


def test_a_router_is_left_as_it_is(deployed):
    deployed.machine.sysctls |= {"net/ipv4/ip_forward": "1", "net/ipv6/conf/all/forwarding": "2"}
    _, _, state = deployed.with_host()
    deployed.with_firewall(state)
    assert deployed.order("close meanwhile", "reopen") == []


def test_beside_a_firewall_that_is_there_nothing_stands_in_for_it(deployed):
    inputs, id, state = deployed.with_host()
    deployed.with_firewall(state)
    deployed.machine.sysctls["net/ipv4/ip_forward"] = "0"
    deployed.machine.events.clear()
    deployed.host.update(id, state, inputs, False)
    assert deployed.order("close meanwhile", SWITCHED) == [SWITCHED]


def test_one_that_is_left_beside_a_firewall_is_drift_and_goes(deployed):
    _, _, state = deployed.with_host()
    left = deployed.machine.closed
    inputs, id, state = deployed.with_firewall(state)
    deployed.machine.closed = left
    state, real = deployed.firewall.read(id, state, inputs)
    assert [one.path for one in deployed.firewall.diff(state, real, inputs).changes] == [
        'others["table wgnode_closed"]'
    ]
    deployed.firewall.update(id, state, inputs, False)
    assert deployed.machine.closed == ""


def test_a_firewall_that_is_taken_back_leaves_the_host_closed(deployed):
    _, _, state = deployed.with_host()
    closed = deployed.machine.closed
    deployed.with_firewall(state)
    undone = deployed.machine.kept[f"{undo.DIRECTORY}/firewall.sh"].decode()
    assert undone.index(closed.rstrip()) < undone.index("nft delete table inet wgnode\n")


def test_networks_that_are_taken_back_open_it_once_forwarding_is_off(deployed):
    deployed.with_host()
    undone = deployed.machine.kept[f"{undo.DIRECTORY}/network.sh"].decode()
    assert undone.index("net/ipv4/ip_forward=0") < undone.index("nft delete table inet wgnode_closed")


def test_a_creation_that_fails_before_its_networks_leaves_it_closed(deployed, monkeypatch):
    def full(path, *_, **__):
        raise HostError("no space left on device")

    write = deployed.machine.write_file
    monkeypatch.setattr(
        deployed.machine, "write_file", lambda path, *a, **k: (full if "sysctl" in path else write)(path, *a, **k)
    )
    with pytest.raises(Partial, match="no space left"):
        deployed.with_host()
    assert deployed.machine.sysctls["net/ipv4/ip_forward"] == "1"
    assert NONE in deployed.machine.closed


def test_the_last_firewall_leaves_the_host_closed_until_forwarding_is_as_it_was(deployed):
    _, id, state = deployed.with_host()
    _, _, of_firewall = deployed.with_firewall(state)
    deployed.machine.events.clear()
    deployed.firewall.delete(id, of_firewall)
    assert NONE in deployed.machine.closed
    deployed.host.delete(id, state)
    off = SWITCHED.replace("=1", "=0")
    order = ["close meanwhile", "delete table", off, "reopen"]
    assert deployed.order(*order) == order
    assert deployed.machine.closed == ""


def test_of_two_firewalls_the_first_to_go_closes_nothing(deployed):
    _, id, state = deployed.with_host()
    _, _, of_firewall = deployed.with_firewall(state)
    record = owners.parse(deployed.machine.read_file(RECORD).decode(), id)
    other = replace(record, owner=replace(record.owner, id="0b1c2d3e4f506172", name="office"), instance="0b1c2d3e")
    deployed.machine.write_file(owners.path_of(other.owner.id), other.to_json().encode())
    deployed.firewall.delete(id, of_firewall)
    assert deployed.machine.closed == ""


def test_a_firewall_that_is_in_no_state_goes_with_its_host_and_leaves_no_gap(deployed):
    _, id, state = deployed.with_host()
    deployed.with_firewall(state)
    record = json.loads(deployed.machine.read_file(RECORD))
    assert "firewall" in record["claims"]
    deployed.machine.events.clear()
    deployed.host.delete(id, state)
    order = ["close meanwhile", "delete table", SWITCHED.replace("=1", "=0"), "reopen"]
    assert deployed.order(*order) == order


def test_what_stands_in_renders_no_rule_that_the_firewall_has_not(deployed):
    """So that whoever lists the host's rules finds the same words."""
    _, _, state = deployed.with_host()
    closed = deployed.machine.closed
    deployed.with_firewall(state)
    rules = nft.described(deployed.machine.table).rules
    unmarked = {name: text.replace(" mark & 16777216 == 0", "") for name, text in rules.items()}
    names = [line.rpartition('comment "')[2].rstrip('"') for line in closed.splitlines() if "comment" in line]
    assert names
    for name in names:
        assert unmarked[name].removeprefix("forward-end: ") in closed
