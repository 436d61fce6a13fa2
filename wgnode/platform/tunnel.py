"""What a configuration wants of the tunnel's interface; pure."""

from __future__ import annotations

from wgnode.nodeconfig import NodeConfig

DEFAULT_ROUTES = ("0.0.0.0/0", "::/0")


def routes(config: NodeConfig) -> dict[str, int | None]:
    """Everything that is routed into the tunnel, with the MTU of the way if that is smaller than the tunnel's."""
    return {
        network: peer.mtu for peer in config.everybody for network in peer.allowed_ips if network not in DEFAULT_ROUTES
    }


def without_route(config: NodeConfig) -> list[str]:
    """Default routes: one through the tunnel would carry the tunnel's own datagrams too, so it is not made."""
    return [network for peer in config.peers for network in peer.allowed_ips if network in DEFAULT_ROUTES]


def differences(old: NodeConfig, new: NodeConfig) -> str | None:
    """What has to be changed at the interface to come from one to the other, in words; None for nothing."""
    changes = {
        "the tunnel's addresses": set(old.addresses) != set(new.addresses),
        "its MTU": old.mtu != new.mtu,
        "routes into it": routes(old) != routes(new),
    }
    return " and ".join(what for what, differs in changes.items() if differs) or None
