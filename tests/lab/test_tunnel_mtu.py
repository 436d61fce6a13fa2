"""The tunnel's MTU and those of the routes into it, set by the gateway's own code in a bare network namespace."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from dataclasses import replace

import pytest

from tests.lab.interop import Namespace
from wgnode.nodeconfig import LinkConfig, NodeConfig, PeerConfig
from wgnode.platform.linux.network import Network
from wgnode.work import at_once

pytestmark = pytest.mark.lab

LINK = LinkConfig("02:00:00:00:00:01", ("192.0.2.1/24",))
CABIN = PeerConfig("cabin", (bytes(32),), ("10.2.0.0/24", "fd02::/64"))
BERLIN = NodeConfig("dev", "berlin", (bytes(32),), 1, ("10.99.0.1/24", "fd99::1/64"), LINK, LINK, (CABIN,))


@pytest.fixture
def space() -> Iterator[Namespace]:
    made = Namespace(f"wgm-{secrets.token_hex(3)}")
    made.run("ip", "tuntap", "add", BERLIN.interface, "mode", "tun")
    yield made
    made.close()


def mtus(space: Namespace) -> list[int | None]:
    """Of the interface, and of the routes to cabin of either family."""
    (link,) = json.loads(space.run("ip", "-j", "link", "show", BERLIN.interface))
    routes = [json.loads(space.run("ip", "-j", family, "route", "show", net))
              for family, net in zip(("-4", "-6"), CABIN.allowed_ips, strict=True)]  # fmt: skip
    return [link["mtu"], *(route["metrics"][0]["mtu"] if "metrics" in route else None for (route,) in routes)]


def test_the_mtu_of_a_site_is_that_of_the_routes_to_it_and_changes_live(space: Namespace) -> None:
    def with_mtu(own: int, peer: int | None) -> NodeConfig:
        return replace(BERLIN, mtu=own, peers=(replace(CABIN, mtu=peer),))

    now = with_mtu(1420, 1300)
    space.run("ip", "link", "set", BERLIN.interface, "mtu", "1420")
    space.call(lambda: Network().configure_tunnel(now, now.interface))
    assert mtus(space) == [1420, 1300, 1300]
    for own, peer in ((1420, 1290), (1400, None), (1300, None), (1420, 1280)):
        new = with_mtu(own, peer)
        space.call(lambda now=now, new=new: at_once(Network().change_tunnel(now, new, new.interface)))
        assert mtus(space) == [own, peer, peer]
        now = new
