"""Changes that would lock us out of a real host, or were cut short, are taken back by the host itself."""

from __future__ import annotations

import pytest

from pulumi_wgnode.call.kind import Partial
from pulumi_wgnode.hosts import undo
from pulumi_wgnode.hosts.networks import network
from pulumi_wgnode.hosts.ssh import pool
from pulumi_wgnode.resources.inputs import connection

from .sites import Site, berlin

pytestmark = [pytest.mark.lab, pytest.mark.in_turn("hosts")]

__all__ = ["berlin"]


# A host that forwards has anycast routes too.
NETWORKS = """ip -br addr; ip rule; ip route show table all; ip -6 route show table all; ip neigh show proxy
systemctl list-unit-files 'wgnode*'"""


@pytest.fixture
def sooner(monkeypatch: pytest.MonkeyPatch) -> None:
    """The undo comes after 12 s; no test needs to wait for all 30."""
    monkeypatch.setattr(undo, "SECONDS", 12)


@pytest.mark.usefixtures("sooner")
def test_a_firewall_that_would_lock_us_out_reverts_by_itself(berlin: Site) -> None:
    inputs = berlin.firewall_inputs()
    state = berlin.create(berlin.firewall, inputs)
    before = berlin.snapshot()
    with pytest.raises(undo.Reverted, match="would lock us out"):
        berlin.run(
            lambda: berlin.firewall.update(
                "id", state, berlin.firewall_inputs(managementNetworks=["10.9.9.0/24"]), False
            )
        )
    assert berlin.snapshot() == before
    assert berlin.drift(berlin.firewall, state, inputs)[1] == []


@pytest.mark.usefixtures("sooner")
def test_networks_that_would_lock_us_out_revert_by_themselves(berlin: Site) -> None:
    before = berlin.shell(NETWORKS)
    # The way back to the runner would lead into the LAN.
    routes = [{"to": "192.0.2.0/24", "via": berlin.lan["gateway"][0]}]
    with pytest.raises(Partial, match="would lock us out"):
        berlin.create(berlin.host, berlin.host_inputs(routes=routes))
    after = berlin.shell(NETWORKS)
    assert after == before
    assert "wgnode-network" not in after


@pytest.mark.usefixtures("sooner")
def test_networks_that_lock_us_out_only_after_the_new_connection_revert_too(
    berlin: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The answer that they are up is held up by them, and comes through when the undo has run."""
    before = berlin.shell(NETWORKS)
    render = network.script
    monkeypatch.setattr(network, "script", lambda wanted: render(wanted).replace("up() {", "up() {\n    sleep 2"))
    routes = [{"to": "192.0.2.0/24", "via": berlin.lan["gateway"][0]}]
    with pytest.raises(Partial, match="would lock us out"):
        berlin.create(berlin.host, berlin.host_inputs(routes=routes))
    assert berlin.shell(NETWORKS) == before


def test_a_change_that_was_interrupted_is_taken_back_before_the_next_one(berlin: Site) -> None:
    inputs = berlin.firewall_inputs()
    state = berlin.create(berlin.firewall, inputs)
    to = connection(inputs)

    def interrupted() -> None:
        host = pool.connect(to)
        undo.arm(host, "firewall", "touch /run/taken-back")
        host.run(["nft", "flush", "table", "inet", "wgnode"])

    berlin.run(interrupted)
    state = berlin.run(lambda: berlin.firewall.update("id", state, inputs, False))
    assert berlin.drift(berlin.firewall, state, inputs)[1] == []
    assert berlin.shell("rm /run/taken-back && systemctl list-timers --all --no-legend 'wgnode*'") == ""
