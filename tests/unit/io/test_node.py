"""Devices built from a gateway's configuration, and their time stamps."""

from __future__ import annotations

from ipaddress import ip_network

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from wgnode.io.node import TAI64_EPOCH, Tai64n, from_config, literal_endpoint
from wgnode.nodeconfig import LinkConfig, NodeConfig, NodeSecrets, PeerConfig, expected_live_digest
from wgnode.protocol.endpoint import Endpoint


def public_key(private_key: bytes) -> bytes:
    return X25519PrivateKey.from_private_bytes(private_key).public_key().public_bytes_raw()


OWN, NEXT = bytes([8] + [7] * 30 + [71]), bytes([16] + [9] * 30 + [73])
CABIN = PeerConfig(
    "cabin", (b"\1" * 32, b"\2" * 32), ("10.2.0.0/24", "fd00:10:2::/64"), "203.0.113.2:51820", persistent_keepalive=25
)
NAMED = PeerConfig("harbour", (b"\3" * 32,), ("10.3.0.0/24",), "harbour.example:51820")
CONFIG = NodeConfig(
    mesh="dev",
    name="berlin",
    public_keys=(public_key(OWN), public_key(NEXT)),
    listen_port=51820,
    addresses=("10.99.0.1/32",),
    transit=LinkConfig("52:54:00:77:67:00", ("172.31.255.254/30",), ("172.31.255.253",)),
    lan=LinkConfig("52:54:00:77:67:01", ("10.1.0.2/24",)),
    peers=(CABIN, NAMED),
    mtu=1300,
)
SECRETS = NodeSecrets((OWN, NEXT), {CABIN.public_keys[0]: (b"\4" * 32, b"\5" * 32)})


def test_a_device_is_what_its_configuration_says() -> None:
    device = from_config(CONFIG, SECRETS, 0.0)
    assert device.live_digest() == expected_live_digest(CONFIG, SECRETS)
    cabin = device.peer(b"\2" * 32)
    assert cabin is not None
    assert (device.mtu, device.listen_port, device.running) == (1300, 51820, False)
    assert (cabin.name, cabin.public_keys, cabin.persistent_keepalive) == ("cabin", CABIN.public_keys, 25)
    assert cabin.preshared_keys == (b"\4" * 32, b"\5" * 32)
    assert cabin.endpoint == Endpoint("203.0.113.2", 51820)
    assert set(cabin.allowed_ips) == {ip_network("10.2.0.0/24"), ip_network("fd00:10:2::/64")}


def test_an_endpoint_with_a_name_waits_for_the_host_to_resolve_it() -> None:
    harbour = from_config(CONFIG, SECRETS, 0.0).peer(NAMED.public_keys[0])
    assert harbour is not None
    assert harbour.endpoint is None
    assert literal_endpoint(None) is None
    assert literal_endpoint("[2001:db8::1]:7") == Endpoint("2001:db8::1", 7)


def test_secrets_of_another_node_are_refused() -> None:
    with pytest.raises(ValueError, match="do not belong") as error:
        from_config(CONFIG, NodeSecrets((NEXT, OWN)), 0.0)
    assert OWN.hex() not in str(error.value)


def test_time_stamps_are_tai64n_rounded_down() -> None:
    stamp = Tai64n(lambda: 1_700_000_000 * 10**9 + 123_456_789)()
    assert int.from_bytes(stamp[:8], "big") == TAI64_EPOCH + 1_700_000_000
    assert int.from_bytes(stamp[8:], "big") % (1 << 24) == 0
    assert 0 <= 123_456_789 - int.from_bytes(stamp[8:], "big") < 1 << 25


def test_time_stamps_always_grow_even_if_the_clock_does_not() -> None:
    times = iter([1000 * 10**9] * 200 + [999 * 10**9] * 200 + [2000 * 10**9])
    stamps = Tai64n(lambda: next(times))
    seen = [stamps() for _ in range(401)]
    assert seen == sorted(set(seen))
    assert int.from_bytes(seen[-1][:8], "big") == TAI64_EPOCH + 2000


def test_time_stamps_never_fall_below_what_a_former_run_used() -> None:
    stamp = Tai64n(lambda: 0, floor=5000 * 10**9)()
    assert int.from_bytes(stamp[:8], "big") == TAI64_EPOCH + 5000
