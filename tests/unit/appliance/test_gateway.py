import hashlib
import os
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.fake_platform import FakePlatform
from wgnode.appliance import warmup
from wgnode.appliance.gateway import EIO_REPLY, Gateway
from wgnode.appliance.health import device_health
from wgnode.appliance.log import Log
from wgnode.dataplane.plain import PlainPlane
from wgnode.io.loop import Loop
from wgnode.io.node import TAI64_EPOCH, LiveDigest, new_device
from wgnode.io.slices import Slices
from wgnode.nodeconfig import LinkConfig, NodeConfig, encode_key
from wgnode.protocol.endpoint import Endpoint
from wgnode.work import at_once


def test_two_nodes_meet_in_memory_when_the_image_is_built() -> None:
    warmup.exercise()


class Broken:
    """Layers of which none can be read."""

    def __init__(self, config: Callable[[], NodeConfig]) -> None:
        self.config = config

    def image(self) -> dict[str, str]:
        return {}


def test_without_a_configuration_the_gateway_says_why_and_answers_on(tmp_path: Path) -> None:
    loop = Loop()
    descriptor = os.open(tmp_path / "console", os.O_RDWR | os.O_CREAT)
    gateway = Gateway(loop, Log(descriptor), FakePlatform(layers=Broken(lambda: NodeConfig.from_json(b"{"))))
    gateway.load()
    assert gateway.error is not None
    assert "node configuration" in gateway.error
    answers: list[str] = []
    gateway.uapi("get=1\n\n", answers.append)
    assert answers == [EIO_REPLY]
    assert gateway.hello()["error"] == gateway.error
    assert "the node does not run: node configuration" in (tmp_path / "console").read_text()
    os.close(descriptor)
    loop.close()


def test_health_gives_handshakes_in_wall_time_and_no_secret() -> None:
    device = new_device(PlainPlane())
    device.set_private_keys([bytes(range(32))], 0.0)
    peer = device.add_peer([bytes(range(1, 33))], "cabin")
    device.set_preshared_keys(peer, [b"p" * 32])
    device.set_endpoint(peer, Endpoint("2001:db8::1", 51820))
    device.replace_allowed_ips(peer, ["10.2.0.0/24"])
    device.set_keepalive(peer, 25, 0.0)
    health = at_once(device_health(device, LiveDigest(device), now=100.0, wall=5000.0))
    assert health["peers"][0]["last_handshake"] is None
    peer.last_handshake = 90.0
    health = at_once(device_health(device, LiveDigest(device), now=100.0, wall=5000.0))
    assert health["peers"] == [
        {
            "name": "cabin",
            "public_key": "AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA=",
            "public_keys": ["AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA="],
            "preshared_keys": [hashlib.sha256(b"p" * 32).hexdigest()],
            "endpoint": "[2001:db8::1]:51820",
            "allowed_ips": ["10.2.0.0/24"],
            "last_handshake": 4990.0,
            "rx_bytes": 0,
            "tx_bytes": 0,
            "rx_packets": 0,
            "tx_packets": 0,
            "sessions": 0,
            "serial": 1,
            "persistent_keepalive": 25,
            "path_mtu": None,
        }
    ]
    assert health["live"] == LiveDigest(device)()
    assert "cHBwcHBw" not in str(health)


def test_a_surprise_while_starting_is_told_by_its_kind(tmp_path: Path) -> None:
    loop = Loop()
    with open(tmp_path / "console", "w") as console:
        gateway = Gateway(loop, Log(console.fileno()), FakePlatform(layers=Broken({}.__getitem__)))
        gateway.load()
    assert gateway.error is not None
    assert gateway.error.startswith("TypeError: ")
    loop.close()


class FakeShell:
    """A shell whose node runs."""

    def __init__(self, loop: Loop) -> None:
        self.slices = Slices(loop)
        self.paths = None
        self.device = new_device(PlainPlane())
        self.device.set_private_keys([bytes(range(32))], 0.0)
        self.device.start(0.0)
        self.flushed = 0

    @contextmanager
    def flushing(self) -> Iterator[None]:
        yield
        self.flushed += 1


def test_a_running_node_calls_a_peer_that_the_host_knows_a_place_for(tmp_path: Path) -> None:
    loop = Loop()
    with open(tmp_path / "console", "w") as console:
        gateway = Gateway(loop, Log(console.fileno()), FakePlatform())
        gateway.shell = shell = FakeShell(loop)  # type: ignore[assignment]
        gateway.config = NodeConfig("demo", "berlin", (), 1, (), *[LinkConfig("52:54:00:00:00:01", ())] * 2)
        here = shell.device.add_peer([bytes(range(1, 33))])
        there = shell.device.add_peer([bytes(range(2, 34))])
        shell.device.set_endpoint(there, Endpoint("192.0.2.7", 1))
        gateway.begin(
            5 * 10**18, {encode_key(here.public_key): "192.0.2.9:9", encode_key(there.public_key): "192.0.2.8:8"}
        )
        assert here.endpoint == Endpoint("192.0.2.9", 9)
        assert there.endpoint == Endpoint("192.0.2.7", 1), "where it is known to be"
        assert shell.flushed == 1
        assert gateway.stamps.last == 5 * 10**18, "the host was late"
        assert gateway.stamps() > struct.pack(">QI", TAI64_EPOCH + 5 * 10**9, 0)
        gateway.begin(0, {encode_key(here.public_key): "192.0.2.1:1"})
        assert (here.endpoint, shell.flushed) == (Endpoint("192.0.2.9", 9), 1)
    loop.close()


def test_entries_that_can_not_be_used_cost_no_other(tmp_path: Path) -> None:
    loop = Loop()
    with open(tmp_path / "console", "w") as console:
        gateway = Gateway(loop, Log(console.fileno()), FakePlatform())
        gateway.shell = shell = FakeShell(loop)  # type: ignore[assignment]
        gateway.config = NodeConfig("demo", "berlin", (), 1, (), *[LinkConfig("52:54:00:00:00:01", ())] * 2)
        peers = [shell.device.add_peer([bytes(range(fill, fill + 32))]) for fill in range(1, 9)]
        keys = [encode_key(peer.public_key) for peer in peers]
        odd = ["gate.example:1", "224.0.0.1:1", "192.0.2.1:0", "[fe80::1%3]:1", "[::]:1", "", "x" * 500]
        places = dict(zip(keys, [*odd, "192.0.2.8:8"], strict=True))
        gateway.begin(0, {"garbage": "192.0.2.9:9", "": "", **places})
        assert [peer.endpoint for peer in peers] == [None] * 7 + [Endpoint("192.0.2.8", 8)]
        assert shell.flushed == 1
    assert "9 of 10 endpoints" in (tmp_path / "console").read_text()
    loop.close()


def test_a_search_that_nobody_can_do_says_so_and_one_that_begins_tells_health(tmp_path: Path) -> None:
    loop = Loop()
    with open(tmp_path / "console", "w") as console:
        gateway = Gateway(loop, Log(console.fileno()), FakePlatform())
        told: list[dict[str, Any]] = []
        gateway.probe(None, told.append)
        gateway.shell = shell = FakeShell(loop)  # type: ignore[assignment]
        gateway.probe(None, told.append)
        shell.paths = object()  # type: ignore[assignment]
        gateway.health = lambda reply: reply({"peers": []})  # type: ignore[method-assign]
        searched: list[bytes | None] = []
        shell.search_again = lambda key: searched.append(key) or len(searched) - 1  # type: ignore[attr-defined]
        gateway.probe("garbage", told.append)
        gateway.probe(encode_key(bytes(32)), told.append)
        gateway.probe(None, told.append)
        searched.clear()
        gateway.probe(None, told.append, fresh=True)
    assert [one["error"].split()[0] for one in told[:4]] == ["this", "this", "a", "no"]
    assert [("peers" in one["health"]) for one in told[4:]] == [True, True]  # the last with nobody to search to yet
    assert "probe" in gateway.hello()["can"]
    loop.close()
