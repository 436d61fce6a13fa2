"""Huge configurations: what goes in comes out, and packets find their way."""

from __future__ import annotations

from ipaddress import ip_network

import pytest

from tests.lab.interop import run
from tests.lab.scenarios.world import Device, World, ping

pytestmark = pytest.mark.lab

KEY = "8Z9M3AfUEMF5vXFIcGy1xQ0RnA3JzeKRrZYnFPLhjiU="


def configure(device: Device, *peers: tuple[str, list[str]]) -> None:
    text = "".join(f"[Peer]\nPublicKey = {key}\nAllowedIPs = {', '.join(allowed)}\n" for key, allowed in peers)
    device.space.run("wg", "addconf", device.name, device.file(text))


def allowed_ips(device: Device) -> dict[str, set[str]]:
    return {peer: set(allowed.split()) for peer, allowed in device.show("allowed-ips").items()}


def test_65536_allowed_ips_on_one_peer(pair: tuple[Device, Device]) -> None:
    one, two = pair
    assert ping(one.space, "10.9.0.2")
    many = [f"10.200.{high}.{low}/32" for high in range(256) for low in range(256)]
    configure(one, (KEY, many))
    assert allowed_ips(one)[KEY] == set(many)
    assert ping(one.space, "10.9.0.2")
    configure(one, (two.public_key, ["10.9.0.2/32", *many[:1000]]))  # they move
    moved = allowed_ips(one)
    assert moved[KEY] == set(many[1000:])
    assert moved[two.public_key] == {"10.9.0.2/32", *many[:1000]}
    one.set("peer", KEY, "remove")
    assert KEY not in allowed_ips(one)


def test_40_peers_with_53_allowed_ips_each(world: World) -> None:
    device = world.device(world.space("a"), [])
    peers = []
    for number in range(40):
        networks = [ip_network(f"10.{number}.{part}.0/24") for part in range(30)]
        networks += [ip_network(f"fd{number:02x}:{part:x}::/32") for part in range(1, 24)]
        key = run("wg", "genkey").strip()  # any 32 bytes are a public key
        peers.append((key, [str(network) for network in networks]))
    configure(device, *peers)
    assert allowed_ips(device) == {key: set(allowed) for key, allowed in peers}
    assert device.wg("showconf", device.name).count("[Peer]") == 40
