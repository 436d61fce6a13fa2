"""A node behind a NAT whose memory is short.

[a] 192.168.1.2 ---- 192.168.1.1 [nat] 198.51.100.1 ---- 198.51.100.2 [b]
 10.9.0.1                 masquerade                          10.9.0.2
"""

from __future__ import annotations

import pytest

from tests.lab.interop import Namespace, wait_for
from tests.lab.scenarios.world import Device, World, no_ping, ping

pytestmark = pytest.mark.lab

FORGETS_AFTER = 3
"""Seconds that the NAT remembers a UDP flow."""
MASQUERADE = """
table ip t {
    chain p { type nat hook postrouting priority 100; oifname "eth2" masquerade; }
    chain f { type filter hook forward priority 0; iifname "eth2" ct state new drop; }
}
"""


@pytest.fixture
def behind_nat(world: World) -> tuple[Namespace, Device, Device]:
    a, nat, b = world.space("a"), world.space("nat", forwarding=True), world.space("b")
    world.cable(a, nat, ["192.168.1.2/24"], ["192.168.1.1/24"])
    world.cable(nat, b, ["198.51.100.1/24"], ["198.51.100.2/24"])
    a.run("ip", "route", "add", "default", "via", "192.168.1.1")
    nat.run("nft", "-f", "-", text=MASQUERADE)
    for kind in ("udp_timeout", "udp_timeout_stream"):
        nat.run("sysctl", "-qw", f"net.netfilter.nf_conntrack_{kind}={FORGETS_AFTER}")
    one, two = world.all_devices([(a, ["10.9.0.1/24"]), (b, ["10.9.0.2/24"])])
    two.peer(one, "10.9.0.1/32")
    one.peer(two, "10.9.0.2/32", "198.51.100.2:51820")
    return nat, one, two


def flows(nat: Namespace) -> int:
    return len(nat.run("conntrack", "-L", "-p", "udp", check=False).splitlines())


def test_without_keepalives_the_nat_forgets_until_the_inside_speaks(
    behind_nat: tuple[Namespace, Device, Device],
) -> None:
    nat, one, two = behind_nat
    assert ping(one.space, "10.9.0.2")
    assert two.endpoint(one).startswith("198.51.100.1:")
    wait_for(lambda: flows(nat) == 0, "the NAT does not forget", 30)
    assert no_ping(two.space, "10.9.0.1")
    assert ping(one.space, "10.9.0.2")
    assert ping(two.space, "10.9.0.1")


def test_persistent_keepalives_keep_the_way_in_open(behind_nat: tuple[Namespace, Device, Device]) -> None:
    """They begin without any traffic, and go on beyond what the NAT remembers; also when its memory was wiped."""
    nat, one, two = behind_nat
    one.set("peer", two.public_key, "persistent-keepalive", "1")
    wait_for(lambda: two.handshake(one), "no handshake without traffic")
    alone = two.transfer(one)[0]
    wait_for(lambda: two.transfer(one)[0] >= alone + 32 * 2 * FORGETS_AFTER, "keepalives do not go on", 30)
    assert ping(two.space, "10.9.0.1")
    nat.run("conntrack", "-F", check=False)
    alone = two.transfer(one)[0]
    wait_for(lambda: two.transfer(one)[0] >= alone + 64, "no keepalives through a NAT that was wiped", 30)
    assert ping(two.space, "10.9.0.1")
