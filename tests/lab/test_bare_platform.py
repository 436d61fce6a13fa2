"""A gateway on a platform that has nothing talks to an ordinary node: who made its machine gave it a TUN and addresses.

No netlink socket, no watch of routing, no socket options, no control channel, no machine of its own.
"""

from __future__ import annotations

import base64
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab import programs
from tests.lab.interop import Bench, bench, run, wait_for
from wgnode.nodeconfig import LinkConfig, NodeConfig, NodeSecrets, PeerConfig

pytestmark = pytest.mark.lab
PROGRAM = Path(__file__).with_name("bare_gateway.py")
NOWHERE = LinkConfig("02:00:00:00:00:01", ())


@pytest.fixture
def cable(tmp_path: Path) -> Iterator[Bench]:
    with bench(tmp_path) as made:
        yield made


def keys() -> tuple[bytes, bytes]:
    """Private and public."""
    private = run("wg", "genkey").strip()
    return base64.b64decode(private), base64.b64decode(run("wg", "pubkey", text=private))


@pytest.mark.parametrize("plane", programs.PLANES)
def test_a_gateway_without_any_part_of_a_platform_talks_to_a_node(cable: Bench, plane: str, tmp_path: Path) -> None:
    programs.ours(plane)  # skips where it is not built
    node = cable.node(2)
    private, public = keys()
    peer = PeerConfig(
        "cabin", (base64.b64decode(node.public_key),), ("10.9.0.2/32", "fd09::2/128"), node.endpoint(4),
        persistent_keepalive=1,
    )  # fmt: skip
    config = NodeConfig("dev", "bare", (public,), 51820, ("10.9.0.1/24",), NOWHERE, NOWHERE, (peer,), interface="bare0")
    (tmp_path / "config").write_bytes(config.to_json())
    (tmp_path / "secrets").write_bytes(NodeSecrets((private,)).to_json())
    node.set("peer", base64.b64encode(public).decode(), "allowed-ips", "10.9.0.1/32,fd09::1/128")
    space, log = cable.spaces[0], tmp_path / "bare.log"
    space.run("ip", "tuntap", "add", "bare0", "mode", "tun")
    for address in ("10.9.0.1/24", "fd09::1/64"):
        space.run("ip", "address", "add", address, "dev", "bare0", *(["nodad"] if ":" in address else []))
    space.run("ip", "link", "set", "bare0", "up")
    process = space.spawn(
        sys.executable, PROGRAM, tmp_path / "config", tmp_path / "secrets", log=log, WGNODE_DATAPLANE=plane
    )
    wait_for(node.handshake, f"no handshake; see {log}: {log.read_text()}")
    for address in ("10.9.0.2", "fd09::2"):
        assert " 0% packet loss" in space.run("ping", "-c", "3", "-i", "0.2", "-W", "2", "-s", "1300", address)
    assert process.poll() is None, log.read_text()
    assert "dev/bare up, port 51820, 1 peers" in log.read_text()
    assert node.show("endpoints") == "192.0.2.1:51820"
