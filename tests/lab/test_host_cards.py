"""network.sh makes a gateway's cards, taps or veths into a namespace, one kind in place of the other, and never takes a
link that is somebody else's."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from dataclasses import replace

import pytest

from pulumi_wgnode.hosts.networks.network import READ_LINKS, Network, described, observed
from tests.lab.held_host import Held, held_host
from tests.lab.interop import wait_for
from wgnode.image.paths import TRANSIT_MAC, Paths

pytestmark = [pytest.mark.lab, pytest.mark.in_turn("hosts")]

MAC = "52:54:00:01:02:03"
HOME = "ip addr add 10.2.0.1/24 dev lan0; sysctl -q -w net.ipv4.conf.all.rp_filter=1"


@pytest.fixture
def network() -> Network:
    """Of an instance of its own: names of namespaces are the machine's."""
    paths = Paths(secrets.token_hex(4))
    return Network("wan0", "lan0", ("172.31.255.253/30",), {}, paths, paths.bridge, lan_mac=MAC)


@pytest.fixture
def host(network: Network) -> Iterator[Held]:
    with held_host(network, HOME) as made:
        yield made


def links(host: Held, network: Network) -> dict[str, str]:
    return observed(host.shell(" ".join(READ_LINKS)), "", network)["links"]


def inside(host: Held, network: Network, command: str) -> str:
    return host.shell(f"ip netns exec {network.paths.run_name} {command}")


def test_the_cards_of_a_process_are_in_a_namespace_of_its_own(host: Held, network: Network) -> None:
    assert host.script(network).returncode == 0
    assert links(host, network) == described(network, network.bridge)["links"]
    assert TRANSIT_MAC in inside(host, network, "ip link show wan")
    assert MAC in inside(host, network, "ip link show lan")
    assert inside(host, network, "sysctl -n net.ipv4.conf.wan.rp_filter net.ipv4.conf.all.rp_filter").split() == [
        "0",
        "0",
    ]
    inside(host, network, "sh -c 'ip addr add 172.31.255.254/30 dev wan; ip link set wan up; ip link set lan up'")
    assert "0% packet loss" in inside(host, network, "ping -c 1 -W 5 172.31.255.253")
    before = host.snapshot()
    assert host.script(network).returncode == 0
    assert host.snapshot() == before, "which may be said again at any time"
    assert "172.31.255.254/30" in inside(host, network, "ip addr show wan")


def test_one_kind_of_cards_takes_the_place_of_the_other(host: Held, network: Network) -> None:
    taps = replace(network, lan_mac="")
    for wanted in (taps, network, taps):
        done = host.script(wanted)
        assert done.returncode == 0, done.stderr
        found = links(host, wanted)
        kind = "veth, up" if wanted.lan_mac else "tap of root, up"
        assert [found[name].startswith(kind) for name in (network.paths.transit_tap, network.paths.lan_tap)] == [
            True
        ] * 2
    assert network.paths.run_name not in host.shell("ip netns list")


def test_cards_whose_namespace_was_taken_away_are_made_anew(host: Held, network: Network) -> None:
    host.script(network)
    host.shell(f"ip netns del {network.paths.run_name}")
    wait_for(lambda: network.paths.transit_tap not in links(host, network), "they go with it")
    assert host.script(network).returncode == 0
    assert links(host, network) == described(network, network.bridge)["links"]


def test_down_leaves_nothing(host: Held, network: Network) -> None:
    before = host.snapshot()
    host.script(network)
    host.script(network, "down")
    assert host.snapshot() == before
    assert network.paths.run_name not in host.shell("ip netns list")


@pytest.mark.parametrize("kind", ["bridge", "veth"])
def test_a_link_of_that_name_that_is_none_of_ours_is_refused_by_name(host: Held, network: Network, kind: str) -> None:
    name = network.paths.transit_tap
    host.shell(f"ip link add {name} type {kind}")
    for wanted in (network, replace(network, lan_mac="")):
        done = host.script(wanted)
        assert done.returncode == 1
        assert f"there is a {name} already that is none of ours" in done.stderr
        assert f"there is a {name} already" in host.script(wanted, "check").stdout, "which a preview asks"
    host.shell(f"ip link del {name}")
