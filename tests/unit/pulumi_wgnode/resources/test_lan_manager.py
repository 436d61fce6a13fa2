"""Who configures the LAN interface is found out, and that it is kept from taking it back is wanted as all else is."""

from __future__ import annotations

import pytest

from pulumi_wgnode.hosts.host import HostError
from pulumi_wgnode.hosts.networks import lan_manager
from pulumi_wgnode.hosts.networks.lan_manager import LanManager
from pulumi_wgnode.hosts.networks.network import Network
from pulumi_wgnode.resources.hypervisor_host import HypervisorHost
from tests.unit.pulumi_wgnode.fake_host import said
from tests.unit.pulumi_wgnode.resources.hypervisor_case import NEWS, FakeHypervisor
from wgnode.image.paths import PLAIN

SITE = Network("wan0", "lan0", (), {})


class ManagedHost(FakeHypervisor):
    """`report` is what network.sh says there; bringing up the networks keeps the LAN."""

    report = "networkd\n"

    def _sh(self, argv, input):
        if argv[1:] == ["-s", "report"]:
            assert b'"$1"\n' in input
            return said(self.report)
        return super()._sh(argv, input)

    def bring_up(self):
        super().bring_up()
        self.report = self.report.replace("networkd\n", "networkd kept\n")


@pytest.fixture
def host():
    return ManagedHost()


@pytest.fixture
def kind(host):
    return HypervisorHost(connect=lambda _: host, reconnect=lambda _: host.new_connection())


@pytest.mark.parametrize(
    ("report", "seen"),
    [
        ("", LanManager()),
        ("\n", LanManager()),
        ("ifupdown\n", LanManager("ifupdown")),
        ("networkd kept\n", LanManager("systemd-networkd", True)),
        ("\nthe route 10.5.0.0/16\n", LanManager(obstacles=("the route 10.5.0.0/16",))),
    ],
)
def test_what_the_script_reports(host, report, seen):
    host.report = report
    assert lan_manager.look(host, SITE) == seen


def test_a_lan_that_its_manager_would_take_back_is_drift_and_mended(kind, host):
    inputs = kind.check(NEWS, {})
    id, state = kind.create("it", inputs, False)
    assert state["links"]["lan0 under systemd-networkd"] == "left alone"
    host.report = "networkd\n"  # as after somebody has emptied /run/systemd/network
    state, inputs = kind.read(id, state, inputs)
    changes = kind.diff(state, inputs, kind.check(NEWS, inputs)).changes
    assert [change.path for change in changes] == ['links["lan0 under systemd-networkd"]']
    host.events.clear()
    state = kind.update(id, state, kind.check(NEWS, inputs), False)
    assert "run wgnode-network-change" in host.events
    state, inputs = kind.read(id, state, inputs)
    assert kind.diff(state, inputs, kind.check(NEWS, inputs)).changes == ()


def test_a_host_whose_manager_is_none_that_we_know_has_no_such_link(kind, host):
    host.report = "\n"
    _, state = kind.create("it", kind.check(NEWS, {}), False)
    assert not any("under" in name for name in state["links"])


def test_what_cannot_move_to_the_bridge_is_refused_before_anything_is_touched(kind, host):
    host.report = "ifupdown\nlan0 has what cannot move to our bridge: the route 10.5.0.0/16\n"
    with pytest.raises(HostError, match=r"the route 10\.5\.0\.0/16\. .* give that bridge as lan\.interface"):
        kind.create("it", kind.check(NEWS, {}), False)
    assert host.events == []
    checks = list(kind.foresee(host, kind.check(NEWS, {}), None))
    with pytest.raises(HostError, match=r"the route 10\.5"):
        checks[0]()


@pytest.mark.parametrize(("before", "forgets"), [("#!/bin/sh\nolder\n", True), (None, False)])
def test_an_undo_to_an_older_script_takes_away_what_that_does_not_know_of(kind, host, before, forgets):
    inputs = kind.check(NEWS, {})
    if before is None:  # as this version writes it
        kind.create("it", inputs, False)
        host.report = "networkd\n"
    else:
        host.files[PLAIN.network_script] = (before.encode(), 0o755, "root")
    kind.create("it", inputs, False)
    undoing = host.kept["/run/wgnode-undo/network.sh"].decode()
    assert ("sh /run/wgnode-undo/network-new.sh forget\n" in undoing) == forgets
    assert "sh /etc/wgnode/network.sh up" in undoing
