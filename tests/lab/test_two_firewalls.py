"""Tables of two gateways on one host: nothing that one of them lets in is closed by the other; in two bare namespaces.

outside 192.0.2.1, 192.0.2.2 ── wan0 ── 192.0.2.9 host
"""

from __future__ import annotations

import json
import os
import secrets
import socket
import subprocess
from collections.abc import Callable, Iterator
from ipaddress import ip_network

import pytest

from lab import netns
from wgnode.firewall import nft
from wgnode.firewall.rules import Allow, Chain, Firewall, ruleset
from wgnode.image.paths import Paths
from wgnode.topology.transit import Transit

pytestmark = pytest.mark.lab
HOST, FIRST_OPERATOR, SECOND_OPERATOR = "192.0.2.9", "192.0.2.1", "192.0.2.2"
BOTH, FIRST_S, SECOND_S, NOBODY_S, SSH = 7000, 7001, 7002, 7003, 22
EARLY = """table ip early {
    chain in {
        type filter hook prerouting priority -300; policy accept;
        meta mark set 0xffffffff
    }
}
"""
LATER = """table ip later {
    chain in {
        type filter hook input priority 30; policy accept;
        iifname "wan0" meta mark 0 tcp dport 7000 counter comment "unmarked"
        iifname "wan0" meta mark != 0 counter comment "marked"
    }
}
"""


def table(instance: str, transit: str, operator: str, *ports: int) -> tuple[Paths, tuple[Chain, ...]]:
    link, paths = Transit.of(transit, None), Paths(instance)
    rules = Firewall(
        "wan0",
        link.networks,
        tuple(address.split("/")[0] for address in link.guest),
        51820,
        (ip_network(operator),),
        SSH,
        tuple(Allow("tcp", port) for port in ports),
        paths.transit_tap,
    )
    return paths, ruleset(rules)


FIRST = table("", "172.31.255.252/30", FIRST_OPERATOR, BOTH, FIRST_S)
SECOND = table("0b1c2d3e", "172.31.255.248/30", SECOND_OPERATOR, BOTH, SECOND_S)


@pytest.fixture(scope="module")
def host() -> Iterator[tuple[str, str]]:
    """(the host's namespace, the outside's), with everything listening on the host."""
    names = [f"wgt{os.getpid()}-{secrets.token_hex(2)}" for _ in range(2)]
    listeners: list[socket.socket] = []
    try:
        for name in names:
            netns.create(name)
        inside, outside = names
        _ip(inside, "link add wan0 type veth peer name out0 netns " + outside)
        for name, link, addresses in ((inside, "wan0", [HOST]), (outside, "out0", [FIRST_OPERATOR, SECOND_OPERATOR])):
            for address in addresses:
                _ip(name, f"addr add {address}/24 dev {link}")
            _ip(name, f"link set {link} up")
        listeners += netns.inside(inside, lambda: [_listen(port) for port in (BOTH, FIRST_S, SECOND_S, NOBODY_S, SSH)])
        yield inside, outside
    finally:
        for listener in listeners:
            listener.close()
        for name in names:
            netns.delete(name)


@pytest.fixture(params=[(FIRST, SECOND), (SECOND, FIRST)], ids=["first-second", "second-first"])
def both(host: tuple[str, str], request: pytest.FixtureRequest) -> Iterator[tuple[str, Callable[[str, int], bool]]]:
    """With both tables in one order or the other; and whether a port can be reached from an address outside."""
    inside, outside = host
    for paths, chains in request.param:
        _nft(inside, nft.script(chains, paths.table))
    try:
        yield inside, lambda source, port: netns.inside(outside, lambda: _opens(source, port))
    finally:
        _nft(inside, "flush ruleset")


def _ip(name: str, words: str) -> None:
    subprocess.run(["ip", "-n", name, *words.split()], check=True)


def _nft(name: str, script: str) -> None:
    subprocess.run(["ip", "netns", "exec", name, "nft", "-f", "-"], input=script, text=True, check=True)


def _listed(name: str) -> str:
    argv = ["ip", "netns", "exec", name, "nft", "-j", "list", "ruleset"]
    return subprocess.run(argv, capture_output=True, text=True, check=True).stdout


def _listen(port: int) -> socket.socket:
    return socket.create_server((HOST, port))


def _opens(source: str, port: int) -> bool:
    try:
        socket.create_connection((HOST, port), timeout=0.4, source_address=(source, 0)).close()
    except OSError:
        return False
    return True


def test_a_port_that_one_of_the_two_lets_in_is_open_and_no_other(
    both: tuple[str, Callable[[str, int], bool]],
) -> None:
    _, opens = both
    reached = {port: opens(FIRST_OPERATOR, port) for port in (BOTH, FIRST_S, SECOND_S, NOBODY_S)}
    assert reached == {BOTH: True, FIRST_S: True, SECOND_S: True, NOBODY_S: False}


def test_the_second_deployment_does_not_lock_out_who_manages_the_first(
    both: tuple[str, Callable[[str, int], bool]],
) -> None:
    _, opens = both
    assert opens(FIRST_OPERATOR, SSH)
    assert opens(SECOND_OPERATOR, SSH)


def test_one_alone_lets_in_its_own_and_what_goes_leaves_the_other_s(
    both: tuple[str, Callable[[str, int], bool]],
) -> None:
    inside, opens = both
    _nft(inside, "delete table inet wgnode")
    assert opens(SECOND_OPERATOR, SSH)
    assert opens(SECOND_OPERATOR, SECOND_S)
    assert not opens(SECOND_OPERATOR, FIRST_S)
    assert not opens(FIRST_OPERATOR, SSH)


def test_a_mark_of_somebody_else_opens_nothing_and_nobody_sees_ours(
    both: tuple[str, Callable[[str, int], bool]],
) -> None:
    """Our bit is cleared before it means anything, and again for whoever comes after."""
    inside, opens = both
    _nft(inside, EARLY)
    assert not opens(FIRST_OPERATOR, NOBODY_S)
    _nft(inside, "delete table ip early")
    _nft(inside, LATER)
    assert opens(FIRST_OPERATOR, BOTH)
    rules = [one["rule"] for one in json.loads(_listed(inside))["nftables"] if "rule" in one]
    packets = {
        rule["comment"]: expression["counter"]["packets"]
        for rule in rules
        for expression in rule["expr"]
        if "counter" in expression
    }
    assert packets["unmarked"] > 0
    assert packets["marked"] == 0


def test_what_nft_lists_of_each_is_no_difference(both: tuple[str, Callable[[str, int], bool]]) -> None:
    inside, _ = both
    listed = _listed(inside)
    for paths, chains in (FIRST, SECOND):
        assert nft.observed(listed, paths.table) == nft.described(chains)
