"""Two identities of a device, two keys of a peer, two pre-shared keys: handshakes with either."""

from __future__ import annotations

import pytest

from tests.unit.protocol.pairs import (
    A4,
    B4,
    ENDPOINT_A,
    ENDPOINT_B,
    KEY_A,
    KEY_B,
    KEY_C,
    KEY_D,
    PSK_1,
    PSK_2,
    Node,
    packet,
    pair,
)
from wgnode.protocol.messages import INITIATION


def public(*keys: bytes) -> list[bytes]:
    p = pair(start=False)
    p.a.device.set_private_keys(keys, p.now)
    return list(p.a.device.public_keys)


def meets(node: Node, other: Node, theirs: list[bytes]) -> None:
    """Replace the node's only peer by one with these public keys."""
    networks = node.peer.allowed_ips
    node.device.remove_peer(node.peer.public_key)
    peer = node.device.add_peer(theirs)
    node.device.replace_allowed_ips(peer, networks)
    node.device.set_endpoint(peer, other.endpoint)


@pytest.mark.parametrize("meant", [0, 1])
def test_initiations_to_either_identity_are_answered(meant: int) -> None:
    p = pair()
    p.b.device.set_private_keys([KEY_B, KEY_D], p.now)
    meets(p.a, p.b, [public(KEY_B, KEY_D)[meant]])
    p.a_to_b()
    assert p.b.delivered == [packet(A4, B4)]


@pytest.mark.parametrize("used", [KEY_A, KEY_C])
def test_a_peer_is_known_by_either_static_key(used: bytes) -> None:
    p = pair()
    meets(p.b, p.a, public(KEY_A, KEY_C))
    p.a.device.set_private_keys([used], p.now)
    p.a_to_b()
    assert p.b.delivered == [packet(A4, B4)]
    assert len(p.b.device.peers) == 1
    p.b_to_a()
    assert p.a.delivered == [packet(B4, A4)]


@pytest.mark.parametrize(
    ("initiator", "responder"),
    [
        ((PSK_1,), (PSK_1, PSK_2)),
        ((PSK_1, PSK_2), (PSK_1,)),
        ((PSK_1, PSK_2), (PSK_2,)),
        ((PSK_1, PSK_2), (PSK_2, PSK_1)),
    ],
)
def test_an_initiator_accepts_either_pre_shared_key(initiator: tuple[bytes, ...], responder: tuple[bytes, ...]) -> None:
    p = pair()
    p.a.device.set_preshared_keys(p.a.peer, initiator)
    p.b.device.set_preshared_keys(p.b.peer, responder)
    p.a_to_b()
    assert p.b.delivered == [packet(A4, B4)]


def test_a_peer_with_pre_shared_keys_never_does_without() -> None:
    p = pair()
    p.a.device.set_preshared_keys(p.a.peer, [PSK_1, PSK_2])
    p.a_to_b()
    assert p.b.delivered == []


def test_adding_and_promoting_a_next_identity_keeps_sessions() -> None:
    p = pair().connect()
    for keys in ([KEY_A, KEY_C], [KEY_C, KEY_A]):
        p.a.device.set_private_keys(keys, p.now)
        p.a_to_b()
        p.b_to_a()
    assert p.sent(p.a, INITIATION) == []
    assert (len(p.a.delivered), len(p.b.delivered)) == (2, 2)


def test_dropping_the_old_identity_ends_only_its_sessions() -> None:
    p = pair().connect()
    p.b.device.set_public_keys(p.b.peer, public(KEY_A, KEY_C))
    p.a.device.set_private_keys([KEY_C, KEY_A], p.now)
    p.jump(121)
    p.a_to_b(b"renews with the new key")
    p.a_to_b(b"and uses it")
    session = p.b.peer.session
    assert session is not None
    assert session.remote.public_key == public(KEY_C)[0]
    p.a.device.set_private_keys([KEY_C], p.now)
    p.b.device.set_public_keys(p.b.peer, public(KEY_C))
    p.log.clear()
    p.a_to_b(b"still there")
    p.b_to_a(b"both ways")
    assert p.sent(p.a, INITIATION) == []
    assert len(p.b.delivered) == 3
    assert len(p.a.delivered) == 1
    assert all(keypair.remote.public_key == public(KEY_C)[0] for keypair in p.b.peer.slots.all())


def test_a_handshake_with_a_dropped_key_is_forgotten() -> None:
    p = pair()
    p.a.send(packet(A4, B4))
    (initiation,) = p.a.take()
    p.b.receive(initiation, ENDPOINT_A)
    (response,) = p.b.take()
    p.a.device.set_private_keys([KEY_C], p.now)
    p.a.receive(response, ENDPOINT_B)
    assert p.a.peer.last_handshake is None
    assert p.a.peer.outstanding is None
    p.b.device.set_public_keys(p.b.peer, public(KEY_C))
    assert p.b.peer.slots.all() == []
    p.a_to_b(b"new")
    assert packet(A4, B4, b"new") in p.b.delivered
