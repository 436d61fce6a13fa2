"""A peer that cannot be reached for a while, in every way that the network tells of it: the node goes on.

[a] 192.0.2.1 2001:db8::1 ---- 192.0.2.2 2001:db8::2 [b]
 10.9.0.1 fd09::1                   10.9.0.2 fd09::2
"""

from __future__ import annotations

import pytest

from tests.lab.interop import Namespace, wait_for
from tests.lab.scenarios.world import Device, no_ping, ping

pytestmark = pytest.mark.lab

ENDPOINTS = ("192.0.2.2:51820", "[2001:db8::2]:51820")


def reject(space: Namespace, reason: str) -> None:
    """Answer the tunnel's datagrams by an ICMP error, from now on."""
    rules = (
        f"table inet t {{ chain c {{ type filter hook input priority 0; udp dport 51820 reject with {reason}; }}; }}"
    )
    space.run("nft", "-f", "-", text=rules)


def told_unreachable(space: Namespace) -> int:
    """ICMP errors of both families that this namespace has got."""
    counters = space.run("nstat", "-asz", "IcmpInDestUnreachs", "Icmp6InDestUnreachs").splitlines()
    return sum(int(line.split()[1]) for line in counters if line.startswith("Icmp"))


def goes_on(one: Device, two: Device) -> None:
    """Both ways, with the same processes as before."""
    wait_for(lambda: ping(one.space, "10.9.0.2"), "no traffic once the peer can be reached", 30)
    assert ping(two.space, "fd09::1")
    assert (one.process.poll(), two.process.poll()) == (None, None)


@pytest.mark.sampled(1)
@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_a_port_that_is_closed_for_a_while(pair: tuple[Device, Device], endpoint: str) -> None:
    """[b]'s node has its link down, so [b] answers "port unreachable": during a session, and during a handshake."""
    one, two = pair
    one.set("peer", two.public_key, "endpoint", endpoint)
    assert ping(one.space, "10.9.0.2")
    two.ip("link", "set", two.name, "down")
    assert two.space.run("ss", "-Huln").strip() == ""
    sent, told = one.transfer(two)[1], told_unreachable(one.space)
    assert no_ping(one.space, "10.9.0.2")
    assert no_ping(one.space, "10.9.0.2")
    assert told_unreachable(one.space) > told
    assert one.transfer(two)[1] > sent, "it gave up sending"
    # Another link down and up, and it begins anew, towards a closed port again.
    one.ip("link", "set", one.name, "down")
    one.ip("link", "set", one.name, "up")
    told = told_unreachable(one.space)
    assert no_ping(one.space, "10.9.0.2")
    assert told_unreachable(one.space) > told
    two.ip("link", "set", two.name, "up")
    for each, inner in ((one, "fd09::1/64"), (two, "fd09::2/64")):  # which a link that goes down loses
        each.ip("address", "replace", inner, "dev", each.name, "nodad")
    goes_on(one, two)
    assert one.endpoint(two) == endpoint


@pytest.mark.sampled(4)
@pytest.mark.parametrize(
    ("endpoint", "reason"),
    [(ENDPOINTS[0], f"icmp type {kind}") for kind in ("net-unreachable", "host-unreachable", "admin-prohibited")]
    + [(ENDPOINTS[1], f"icmpv6 type {kind}") for kind in ("no-route", "addr-unreachable", "admin-prohibited")],
)
def test_a_host_that_is_unreachable_for_a_while(pair: tuple[Device, Device], endpoint: str, reason: str) -> None:
    one, two = pair
    one.set("peer", two.public_key, "endpoint", endpoint)
    assert ping(one.space, "10.9.0.2")
    told = told_unreachable(one.space)
    reject(two.space, reason)
    assert no_ping(one.space, "10.9.0.2")
    assert told_unreachable(one.space) > told
    two.space.run("nft", "flush", "ruleset")
    goes_on(one, two)


@pytest.mark.sampled(4)
@pytest.mark.parametrize(
    "refusal",
    [
        ("route", "add", "unreachable", "192.0.2.2/32"),  # EHOSTUNREACH to who sends
        ("route", "add", "prohibit", "192.0.2.2/32"),  # EACCES
        ("route", "add", "blackhole", "192.0.2.2/32"),  # EINVAL
        ("route", "del", "192.0.2.0/24", "dev", "eth1"),  # ENETUNREACH
        ("link", "set", "eth1", "down"),  # the same, and the addresses' routes are gone
    ],
    ids=lambda words: words[-2] if words[1] == "add" else f"{words[0]}-{words[1]}",
)
def test_a_route_that_refuses_for_a_while(pair: tuple[Device, Device], refusal: tuple[str, ...]) -> None:
    one, two = pair
    assert ping(one.space, "10.9.0.2")
    one.ip(*refusal)
    assert no_ping(one.space, "10.9.0.2")
    if refusal[1] == "add":
        one.ip("route", "del", *refusal[2:])
    else:
        one.ip("link", "set", "eth1", "up")
        one.ip("route", "replace", "192.0.2.0/24", "dev", "eth1", "src", "192.0.2.1")
    goes_on(one, two)
