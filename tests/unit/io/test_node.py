"""Devices built from a gateway's configuration, and their time stamps."""

from __future__ import annotations

from dataclasses import replace
from hashlib import sha256
from ipaddress import ip_network

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.protocol.pairs import A4, B4, ENDPOINT_B, KEY_A, packet, pair
from wgnode.dataplane.plain import PlainPlane
from wgnode.io.node import (
    TAI64_EPOCH,
    LiveDigest,
    Tai64n,
    from_config,
    literal_endpoint,
    reconfigure,
    reconfiguring,
)
from wgnode.nodeconfig import ConfigError, LinkConfig, NodeConfig, NodeSecrets, PeerConfig, expected_live_digest
from wgnode.policy.model import Class, Policy
from wgnode.protocol.endpoint import Endpoint
from wgnode.protocol.messages import INITIATION


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
    device = from_config(PlainPlane(), CONFIG, SECRETS, 0.0)
    assert LiveDigest(device)() == expected_live_digest(CONFIG, SECRETS)
    cabin = device.peer(b"\2" * 32)
    assert cabin is not None
    assert (device.mtu, device.listen_port, device.running) == (1300, 51820, False)
    assert (cabin.name, cabin.public_keys, cabin.persistent_keepalive) == ("cabin", CABIN.public_keys, 25)
    assert cabin.preshared_keys == (b"\4" * 32, b"\5" * 32)
    assert cabin.endpoint == Endpoint("203.0.113.2", 51820)
    assert set(cabin.allowed_ips) == {ip_network("10.2.0.0/24"), ip_network("fd00:10:2::/64")}


def test_an_endpoint_with_a_name_waits_for_the_host_to_resolve_it() -> None:
    harbour = from_config(PlainPlane(), CONFIG, SECRETS, 0.0).peer(NAMED.public_keys[0])
    assert harbour is not None
    assert harbour.endpoint is None
    assert literal_endpoint(None) is None
    assert literal_endpoint("[2001:db8::1]:7") == Endpoint("2001:db8::1", 7)


def test_secrets_of_another_node_are_refused() -> None:
    with pytest.raises(ValueError, match="do not belong") as error:
        from_config(PlainPlane(), CONFIG, NodeSecrets((NEXT, OWN)), 0.0)
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


def test_a_floor_only_ever_raises_the_time_stamps() -> None:
    stamps = Tai64n(lambda: 1000 * 10**9)
    first = stamps()
    stamps.raise_floor(5 * 10**9)
    second = stamps()
    stamps.raise_floor(5000 * 10**9)
    third = stamps()
    assert first < second < third
    assert int.from_bytes(third[:8], "big") == TAI64_EPOCH + 5000 == TAI64_EPOCH + stamps.last // 10**9


def test_time_stamps_never_fall_below_what_a_former_run_used() -> None:
    stamp = Tai64n(lambda: 0, floor=5000 * 10**9)()
    assert int.from_bytes(stamp[:8], "big") == TAI64_EPOCH + 5000


# Changed while it runs


def test_a_change_leaves_alone_what_stays() -> None:
    both = pair().connect()
    device, (berlin, cabin) = both.a.device, (both.a, both.b)
    stays = PeerConfig("cabin", (cabin.device.public_keys[0],), ("10.0.0.2/32", "fd00::2/128"), "203.0.113.2:51820")
    before = replace(CONFIG, public_keys=device.public_keys, peers=(stays,))
    after = replace(before, peers=(replace(stays, allowed_ips=(*stays.allowed_ips, "10.9.0.0/24")), NAMED))
    session = berlin.peer.session
    reconfigure(device, after, NodeSecrets((KEY_A,)), both.now, former=before)
    assert berlin.peer.session is session is not None
    assert berlin.peer.endpoint == ENDPOINT_B, "where it has roamed to"
    both.a_to_b(b"after")
    assert cabin.delivered == [packet(A4, B4, b"after")]
    assert not both.sent(berlin, INITIATION)


def test_another_configured_endpoint_replaces_where_the_peer_was() -> None:
    device = from_config(PlainPlane(), CONFIG, SECRETS, 0.0)
    moved = replace(CONFIG, peers=(replace(CABIN, endpoint="203.0.113.9:51820"), NAMED))
    reconfigure(device, moved, SECRETS, 1.0, former=CONFIG)
    assert device.peers[0].endpoint == Endpoint("203.0.113.9", 51820)


def test_a_network_moves_from_peer_to_peer_in_either_order() -> None:
    device = from_config(PlainPlane(), CONFIG, SECRETS, 0.0)
    swapped = (replace(CABIN, allowed_ips=NAMED.allowed_ips), replace(NAMED, allowed_ips=CABIN.allowed_ips))
    for peers in (swapped, (CABIN, NAMED), (swapped[1], swapped[0])):
        config = replace(CONFIG, peers=peers)
        reconfigure(device, config, SECRETS, 1.0, former=CONFIG)
        assert LiveDigest(device)() == expected_live_digest(config, SECRETS)


def test_what_was_set_by_hand_is_put_right() -> None:
    device = from_config(PlainPlane(), CONFIG, SECRETS, 0.0)
    stranger = device.add_peer([b"\7" * 32])
    device.replace_allowed_ips(stranger, ["10.2.0.0/24"])
    device.set_preshared_keys(device.peers[0], [b"\6" * 32])
    device.set_keepalive(device.peers[0], 0, 1.0)
    device.set_private_keys([b"\6" * 32], 1.0)
    assert LiveDigest(device)() != expected_live_digest(CONFIG, SECRETS)
    reconfigure(device, CONFIG, SECRETS, 2.0, former=CONFIG)
    assert LiveDigest(device)() == expected_live_digest(CONFIG, SECRETS)


def test_secrets_of_another_node_change_nothing() -> None:
    device = from_config(PlainPlane(), CONFIG, SECRETS, 0.0)
    with pytest.raises(ValueError, match="do not belong"):
        reconfigure(device, replace(CONFIG, peers=()), NodeSecrets((NEXT, OWN)), 1.0)
    assert LiveDigest(device)() == expected_live_digest(CONFIG, SECRETS)


NETWORKS = st.sampled_from(["10.2.0.0/24", "10.2.0.0/16", "10.3.0.0/24", "fd00:1::/64", "fd00::/16", "192.0.2.1/32"])
PEERS = st.dictionaries(
    st.integers(1, 5),
    st.builds(
        lambda nets, endpoint, keepalive: (tuple(nets), endpoint, keepalive),
        st.sets(NETWORKS, max_size=3),
        st.sampled_from([None, "192.0.2.1:1", "[2001:db8::1]:2", "name.example:3"]),
        st.sampled_from([0, 25]),
    ),
    max_size=4,
)


def a_configuration(peers: dict[int, tuple[tuple[str, ...], str | None, int]]) -> tuple[NodeConfig, NodeSecrets]:
    """Peers with disjoint networks: the first that wants one gets it."""
    taken: set[str] = set()
    made = []
    for number, (networks, endpoint, keepalive) in sorted(peers.items()):
        free = tuple(net for net in networks if net not in taken)
        taken |= set(free)
        made.append(PeerConfig(f"site{number}", (bytes([number]) * 32,), free, endpoint, keepalive))
    secrets = {bytes([number]) * 32: (bytes([number, len(peers)]) * 16,) for number in peers}
    return replace(CONFIG, peers=tuple(made)), NodeSecrets((OWN, NEXT), secrets)


@given(PEERS, PEERS)
def test_any_configuration_can_follow_any_other(before: object, after: object) -> None:
    (old, old_secrets), (new, new_secrets) = a_configuration(before), a_configuration(after)  # type: ignore[arg-type]
    device = from_config(PlainPlane(), old, old_secrets, 0.0)
    reconfigure(device, new, new_secrets, 1.0, former=old)
    assert LiveDigest(device)() == expected_live_digest(new, new_secrets)
    assert {peer.name for peer in device.peers} == {peer.name for peer in new.peers}


def test_padding_keeps_to_the_smaller_mtu_of_a_site_also_after_a_change() -> None:
    device = from_config(PlainPlane(), CONFIG, SECRETS, 0.0)
    assert (device.mtu, device.route_mtus) == (CONFIG.mtu, ())
    smaller = replace(CONFIG, mtu=1400, peers=tuple(replace(peer, mtu=1300) for peer in CONFIG.peers))
    reconfigure(device, smaller, SECRETS, 0.0, former=CONFIG)
    assert (device.mtu, device.route_mtus) == (1400, (1300,))
    reconfigure(device, CONFIG, SECRETS, 0.0, former=smaller)
    assert (device.mtu, device.route_mtus) == (CONFIG.mtu, ())


@pytest.mark.parametrize(
    ("probe", "packed"), [("10.2.0.9", bytes([10, 2, 0, 9])), ("fd00::9", b"\xfd" + bytes(14) + b"\x09")]
)
def test_whom_to_ask_of_a_path_is_configured_read_again_and_changed(probe: str, packed: bytes) -> None:
    device = from_config(PlainPlane(), CONFIG, SECRETS, 0.0)
    assert [peer.probe for peer in device.peers] == [None] * len(CONFIG.peers)
    asked = replace(CONFIG, peers=tuple(replace(peer, probe=probe) for peer in CONFIG.peers))
    assert NodeConfig.from_json(asked.to_json()) == asked
    assert b"probe" not in CONFIG.to_json()
    reconfigure(device, asked, SECRETS, 0.0, former=CONFIG)
    assert [peer.probe for peer in device.peers] == [packed] * len(CONFIG.peers)
    reconfigure(device, CONFIG, SECRETS, 0.0, former=asked)
    assert [peer.probe for peer in device.peers] == [None] * len(CONFIG.peers)


@pytest.mark.parametrize("probe", ["somewhere", "10.2.0.0/24", "FD00::9"])
def test_whom_to_ask_is_an_address_in_the_one_way_it_is_written(probe: str) -> None:
    asked = replace(CONFIG, peers=tuple(replace(peer, probe=probe) for peer in CONFIG.peers))
    with pytest.raises(ConfigError):
        NodeConfig.from_json(asked.to_json())


@pytest.mark.parametrize(
    ("written", "instead"),
    [
        ('"name":"berlin"', '"name": "berlin"'),
        ('"name":"berlin"', '"name":"berlin","more":1'),
        ('"cabin":{', '"cabin":{"more":1,'),
        ('"persistentKeepalive":25', '"persistentKeepalive":25.0'),
        ('"persistentKeepalive":0', '"persistentKeepalive":false'),
        ('"persistentKeepalive":25', '"persistentKeepalive":1,"persistentKeepalive":25'),
        ('["10.2.0.0/24","fd00:10:2::/64"]', '["fd00:10:2::/64","10.2.0.0/24"]'),
        ('"fd00:10:2::/64"', '"fd00:10:2:0::/64"'),
        ('"10.3.0.0/24"', '"10.3.0.1/24"'),
    ],
)
def test_what_says_the_same_in_other_words_is_refused_of_a_peer_too(written: str, instead: str) -> None:
    blob = CONFIG.to_json().decode()
    assert written in blob
    assert NodeConfig.from_json(blob.encode()) == CONFIG
    with pytest.raises(ConfigError):
        NodeConfig.from_json(blob.replace(written, instead, 1).encode())


def test_a_configuration_that_was_read_has_the_digest_of_what_was_read() -> None:
    assert NodeConfig.from_json(CONFIG.to_json()).digest == CONFIG.digest == sha256(CONFIG.to_json()).hexdigest()


@pytest.mark.parametrize("others", [(), (PeerConfig("bob/phone", (b"\7" * 32,), ("10.1.0.131/32",), access=1),)])
def test_a_device_that_goes_is_at_no_step_there_and_judged_by_nothing(others: tuple[PeerConfig, ...]) -> None:
    alice = PeerConfig("alice/phone", (b"\6" * 32,), ("10.1.0.130/32",), access=1)
    policy = Policy((Class(), Class()))
    before = replace(CONFIG, devices=(alice, *others), policy=policy)
    after = replace(CONFIG, devices=others, policy=policy if others else None)
    device = from_config(PlainPlane(), before, SECRETS, 0.0)
    steps = 0
    for _ in reconfiguring(device, after, SECRETS, lambda: 0.0, former=before):
        steps += 1
        peer = device.peer(alice.public_keys[0])
        assert peer is None or peer.closed or device.access.judges(peer)
    assert steps > 3
    assert device.peer(alice.public_keys[0]) is None
