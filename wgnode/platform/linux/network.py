"""Bring the gateway's links up as its configuration says (rtnetlink(7), /proc/sys)."""

from __future__ import annotations

import contextlib

from wgnode.io.netlink import Rtnetlink
from wgnode.nodeconfig import LinkConfig, NodeConfig
from wgnode.platform.linux import features
from wgnode.platform.linux.announce import announce
from wgnode.platform.linux.sysctl import write_sysctl
from wgnode.platform.tunnel import DEFAULT_ROUTES, routes, without_route
from wgnode.work import Work

WAN, LAN = "wan", "lan"
"""What the transit link's and the LAN's card are called in the gateway."""

SEGMENTATION = "tx-udp-segmentation"


class Network:
    """Of the network namespace of the calling thread. Raises OSError, naming what failed."""

    def prepare(self, config: NodeConfig) -> None:
        """Masquerading comes before anything can be forwarded."""
        if config.lan.masquerade:
            from wgnode.platform.linux import masquerade  # only who asks for it pays for it

            masquerade.start(config.interface, WAN, LAN, config.lan.addresses)
        self.configure_links(config)

    def configure_links(self, config: NodeConfig) -> None:
        """Loopback, the transit link ("wan") and the LAN link ("lan"), found by MAC."""
        with Rtnetlink() as kernel:
            kernel.set_link(kernel.link("lo").index, up=True)
            _configure(kernel, config.transit, WAN)
            _configure(kernel, config.lan, LAN)

    def announce(self, config: NodeConfig) -> None:
        for name, link in ((WAN, config.transit), (LAN, config.lan)):
            announce(name, link.mac, link.addresses)

    def configure_tunnel(self, config: NodeConfig, name: str) -> list[str]:
        """Addresses of the TUN interface and routes to the peers. Returns allowed IPs that got no route."""
        with Rtnetlink() as kernel:
            index = kernel.link(name).index
            # Else the kernel would drop, with an address that goes, all others of the same network.
            write_sysctl(f"net/ipv4/conf/{name}/promote_secondaries", 1)
            for address in config.addresses:
                kernel.add_address(index, address)
            kernel.set_link(index, up=True)
            for network, mtu in sorted(routes(config).items()):
                kernel.add_route(network, index=index, mtu=mtu)
        return without_route(config)

    def change_tunnel(self, old: NodeConfig, new: NodeConfig, name: str) -> Work[list[str]]:
        """From one configuration's addresses, routes and MTU of the tunnel to another's: first what comes, then what
        goes. Returns allowed IPs that got no route. It may be tried again after an error. A step an address or a route.
        """
        had, has = routes(old), routes(new)
        with Rtnetlink() as kernel:
            index = kernel.link(name).index
            kernel.set_link(index, mtu=new.mtu)
            for address in set(new.addresses) - set(old.addresses):
                yield True
                kernel.add_address(index, address)
            for network, mtu in has.items() - had.items():
                yield True
                kernel.add_route(network, index=index, mtu=mtu)
            for network in had.keys() - has.keys():
                yield True
                kernel.delete_route(network, index=index)
            for address in set(old.addresses) - set(new.addresses):
                yield True
                kernel.delete_address(index, address)
        return without_route(new)


def cut_trains_late(name: str) -> None:
    """A card that takes trains of datagrams gets them: for virtio's, Linux (6.12) offers that and leaves it off."""
    with contextlib.suppress(OSError):  # packets go without
        features.change(name, SEGMENTATION, "on")


def _configure(kernel: Rtnetlink, link: LinkConfig, name: str) -> None:
    """The addresses first, so that the kernel announces them (gratuitous ARP, unsolicited neighbour advertisement)
    as the link goes up: another gateway may have had them a moment ago.

    Proxy ARP answers at once (the kernel's own delay is up to 0.8 s). IPv6 knows no proxy for whole prefixes.
    """
    index = kernel.link_by_mac(link.mac).index
    kernel.set_link(index, name=name)
    cut_trains_late(name)
    write_sysctl(f"net/ipv4/conf/{name}/arp_notify", 1)
    write_sysctl(f"net/ipv6/conf/{name}/ndisc_notify", 1)
    if link.proxy_arp:
        write_sysctl(f"net/ipv4/conf/{name}/proxy_arp", 1)
        write_sysctl(f"net/ipv4/neigh/{name}/proxy_delay", 0)
    for address in link.addresses:
        kernel.add_address(index, address)
    kernel.set_link(index, up=True)
    for gateway in link.gateways:
        kernel.add_route(DEFAULT_ROUTES[":" in gateway], via=gateway, index=index)
