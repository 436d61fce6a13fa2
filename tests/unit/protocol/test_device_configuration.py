"""Changing a device's configuration, live or not, and what it tells about itself."""

from __future__ import annotations

import pytest

from tests.unit.protocol.pairs import (
    A4,
    B4,
    B6,
    ENDPOINT_B,
    KEY_A,
    KEY_B,
    KEY_C,
    KEY_D,
    PSK_1,
    Clock,
    Node,
    packet,
    pair,
)
from wgnode.io.node import LiveDigest
from wgnode.nodeconfig import LinkConfig, NodeConfig, NodeSecrets, PeerConfig, expected_live_digest
from wgnode.protocol import Device, Endpoint
from wgnode.protocol.messages import INITIATION

KEY = bytes(range(32))


def device(*keys: bytes) -> Device:
    return Node(Clock(), ENDPOINT_B, keys, 5).device


def public(key: bytes) -> bytes:
    return device(key).public_keys[0]


def test_private_keys_are_clamped() -> None:
    assert device(b"\xff" * 32).private_keys == (b"\xf8" + b"\xff" * 30 + b"\x7f",)


def test_own_public_key_is_refused_as_a_peer() -> None:
    us = device(KEY_A, KEY_B)
    for key in us.public_keys:
        with pytest.raises(ValueError, match="own public key"):
            us.add_peer([key])
    peer = us.add_peer([KEY])
    with pytest.raises(ValueError, match="own public key"):
        us.set_public_keys(peer, [KEY, us.public_keys[0]])
    assert peer.public_keys == (KEY,)


def test_a_peer_that_becomes_ourselves_is_removed() -> None:
    us = device(KEY_A)
    us.add_peer([public(KEY_B)])
    us.add_peer([KEY])
    us.set_private_keys([KEY_B], 0.0)
    assert [peer.public_keys for peer in us.peers] == [(KEY,)]


def test_a_public_key_belongs_to_one_peer() -> None:
    us = device(KEY_A)
    first = us.add_peer([KEY, b"n" * 32])
    with pytest.raises(ValueError, match="another peer"):
        us.add_peer([b"n" * 32])
    second = us.add_peer([b"s" * 32])
    with pytest.raises(ValueError, match="another peer"):
        us.set_public_keys(second, [KEY])
    assert us.peers == [first, second]
    us.set_public_keys(first, [b"n" * 32])
    us.set_public_keys(second, [KEY])
    assert us.peer(KEY) is second


@pytest.mark.parametrize("keys", [[], [b"short"], [KEY, KEY], [KEY, b"2" * 32, b"3" * 32]])
def test_keys_are_one_or_two_of_32_bytes(keys: list[bytes]) -> None:
    us = device(KEY_A)
    with pytest.raises(ValueError, match="public key"):
        us.add_peer(keys)
    assert us.peers == []
    if keys:
        peer = us.add_peer([b"p" * 32])
        with pytest.raises(ValueError, match="pre-shared key"):
            us.set_preshared_keys(peer, keys)
        with pytest.raises(ValueError, match="private key"):
            us.set_private_keys(keys, 0.0)
        assert us.public_keys == (public(KEY_A),)


@pytest.mark.parametrize("endpoint", [Endpoint("name.example", 1), Endpoint("192.0.2.1", 65536), Endpoint("", 1)])
def test_endpoints_are_addresses(endpoint: Endpoint) -> None:
    us = device(KEY_A)
    peer = us.add_peer([KEY])
    with pytest.raises(ValueError, match=r".+"):
        us.set_endpoint(peer, endpoint)
    us.set_endpoint(peer, Endpoint("fe80::1%eth0", 1))
    assert str(peer.endpoint) == "[fe80::1%eth0]:1"
    with pytest.raises(ValueError, match="keepalive"):
        us.set_keepalive(peer, 65536, 0.0)


def test_a_removed_peer_is_gone() -> None:
    p = pair().connect()
    key = p.a.peer.public_key
    p.a.device.remove_peer(key)
    p.a.device.remove_peer(key)
    assert p.a.device.peers == []
    assert p.a.device.peer(key) is None
    p.a.send(packet(A4, B4))
    p.b_to_a()
    assert p.a.take() == []
    assert p.a.delivered == []
    assert p.a.device._tables.indices == {}
    assert p.a.device.plane.sent_to(bytes([10, 0, 0, 2])) is None


def test_a_changed_private_key_ends_sessions_and_the_new_one_is_used() -> None:
    p = pair().connect()
    p.b.device.add_peer([public(KEY_C)])
    moved = p.b.device.peer(public(KEY_C))
    assert moved is not None
    p.b.device.replace_allowed_ips(moved, [f"{A4}/32"])
    p.a.device.set_private_keys([KEY_C], p.now)
    assert p.a.peer.slots.all() == []
    p.a_to_b(b"new key")
    assert p.b.delivered == [packet(A4, B4, b"new key")]
    assert moved.last_handshake == p.now


def test_the_same_private_key_again_changes_nothing() -> None:
    p = pair().connect()
    p.a.device.set_private_keys([KEY_A], p.now)
    p.a_to_b()
    assert p.sent(p.a, INITIATION) == []
    assert len(p.b.delivered) == 1


def test_a_removed_private_key_silences_the_device() -> None:
    p = pair()
    p.a.device.set_keepalive(p.a.peer, 1, p.now)
    p.advance(1)
    p.a.device.set_private_keys([], p.now)
    p.log.clear()
    p.advance(100)
    assert p.sent(p.a) == []
    assert p.a.device.public_keys == ()


def test_allowed_ips_are_replaced_all_or_not_at_all() -> None:
    p = pair()
    with pytest.raises(ValueError, match=r".+"):
        p.a.device.replace_allowed_ips(p.a.peer, ["10.5.0.0/16", "nonsense"])
    assert [str(net) for net in p.a.peer.allowed_ips] == [f"{B4}/32", f"{B6}/128"]
    p.a.device.replace_allowed_ips(p.a.peer, [])
    assert p.a.peer.allowed_ips == []


def configured() -> tuple[NodeConfig, NodeSecrets]:
    link = LinkConfig("52:54:00:77:67:00", ())
    peers = (
        PeerConfig("b", (KEY, b"n" * 32), ("10.2.0.0/24", "fd00::/64"), None, 25),
        PeerConfig("a", (b"a" * 32,), ()),
    )
    config = NodeConfig("mesh", "site", (public(KEY_A),), 51820, (), link, link, peers)
    return config, NodeSecrets((KEY_A,), {KEY: (PSK_1,)})


def as_configured(config: NodeConfig, secrets: NodeSecrets) -> Device:
    us = device(*secrets.private_keys)
    us.listen_port = config.listen_port
    for wanted in config.peers:
        peer = us.add_peer(wanted.public_keys, wanted.name)
        us.set_preshared_keys(peer, secrets.preshared_keys.get(wanted.public_keys[0], ()))
        us.replace_allowed_ips(peer, wanted.allowed_ips)
        us.set_keepalive(peer, wanted.persistent_keepalive, 0.0)
    return us


def test_live_digest_is_what_the_configuration_promises() -> None:
    config, secrets = configured()
    assert LiveDigest(as_configured(config, secrets))() == expected_live_digest(config, secrets)


def test_live_digest_sees_every_configured_thing_and_no_endpoint() -> None:
    us = as_configured(*configured())
    peer = us.peer(KEY)
    assert peer is not None
    digests = [LiveDigest(us)()]
    us.set_endpoint(peer, ENDPOINT_B)
    assert LiveDigest(us)() == digests[0]
    for change in (
        lambda: us.set_preshared_keys(peer, []),
        lambda: us.set_keepalive(peer, 0, 0.0),
        lambda: us.add_allowed_ip(peer, "10.3.0.0/24"),
        lambda: us.set_public_keys(peer, [KEY]),
        lambda: us.remove_peer(b"a" * 32),
        lambda: setattr(us, "listen_port", 1),
        lambda: us.set_private_keys([KEY_B], 0.0),
    ):
        change()
        digests.append(LiveDigest(us)())
    assert len(set(digests)) == len(digests)


def test_nothing_secret_in_any_repr() -> None:
    p = pair()
    p.a.device.set_preshared_keys(p.a.peer, [PSK_1])
    p.a.send(packet(A4, B4))
    secret = {KEY_A, PSK_1, *p.a.device.private_keys}
    peer = p.a.peer
    session = pair().connect().a.peer.session
    things = [
        p.a.device,
        peer,
        peer.statics[0],
        peer.outstanding,
        p.a.device._tables,
        p.a.device._tables.identities,
        session,
    ]
    for thing in things:
        text = repr(thing)
        assert not any(key.hex() in text or repr(key)[2:-1] in text for key in secret), text
    with pytest.raises(ValueError, match="does not have 32 bytes") as caught:
        p.a.device.set_preshared_keys(peer, [b"secret"])
    assert "secret" not in str(caught.value)


def test_a_device_that_has_moved_tells_every_peer_that_it_has_a_session_with() -> None:
    both = pair().connect()
    both.a.device.set_endpoint(both.a.device.add_peer([public(KEY_C)]), Endpoint("203.0.113.9", 51820))
    for peer in both.a.device.peers:
        both.a.device.send_keepalive(peer, both.now)
    (keepalive, to), *others = both.a.device.datagrams_to_send()
    assert (to, others) == (ENDPOINT_B, [])
    both.b.receive(keepalive, Endpoint("192.0.2.77", 7))
    assert both.b.peer.endpoint == Endpoint("192.0.2.77", 7)


def test_a_device_calls_every_peer_that_it_knows_where_to_find_and_has_no_session_with() -> None:
    both = pair().connect()
    there = both.a.device.add_peer([public(KEY_C)])
    nowhere = both.a.device.add_peer([public(KEY_D)])
    both.a.device.set_endpoint(there, Endpoint("203.0.113.9", 51820))
    for peer in both.a.device.peers:
        both.a.device.initiate(peer, both.now)
    called = [endpoint.address for data, endpoint in both.a.device.datagrams_to_send() if data[0] == INITIATION]
    assert called == ["203.0.113.9"]
    assert nowhere.outstanding is None
