"""The gateway that the tests of its resource are about, and what they do with it again and again."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pulumi_wgnode.hosts import owners
from pulumi_wgnode.resources import gateway_change
from pulumi_wgnode.resources.gateway import Gateway
from tests.unit.pulumi_wgnode.keys import KEY, PIN
from tests.unit.pulumi_wgnode.resources.gateway_host import Clock, GatewayHost
from wgnode.image import layers, paths
from wgnode.nodeconfig import LinkConfig, NodeConfig, NodeSecrets, PeerConfig

PRIVATE, PUBLIC, PEER, SHARED = (bytes([fill]) * 32 for fill in (1, 2, 3, 4))
CONFIG = NodeConfig(
    mesh="demo",
    name="berlin",
    public_keys=(PUBLIC,),
    listen_port=51820,
    addresses=("10.99.0.1/24",),
    transit=LinkConfig(paths.TRANSIT_MAC, ("172.31.255.254/30",), ("172.31.255.253",)),
    lan=LinkConfig("52:54:00:aa:bb:cc", ("10.1.0.2/24",)),
    peers=(PeerConfig("cabin", (PEER,), ("10.2.0.0/24",), None, 25),),
)
SECRETS = NodeSecrets((PRIVATE,), {PEER: (SHARED,)})
IMAGE = "ab" * 32
ID = "3fa9c1d2e4b50607"
RECORD = owners.path_of(ID)
NEWS = {
    "site": {"id": ID, "mesh": "demo", "name": "berlin"},
    "connection": {"address": "198.51.100.2", "hostKeys": [PIN], "privateKey": KEY},
    "image": {"directory": paths.image_directory(IMAGE), "sha256": IMAGE},
    "machine": {"memory": 160},
    "config": CONFIG.to_json().decode(),
    "secrets": SECRETS.to_json().decode(),
}
MOVED = {"config": replace(CONFIG, addresses=("10.99.0.9/24",)).to_json().decode()}
ROME = PeerConfig("rome", (b"\5" * 32,), ("10.3.0.0/24",), "192.0.2.7:51820")
JOINED = {"config": replace(CONFIG, peers=(*CONFIG.peers, ROME)).to_json().decode()}
GATEWAY_FILE, HOSTD_FILE = (
    f"/etc/systemd/system/{unit}" for unit in (paths.PLAIN.gateway_unit, paths.PLAIN.hostd_unit)
)
GATEWAY_UNIT, HOSTD_UNIT = (f'units["{unit}"]' for unit in (paths.PLAIN.gateway_unit, paths.PLAIN.hostd_unit))


@pytest.fixture
def clock(monkeypatch):
    made = Clock()
    monkeypatch.setattr(gateway_change, "time", made)
    return made


@pytest.fixture
def host(clock):
    made = GatewayHost()
    made.waited = clock.sleep
    return made


@pytest.fixture
def kind(host):
    return Gateway(connect=lambda _: host)


def created(kind, **changes):
    inputs = kind.check({**NEWS, **changes}, {})
    id, state = kind.create("berlin-gateway", inputs, False)
    return inputs, id, state


def read_paths(kind, id, state, inputs, news=None):
    """The paths that differ after a refresh."""
    state, real_inputs = kind.read(id, state, inputs)
    return [change.path for change in kind.diff(state, real_inputs, news or inputs).changes]


def layer_digest(host):
    return layers.config_of(host.files[paths.PLAIN.config_layer][0]).digest


def hostd_file(host):
    return next(path for path in host.files if path.startswith(paths.PLAIN.hostd_directory))
