"""What of a host's own set-up cannot work with a gateway, each with the way out."""

from __future__ import annotations

from collections.abc import Iterable

from infra.hosts import network
from infra.hosts.host import Host, HostError
from infra.hosts.network import Network
from infra.provider.kind import Properties
from infra.provider.log import Severity, log
from wgnode.firewall.foreign import Foreign


def require_static(host: Host, lan: str, links: str) -> None:
    """Raises HostError when something on the host keeps the LAN interface's addresses there."""
    if not network.to_be_taken_over(links, lan):
        return
    state = host.run(["nmcli", "--get-values", "GENERAL.STATE", "device", "show", lan], check=False)
    if state.code == 0 and state.stdout.strip() and "unmanaged" not in state.stdout:
        keeper = f"NetworkManager manages {lan}"
    elif addresses := network.leased(links, lan):
        keeper = f"{lan} has {' and '.join(addresses)} by DHCP"
    else:
        return
    raise HostError(
        f"host {host.name}: {keeper}, and that would go on when {lan} is a port of our bridge. Either make a bridge"
        f" with {lan} as its port and the host's address on it, by whatever configures {lan} now, and give that bridge"
        f" as lan.interface; or give {lan} a static address by ifupdown or systemd-networkd"
    )


def require_forwarding(host: Host, firewalls: Iterable[Foreign]) -> None:
    """Raises HostError when another firewall drops what the gateway needs forwarded, as far as the host can tell."""
    if blocking := _blocking(host, firewalls):
        raise HostError(f"{blocking}\nThen run it again")


def warn_of(host: Host, firewalls: Iterable[Foreign]) -> None:
    """Of the same, where it has come after the deployment: no drift of ours, but packets are lost."""
    if blocking := _blocking(host, firewalls):
        log(blocking, Severity.WARNING)


def _blocking(host: Host, firewalls: Iterable[Foreign]) -> str:
    ways = [f"\n  {one}: {one.way_out}" for one in firewalls if one.hook == "forward" and not one.passes_us]
    if not ways:
        return ""
    return (
        f"host {host.name}: another firewall drops what the gateway needs forwarded. Let it through, permanently:"
        + "".join(ways)
    )


def require_neighbours(host: Host, wanted: Network, links: str) -> None:
    """Raises HostError when the host is not in the LAN where its routes' next hops are."""
    if strange := network.strange_next_hops(links, wanted):
        raise HostError(
            f"host {host.name}: {wanted.lan} has no address in the network of {' and '.join(strange)}, the gateway's,"
            f" so the host cannot route to it. Give {wanted.lan} an address in that LAN,"
            " or take proxy-arp or masquerade for lan.reach"
        )


def explain(host: Host, lan: str, found: Properties) -> None:
    """Drift that has a usual reason is told with it."""
    in_bridge = f"in {network.BRIDGE}, "
    link = found["links"].get(lan, "")
    if in_bridge in link:
        log(
            f"{host.name}: {lan} has got {link.partition(in_bridge)[2]} of its own again, which is {network.BRIDGE}'s,"
            " as when networking is restarted; until `pulumi up` (or `systemctl reload wgnode-network`) moves it, the"
            " host may not reach its LAN",
            Severity.WARNING,
        )
