"""What a device over the engine has to bear that a plain one never meets."""

from __future__ import annotations

import os

import pytest

from tests.unit.dataplane.worlds import inner_packet
from wgnode.dataplane.choose import FAST, Unavailable, choose
from wgnode.protocol import Endpoint


def test_an_endpoint_by_an_interface_that_is_not_there_ends_nothing() -> None:
    try:
        plane = choose(FAST)
    except Unavailable as missing:
        pytest.skip(str(missing))
    device = plane.new_device((bytes([1]) * 32,), random=os.urandom, tai64n=lambda: bytes(12))
    peer = device.add_peer([bytes([2]) * 32])
    device.replace_allowed_ips(peer, ["10.0.0.2/32"])
    endpoint = Endpoint("fe80::1%nowhere9", 51820)
    device.set_endpoint(peer, endpoint)
    device.start(0.0)
    device.send_packet(inner_packet("a", "b", 0, 5), 1.0)
    assert [to for _, to in device.datagrams_to_send()] == [endpoint]
