"""Keys set, unset, changed and refused.

[a] 192.0.2.1 ---- 192.0.2.2 [b]
 10.9.0.1              10.9.0.2
"""

from __future__ import annotations

import base64

import pytest

from tests.lab.interop import run, wait_for
from tests.lab.scenarios.world import Device, World, no_ping, ping, public, udp_socket

pytestmark = pytest.mark.lab

LOW_ORDER = tuple(
    base64.b64encode(bytes.fromhex(point)).decode()
    for point in (
        "00" * 32,
        "01" + "00" * 31,
        "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
        "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    )
)
"""All points whose shared secret with anybody is zero (https://cr.yp.to/ecdh.html)."""


def test_private_key_changes_live(pair: tuple[Device, Device]) -> None:
    one, two = pair
    assert ping(one.space, "10.9.0.2")
    old, private = one.public_key, run("wg", "genkey").strip()
    one.public_key = public(private)
    one.set("private-key", one.file(private))
    assert no_ping(one.space, "10.9.0.2")
    two.set("peer", old, "remove")
    two.peer(one, "10.9.0.1/32,fd09::1/128")
    wait_for(lambda: ping(one.space, "10.9.0.2"), "no traffic under the new key", 20)
    assert list(two.show("endpoints")) == [one.public_key]


def test_preshared_key_applies_at_the_next_handshake(pair: tuple[Device, Device]) -> None:
    """The session that there is goes on; a new one needs the same key at both ends, or none."""
    one, two = pair
    psk = one.file(run("wg", "genpsk").strip())
    assert ping(one.space, "10.9.0.2")
    for each, other in ((one, two), (two, one)):
        each.set("peer", other.public_key, "preshared-key", psk)
        assert ping(one.space, "10.9.0.2")
        assert len(each.show("preshared-keys")[other.public_key]) == 44
    assert renewed(one, two)
    two.set("peer", one.public_key, "preshared-key", "/dev/null")
    assert two.show("preshared-keys")[one.public_key] == "(none)"
    assert not renewed(one, two)
    one.set("peer", two.public_key, "preshared-key", "/dev/null")
    wait_for(lambda: ping(one.space, "10.9.0.2"), "no traffic without the key at both ends", 20)


def renewed(one: Device, two: Device) -> bool:
    """Whether `one` gets a new session, having lost its own."""
    words = ("allowed-ips", "10.9.0.2/32", "endpoint", "192.0.2.2:51820")
    psk = one.show("preshared-keys")[two.public_key]
    one.set("peer", two.public_key, "remove")
    key = ("preshared-key", one.file(psk)) if psk != "(none)" else ()
    one.set("peer", two.public_key, *words, *key)
    ping(one.space, "10.9.0.2")
    return one.handshake(two) > 0


def test_private_key_is_set_and_unset(pair: tuple[Device, Device]) -> None:
    one, _ = pair
    assert ping(one.space, "10.9.0.2")
    one.set("private-key", "/dev/null")
    assert one.wg("show", one.name, "private-key").strip() == "(none)"
    assert one.wg("show", one.name, "public-key").strip() == "(none)"
    assert no_ping(one.space, "10.9.0.2")
    one.set("private-key", one.file(one.private_key))
    assert one.wg("show", one.name, "public-key").strip() == one.public_key
    wait_for(lambda: ping(one.space, "10.9.0.2"), "no traffic with the key back", 20)


def test_a_peer_that_becomes_ourselves_goes(pair: tuple[Device, Device]) -> None:
    one, two = pair
    one.set("private-key", one.file(two.private_key))
    assert one.show("allowed-ips") == {}
    one.set("peer", two.public_key, "allowed-ips", "10.9.0.2/32")
    assert one.show("allowed-ips") == {}
    one.set("private-key", one.file(one.private_key))
    one.peer(two, "10.9.0.2/32", "192.0.2.2:51820")
    wait_for(lambda: ping(one.space, "10.9.0.2"), "no traffic as itself again", 20)


@pytest.mark.parametrize(
    ("first", "last"), [(0x00, 0x00), (0xFF, 0xFF), (0x07, 0x3F), (0xF8, 0x80)], ids=["zeros", "ones", "low", "high"]
)
def test_private_keys_are_clamped(world: World, first: int, last: int) -> None:
    """Three low bits and the highest are cleared, the one below it is set (RFC 7748)."""
    device = world.device(world.space("a"), [])
    device.set("private-key", device.file(base64.b64encode(bytes([first]) + b"\x5a" * 30 + bytes([last])).decode()))
    clamped = bytes([first & 0xF8]) + b"\x5a" * 30 + bytes([(last & 0x7F) | 0x40])
    assert base64.b64decode(device.wg("show", device.name, "private-key")) == clamped


def test_low_order_public_keys_stay_silent(world: World) -> None:
    """A peer with such a key is configured as any other, and not one datagram goes to it."""
    a, b = world.space("a"), world.space("b")
    world.cable(a, b, ["192.0.2.1/24"], ["192.0.2.2/24"])
    device = world.device(a, ["10.9.0.1/24"])
    words = []
    for number, key in enumerate(LOW_ORDER, 10):
        words += ["peer", key, "allowed-ips", f"10.9.0.{number}/32", "endpoint", "192.0.2.2:9999"]
        words += ["persistent-keepalive", "1"]
    device.set(*words)
    with udp_socket(b, "192.0.2.2", 9999) as silent, udp_socket(a, "10.9.0.1") as sender:
        for number in range(10, 10 + len(LOW_ORDER)):
            sender.sendto(b"hello", (f"10.9.0.{number}", 1))
        silent.settimeout(2)
        with pytest.raises(TimeoutError):
            silent.recv(100)
    assert set(device.show("transfer").values()) == {"0\t0"}
