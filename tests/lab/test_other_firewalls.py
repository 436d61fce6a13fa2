"""Real rules of other firewalls: what they drop is named, what is told lets every packet pass, and no less does."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.lab.other_firewalls import HostBesideFirewall, host_beside_firewall

pytestmark = [pytest.mark.lab, pytest.mark.in_turn("hosts")]

CASES = Path(__file__).parents[1] / "unit" / "firewall" / "others"
EVERYTHING = {"lan": True, "wireguard": True}
INVALID = """table inet filter {
    chain forward { type filter hook forward priority 0; policy accept; ct state invalid drop; }
}"""
POLICY = """table inet filter {
    chain forward { type filter hook forward priority 0; policy drop; ct state established,related accept; }
}"""


def docker(version: int) -> Callable[[HostBesideFirewall], None]:
    def load(host: HostBesideFirewall) -> None:
        for version_of_ip, program in (("v4", "iptables"), ("v6", "ip6tables")):
            saved = (CASES / f"docker{version}.{version_of_ip}.save").read_text()
            host.shell(f"{program}-restore", text=saved)

    return load


def ufw(host: HostBesideFirewall) -> None:
    host.shell("ufw allow 22/tcp; ufw --force enable")


def ufw_and_docker(host: HostBesideFirewall) -> None:
    ufw(host)
    for program, chain in (("iptables", "v4"), ("ip6tables", "v6")):
        host.shell(f"{program}-restore --noflush", text=(CASES / f"docker28.{chain}.save").read_text())


def nftables(text: str) -> Callable[[HostBesideFirewall], None]:
    return lambda host: host.shell("nft -f -", text=text) and None


@pytest.mark.parametrize(
    ("load", "variant", "bridged", "language"),
    [
        (docker(20), "nft", True, "iptables -I DOCKER-USER"),
        (docker(28), "legacy", True, "iptables-legacy -I DOCKER-USER"),
        (ufw_and_docker, "nft", True, "ufw route allow"),
        (nftables(POLICY), "nft", False, "nft insert rule inet filter forward"),
    ],
    ids=["docker20", "docker28-legacy", "ufw-docker28", "nftables"],
)
def test_what_drops_the_lan_is_named_and_its_advice_lets_both_families_pass(
    tmp_path: Path,
    load: Callable[[HostBesideFirewall], None],
    variant: str,
    bridged: bool,
    language: str,
) -> None:
    with host_beside_firewall(tmp_path, bridged, variant) as host:
        assert host.judged() == []
        assert host.lan_and_wireguard() == EVERYTHING
        load(host)
        found = host.dropped()
        assert host.lan_and_wireguard() == {"lan": False, "wireguard": False}
        assert language in found[0].way_out
        for one in found:
            host.shell(one.way_out)
        assert [str(one) for one in host.judged() if not one.passes_us] == []
        assert set(host.passes().values()) == {True}
        if language.startswith("iptables"):
            load(host)
            assert [str(one) for one in host.dropped()] == [str(one) for one in found], "gone again, as after a reload"


def test_a_firewall_that_drops_what_is_invalid_kills_tcp_through_the_bridge_unless_the_host_sees_both_halves(
    tmp_path: Path,
) -> None:
    with host_beside_firewall(tmp_path) as host:
        nftables(INVALID)(host)
        (found,) = host.dropped()
        assert [path.name for path in found.dropped] == [
            path.name for path in found.dropped if "are routed" in path.name
        ]
        assert host.lan_and_wireguard() == {"lan": False, "wireguard": True}
        host.host.run("sysctl", "-qw", *(f"net.bridge.bridge-nf-call-ip{six}tables=1" for six in ("", "6")))
        assert host.dropped() == []
        assert host.lan_and_wireguard() == EVERYTHING
        host.host.run("sysctl", "-qw", *(f"net.bridge.bridge-nf-call-ip{six}tables=0" for six in ("", "6")))
        host.shell(found.way_out)
        assert host.dropped() == []
        assert set(host.passes().values()) == {True}


@pytest.mark.sampled(0)  # it takes its time to start
def test_firewalld_drops_what_is_in_no_zone_and_lets_it_pass_as_told(tmp_path: Path) -> None:
    with host_beside_firewall(tmp_path) as host:
        host.firewalld()
        found = host.dropped()
        assert {one.owner for one in found} == {"firewalld"}
        told = {path.name.removeprefix("WireGuard's datagrams ") for one in found for path in one.dropped}
        assert "from wgnode-wan to wan0" in told
        assert "from wan0 to wgnode-wan" not in told, "it lets in what is translated"
        assert host.lan_and_wireguard() == {"lan": False, "wireguard": True}
        host.firewalld("\n".join(one.way_out for one in found))
        host.firewalld()  # started anew, as at boot
        assert [str(one) for one in host.judged() if not one.passes_us] == []
        assert set(host.passes().values()) == {True}
