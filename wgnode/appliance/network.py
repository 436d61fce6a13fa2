"""Bring the gateway's links up as its configuration says."""

from __future__ import annotations

from wgnode.io.netlink import Rtnetlink, write_sysctl
from wgnode.nodeconfig import LinkConfig, NodeConfig

DEFAULT_ROUTES = ("0.0.0.0/0", "::/0")
WAN, LAN = "wan", "lan"
"""What the transit link's and the LAN's card are called in the gateway."""


def configure_links(config: NodeConfig) -> None:
    """Loopback, the transit link ("wan") and the LAN link ("lan"), found by MAC. Raises OSError, naming what failed."""
    with Rtnetlink() as kernel:
        kernel.set_link(kernel.link("lo").index, up=True)
        _configure(kernel, config.transit, WAN)
        _configure(kernel, config.lan, LAN)


def configure_masquerade(config: NodeConfig) -> None:
    """Comes before anything can be forwarded. Raises OSError, naming what failed."""
    if config.lan.masquerade:
        from wgnode.appliance import masquerade  # only who asks for it pays for it

        masquerade.start(config.interface, WAN, LAN)


def configure_tunnel(config: NodeConfig) -> list[str]:
    """Addresses of the TUN interface and routes to the peers. Returns allowed IPs that got no route.

    A default route through the tunnel would carry the tunnel's own datagrams too, so it is not made.
    """
    skipped = []
    with Rtnetlink() as kernel:
        index = kernel.link(config.interface).index
        for address in config.addresses:
            kernel.add_address(index, address)
        kernel.set_link(index, up=True)
        for peer in config.peers:
            for network in peer.allowed_ips:
                if network in DEFAULT_ROUTES:
                    skipped.append(network)
                else:
                    kernel.add_route(network, index=index)
    return skipped


def _configure(kernel: Rtnetlink, link: LinkConfig, name: str) -> None:
    """Proxy ARP answers at once (the kernel's own delay is up to 0.8 s). IPv6 knows no proxy for whole prefixes."""
    index = kernel.link_by_mac(link.mac).index
    kernel.set_link(index, name=name)
    if link.proxy_arp:
        write_sysctl(f"net/ipv4/conf/{name}/proxy_arp", 1)
        write_sysctl(f"net/ipv4/neigh/{name}/proxy_delay", 0)
    kernel.set_link(index, up=True)
    for address in link.addresses:
        kernel.add_address(index, address)
    for gateway in link.gateways:
        kernel.add_route(DEFAULT_ROUTES[":" in gateway], via=gateway, index=index)
