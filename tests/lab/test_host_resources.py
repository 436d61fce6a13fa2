"""HypervisorHost and NatFirewall on real hosts: what they make, see, mend and leave behind."""

from __future__ import annotations

import shlex
from typing import Any

import pytest

from lab.api import Lab
from pulumi_wgnode.hosts.host import Host, HostError
from pulumi_wgnode.hosts.judging import features
from pulumi_wgnode.hosts.networks import probe
from pulumi_wgnode.hosts.ssh import pool
from pulumi_wgnode.resources.firewall_checks import require_ssh_port
from pulumi_wgnode.resources.firewall_state import look
from pulumi_wgnode.resources.inputs import connection

from .sites import Site, berlin, site, until

pytestmark = [pytest.mark.lab, pytest.mark.in_turn("hosts")]

__all__ = ["berlin", "site"]


def test_both_resources_come_up_clean_and_leave_the_host_as_it_was_found(site: Site, lab: Lab) -> None:
    before = site.snapshot()
    host_inputs, firewall_inputs = site.host_inputs(), site.firewall_inputs()
    host_state = site.create(site.host, host_inputs)
    firewall_state = site.create(site.firewall, firewall_inputs)
    assert site.drift(site.host, host_state, host_inputs)[1] == []
    assert site.drift(site.firewall, firewall_state, firewall_inputs)[1] == []
    assert host_state["facts"]["qemu"]
    assert host_state["facts"]["interfaces"] == ["lan0", "wan0"]
    assert host_state["facts"]["udpSegmentation"] is (site.name == "cabin"), "by the QEMU of its release"
    assert host_state["features"] == {"wan0": {"rx-udp-gro-forwarding": "on"}}
    assert "10.99.0.0/24 via" in site.shell("ip route")
    assert lab.ping(f"{site.name}.client", site.lan["host"][0].split("/")[0]), "the LAN reaches its router"
    clients = {"berlin": ["10.1.0.100", "fd00:10:1::100"], "cabin": ["10.2.0.100", "fd00:10:2::100"]}[site.name]
    found = site.run(
        lambda: probe.holders(pool.connect(connection(host_inputs)), clients, tap="wgnode-lan", lan="lan0")
    )
    assert sorted(found) == clients, "asked of the LAN, as before a gateway takes an address"
    assert site.snapshot() != before
    site.clean()
    assert site.snapshot() == before
    assert lab.ping(f"{site.name}.client", site.lan["host"][0].split("/")[0])


def test_creating_again_adopts_what_is_there_and_cuts_nothing(berlin: Site) -> None:
    inputs = berlin.firewall_inputs()
    first = berlin.create(berlin.firewall, inputs)
    handles = berlin.shell("nft -a list table inet wgnode")
    again = berlin.create(berlin.firewall, inputs)
    assert {name for name in first if first[name] != again[name]} == {"claim", "owner"}, "another resource has it now"
    assert berlin.shell("nft -a list table inet wgnode") == handles


def test_a_rule_and_a_link_removed_by_hand_are_named_and_mended(berlin: Site) -> None:
    host_inputs, firewall_inputs = berlin.host_inputs(), berlin.firewall_inputs()
    host_state = berlin.create(berlin.host, host_inputs)
    firewall_state = berlin.create(berlin.firewall, firewall_inputs)
    berlin.shell(
        "nft delete rule inet wgnode prerouting handle"
        " $(nft -a list chain inet wgnode prerouting | sed -n 's/.*dnat-v4.*handle //p');"
        " ip link del wgnode-lan; ip route del 10.99.0.0/24; sysctl -q -w net.ipv4.ip_forward=0;"
        f" python3 -I -c {shlex.quote(features.source())} off {features.FEATURE} wan0"
    )
    firewall_state, drifted = berlin.drift(berlin.firewall, firewall_state, firewall_inputs)
    assert drifted == ['rules["dnat-v4"]']
    host_state, drifted = berlin.drift(berlin.host, host_state, host_inputs)
    assert set(drifted) == {
        'links["wgnode-lan"]',
        'routes["10.99.0.0/24"]',
        'sysctls["net/ipv4/ip_forward"]',
        'features.wan0["rx-udp-gro-forwarding"]',
    }
    berlin.run(lambda: berlin.firewall.update("id", firewall_state, firewall_inputs, False))
    berlin.run(lambda: berlin.host.update("id", host_state, host_inputs, False))
    assert berlin.drift(berlin.firewall, firewall_state, firewall_inputs)[1] == []
    assert berlin.drift(berlin.host, host_state, host_inputs)[1] == []


def test_other_tables_are_left_alone(berlin: Site) -> None:
    berlin.shell("nft add table ip mine; nft add chain ip mine here; nft add rule ip mine here counter")
    mine = berlin.shell("nft -a list table ip mine")
    try:
        berlin.create(berlin.firewall, berlin.firewall_inputs())
        berlin.clean()
        assert berlin.shell("nft -a list table ip mine") == mine
    finally:
        berlin.shell("nft delete table ip mine")


def test_firewall_and_networks_survive_a_reboot_and_debians_own_service(berlin: Site, lab: Lab) -> None:
    host_inputs, firewall_inputs = berlin.host_inputs(), berlin.firewall_inputs()
    host_state = berlin.create(berlin.host, host_inputs)
    firewall_state = berlin.create(berlin.firewall, firewall_inputs)
    try:
        for verb in ("restart", "reload"):
            berlin.shell(f"systemctl {verb} nftables")  # flushes everything
            until(lambda: berlin.drift(berlin.firewall, firewall_state, firewall_inputs)[1] == [])
        berlin.shell("systemctl enable nftables")
        lab.reboot("berlin")
        until(lambda: berlin.drift(berlin.firewall, firewall_state, firewall_inputs)[1] == [])
        until(lambda: berlin.drift(berlin.host, host_state, host_inputs)[1] == [])
    finally:
        berlin.shell("systemctl disable --now nftables; nft delete table inet filter")


def test_a_missing_interface_and_a_foreign_firewall_change_nothing(berlin: Site) -> None:
    before = berlin.snapshot()
    with pytest.raises(HostError, match="no LAN interface eth9; there are"):
        berlin.create(berlin.host, berlin.host_inputs(lanInterface="eth9"))
    uplink = [{"to": "198.51.100.0/24", "via": berlin.lan["gateway"][0]}]
    with pytest.raises(
        HostError, match=rf"198.51.100.0/24 of the mesh is not the mesh's alone there: .*{berlin.address}"
    ):
        berlin.create(berlin.host, berlin.host_inputs(routes=uplink))
    assert berlin.snapshot() == before
    berlin.shell(
        "nft add table ip filter;"
        " nft 'add chain ip filter FORWARD { type filter hook forward priority 0; policy drop; }'"
    )
    try:
        with pytest.raises(HostError, match="ip filter FORWARD"):
            berlin.create(berlin.host, berlin.host_inputs())
        ways = ("iifname wgnode-wan", "oifname wgnode-wan", "iifname wgnode-br0 oifname wgnode-br0")
        accept = "; ".join(f"nft insert rule ip filter FORWARD {way} accept" for way in ways)
        berlin.shell(accept)
        berlin.create(berlin.host, berlin.host_inputs())
    finally:
        berlin.shell("nft delete table ip filter")
    berlin.clean()
    assert berlin.snapshot() == before


def test_a_host_tells_the_port_that_its_ssh_really_listens_on(site: Site) -> None:
    """As root, and through sudo, which takes the environment away."""

    def require(host: Host, inputs: dict[str, Any]) -> None:
        require_ssh_port(host, inputs, look(host)["ssh"])

    inputs = site.firewall_inputs()
    forwarded = {**inputs, "connection": {**inputs["connection"], "port": 2222}}
    with pytest.raises(HostError, match=r"listens on port 22 behind a forward of port 2222.*`sshPort: 22`"):
        site.run(lambda: require(pool.connect(connection(inputs)), forwarded))
    site.run(lambda: require(pool.connect(connection(inputs)), inputs))
