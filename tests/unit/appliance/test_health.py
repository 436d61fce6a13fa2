"""While keys rotate, UAPI tells the key in use, our own control messages both."""

from __future__ import annotations

import base64
import hashlib

import pytest

from tests.unit.protocol.pairs import A4, B4, KEY_A, KEY_C, PSK_1, PSK_2, packet, pair
from wgnode.appliance import health
from wgnode.appliance.health import device_health
from wgnode.io.node import LiveDigest
from wgnode.io.uapi import handle
from wgnode.work import at_once


@pytest.mark.parametrize("keys", [(KEY_A, KEY_C), (KEY_C, KEY_A)])
def test_both_keys_are_told_and_the_one_in_use_first(keys: tuple[bytes, bytes]) -> None:
    p = pair()
    p.a.device.set_private_keys(keys, p.now)
    p.b.device.set_public_keys(p.b.peer, p.a.device.public_keys)
    for node in (p.a, p.b):
        node.device.set_preshared_keys(node.peer, [PSK_2, PSK_1])
    p.a.send(packet(A4, B4))
    p.deliver()
    public = [base64.b64encode(key).decode() for key in p.a.device.public_keys]

    told = [at_once(device_health(each.device, LiveDigest(each.device), p.now, 0.0)) for each in (p.a, p.b)]
    own, theirs = told[0], told[1]["peers"][0]
    assert (own["public_key"], own["public_keys"]) == (public[0], public)
    assert (theirs["public_key"], theirs["public_keys"]) == (public[0], public)
    assert theirs["preshared_keys"] == [hashlib.sha256(key).hexdigest() for key in (PSK_2, PSK_1)]

    in_use = p.b.peer.session
    assert in_use is not None
    assert in_use.remote.public_key == p.a.device.public_keys[0]
    told = handle(p.b.device, "get=1\n\n", p.now, wall=0.0).splitlines()
    assert [line for line in told if line.startswith("public_key=")] == [f"public_key={in_use.remote.public_key.hex()}"]
    assert f"preshared_key={PSK_2.hex()}" in told
    assert f"private_key={p.a.device.private_keys[0].hex()}" in handle(p.a.device, "get=1\n\n", p.now, wall=0.0)


@pytest.mark.parametrize(("most", "told"), [(2, [1]), (1, [])])
def test_what_paths_were_before_is_told_of_few_peers_only(
    monkeypatch: pytest.MonkeyPatch, most: int, told: list[int]
) -> None:
    monkeypatch.setattr(health, "path_mtu", lambda *_: {"size": 1440, "history": [1]})
    monkeypatch.setattr(health, "WITH_HISTORY", most)
    device = pair().a.device
    device.add_peer([b"\7" * 32])
    found = at_once(device_health(device, LiveDigest(device), 0.0, 0.0))["peers"]
    assert [each["path_mtu"] for each in found] == [{"size": 1440, "history": told}] * 2
