"""What a site's gateway says, and the status that is made of it."""

from __future__ import annotations

from typing import Any

from pulumi_wgnode.operations.site_parts import Part
from pulumi_wgnode.operations.site_status import Answer, SiteStatus, judge
from pulumi_wgnode.operations.stacks import StackError
from wgnode.image import paths
from wgnode.nodeconfig import LinkConfig, NodeConfig, PeerConfig, encode_key

NOW = 1_000_000.0
CABIN, FARM = bytes([2]) * 32, bytes([3]) * 32
CONFIG = NodeConfig(
    mesh="dev",
    name="berlin",
    public_keys=(bytes([1]) * 32,),
    listen_port=51820,
    addresses=("10.99.0.1/24",),
    transit=LinkConfig(paths.TRANSIT_MAC, ("172.31.255.254/30",), ("172.31.255.253",)),
    lan=LinkConfig("52:54:00:aa:bb:cc", ("10.1.0.2/24",)),
    peers=(
        PeerConfig("cabin", (CABIN,), ("10.99.0.2/32", "10.2.0.0/24")),
        PeerConfig("farm", (FARM,), ("10.99.0.3/32", "10.3.0.0/24"), "203.0.113.9:51820"),
    ),
)
IMAGE = "ab" * 32
WELL = tuple(Part(name, "as wanted") for name in ("host", "firewall", "image", "gateway"))


def peer(name: str, **changes: Any) -> dict[str, Any]:
    configured = next(one for one in CONFIG.peers if one.name == name)
    raw = {
        "name": name,
        "public_key": encode_key(configured.public_keys[0]),
        "endpoint": configured.endpoint or "192.0.2.7:40000",
        "allowed_ips": list(configured.allowed_ips),
        "last_handshake": NOW - 60,
        "rx_bytes": 2048,
        "tx_bytes": 1024,
        "persistent_keepalive": 0,
    }
    return {**raw, **changes}


def health(*peers: dict[str, Any], **changes: Any) -> dict[str, Any]:
    raw = {"status": "running", "loaded": CONFIG.digest, "live": "cd" * 32, "uptime": 300.0}
    return {**raw, "peers": list(peers) or [peer("cabin"), peer("farm")], **changes}


def status(raw: dict[str, Any], config: NodeConfig | None = CONFIG) -> SiteStatus:
    return judge("dev-berlin", "berlin", "root@fake", Answer(raw, IMAGE, config), WELL, NOW)


def with_parts(parts: tuple[Part, ...] | StackError) -> SiteStatus:
    return judge("dev-berlin", "berlin", "root@fake", Answer(health(), IMAGE, CONFIG), parts, NOW)
