"""Users' devices come and go while the node runs, on both planes: nobody else's session is touched."""

from __future__ import annotations

from dataclasses import replace

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from tests.planes import plane
from tests.unit.protocol.pairs import A4, A6, B4, KEY_A, KEY_B, packet, pair
from wgnode.io.node import LiveDigest, reconfigure
from wgnode.nodeconfig import LinkConfig, NodeConfig, NodeSecrets, PeerConfig, expected_live_digest, fixed_differences
from wgnode.platform.tunnel import routes

__all__ = ["plane"]
ALICE, BERLIN = (X25519PrivateKey.from_private_bytes(key).public_key().public_bytes_raw() for key in (KEY_A, KEY_B))
CARD = LinkConfig("52:54:00:00:00:01", ())
PHONE = PeerConfig("alice/phone", (ALICE,), (f"{A4}/32", f"{A6}/128"))
DESK = PeerConfig("bob/desk", (b"\3" * 32,), ("10.0.0.9/32",))
CONFIG = NodeConfig("dev", "berlin", (BERLIN,), 51820, (), CARD, CARD, devices=(PHONE,))
SECRETS = NodeSecrets((KEY_B,))


def test_one_that_comes_or_goes_is_a_live_change_of_its_own_addresses_only() -> None:
    p = pair().connect()
    device, former = p.b.device, CONFIG
    p.b.device.listen_port = 51820
    session = p.b.peer.session
    for devices in ((PHONE, DESK), (PHONE,)):
        new = replace(CONFIG, devices=devices)
        assert fixed_differences(former, new) is None
        reconfigure(device, new, SECRETS, p.now, former=former)
        assert LiveDigest(device)() == expected_live_digest(new, SECRETS)
        assert p.b.peer.session is session
        assert (device.peer(DESK.public_keys[0]) is not None) == (DESK in devices)
        former = new
    assert set(routes(CONFIG)) == set(PHONE.allowed_ips), "and never the pool"


def test_the_session_of_one_that_goes_ends_with_the_change() -> None:
    p = pair().connect()
    reconfigure(p.b.device, replace(CONFIG, devices=()), SECRETS, p.now, former=CONFIG)
    p.a_to_b()
    p.advance(20.0)
    assert p.b.delivered == []
    assert p.b.device.counters["unknown_index"] == 1
    assert p.b.device.counters["unknown_peer"] >= 1


def test_no_source_but_its_own_addresses_is_taken_from_it() -> None:
    p = pair().connect()
    reconfigure(p.b.device, CONFIG, SECRETS, p.now)
    p.a.send(packet("10.0.0.9", B4))
    p.deliver()
    assert p.b.delivered == []
    assert p.b.device.counters["source_not_allowed"] == 1
