"""The cards, which the image's manifest has configured, and the tunnel's one network. No netlink: see interfaces.py."""

from __future__ import annotations

import errno
from collections.abc import Callable
from ipaddress import IPv4Address, IPv4Interface

from wgnode.io.tun import Tun, get_mtu, set_mtu
from wgnode.nanos import fits
from wgnode.nanos.words import Environment
from wgnode.nodeconfig import LinkConfig, NodeConfig
from wgnode.platform.nanos.forward import forwards
from wgnode.platform.nanos.interfaces import Control
from wgnode.platform.tunnel import without_route
from wgnode.work import Work

TRANSIT, LAN = "en1", "en2"
"""Nanos names cards in the order of the PCI bus; en1's gateway is the default route (src/net/net.c)."""


class Cards:
    """`told` is what the image has; `tun()` the interface that was made. Raises OSError, naming what failed."""

    def __init__(self, told: Environment, tun: Callable[[], Tun | None]) -> None:
        self._told, self._tun = told, tun

    def prepare(self, config: NodeConfig) -> None:
        """Refuses what Nanos can't do, and a configuration for another image than this."""
        if found := fits.problems(config):
            raise OSError(errno.EOPNOTSUPP, "; ".join(found))
        if stale := stale_image(config, self._told):
            raise OSError(errno.EINVAL, stale)
        with Control() as control:
            for name, link in ((TRANSIT, config.transit), (LAN, config.lan)):
                _prepare(control, name, link)

    def announce(self, config: NodeConfig) -> None:
        """lwIP announces an address by itself as it is set, or its link goes up; there is no other way to make it."""

    def configure_tunnel(self, config: NodeConfig, name: str) -> list[str]:
        network = _tunnel_network(config)
        _check_mtu(name, config.mtu)
        with Control() as control:
            control.set_address(name, network)
            control.set_up(name)
        self._prove_forwarding(config, network)
        return without_route(config)

    def change_tunnel(self, old: NodeConfig, new: NodeConfig, name: str) -> Work[list[str]]:
        """The network as a whole: packets to who stays in it go on. What goes may be led into the tunnel for longer
        than it has a peer there, who is then told that there is none."""
        if found := fits.problems(new):
            raise OSError(errno.EOPNOTSUPP, "; ".join(found))
        yield True
        if old.mtu != new.mtu:
            set_mtu(name, new.mtu)
            _check_mtu(name, new.mtu)
        with Control() as control:
            control.set_address(name, _tunnel_network(new))
        return without_route(new)

    def _prove_forwarding(self, config: NodeConfig, network: IPv4Interface) -> None:
        tun = self._tun()
        if tun is None or self._told.unproven:
            return
        source, to = _other(network), _other(fits.only_ipv4(config.lan))
        if not forwards(tun.fd, source, to):
            raise OSError(
                errno.EOPNOTSUPP,
                f"this kernel does not forward: nobody answered a packet from {source} to {to} whose time ends here;"
                " build Nanos with IP_FORWARD 1 in src/net/lwipopts.h (docs/how-to/nanos.md)",
            )


def stale_image(config: NodeConfig, told: Environment) -> str | None:
    """Why an image was made for another configuration than this one, None where it fits."""
    wanted = (fits.only_ipv4(config.transit), fits.next_hop(config.transit), fits.only_ipv4(config.lan))
    has = (told.transit, told.next_hop, told.lan)
    names = ("the transit link's address", "its next hop", "the LAN's address")
    differing = [f"{name} is {w}, in the image {h}" for name, w, h in zip(names, wanted, has, strict=True) if w != h]
    return f"the image is another's: {'; '.join(differing)}; make it anew (wgnode image nanos)" if differing else None


def _prepare(control: Control, name: str, link: LinkConfig) -> None:
    """Raises OSError, also where the cards are in another order than ours."""
    try:
        mac = control.mac(name)
        control.set_address(name, fits.only_ipv4(link))
        control.set_up(name)
    except OSError as error:
        raise OSError(error.errno, f"card {name} ({link.mac}): {error}") from None
    if mac not in (None, link.mac):
        raise OSError(errno.ENODEV, f"card {name} is {mac} and not {link.mac}: QEMU has them in another order")


def _tunnel_network(config: NodeConfig) -> IPv4Interface:
    try:
        return fits.tunnel_network(config)
    except ValueError as error:
        raise OSError(errno.EOPNOTSUPP, str(error)) from None


def _check_mtu(name: str, mtu: int) -> None:
    if (has := get_mtu(name)) != mtu:
        raise OSError(errno.EINVAL, f"{name} was to have an MTU of {mtu} bytes and has {has}")


def _other(own: IPv4Interface) -> IPv4Address:
    """Another address of the network, whoever's."""
    return next(IPv4Address(int(own.ip) ^ bit) for bit in (1, 2, 3))
