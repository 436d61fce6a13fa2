"""What of a host's own set-up cannot work with a gateway, each with the way out."""

from __future__ import annotations

from infra.hosts import facts, network
from infra.hosts.host import Host, HostError
from infra.hosts.network import Network
from infra.provider.kind import Properties
from infra.provider.log import Severity, log


def require_static(host: Host, lan: str) -> None:
    """Raises HostError when something on the host keeps the LAN interface's addresses there."""
    links = host.run(network.READ_LINKS).stdout
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


def require_forwarding(host: Host) -> None:
    """Raises HostError when another firewall drops what the gateway needs forwarded, as far as the host can tell."""
    firewalls = facts.foreign_firewalls(host)
    if blocking := [one for one in firewalls if one.hook == "forward" and not one.passes_us]:
        ways = "\n".join(f"  {one}: {one.way_out}" for one in blocking)
        raise HostError(
            f"host {host.name}: another firewall drops what the gateway needs forwarded. Let it through, permanently,"
            f" then run it again:\n{ways}"
        )


def require_neighbours(host: Host, wanted: Network) -> None:
    """Raises HostError when the host is not in the LAN where its routes' next hops are."""
    if strange := network.strange_next_hops(host.run(network.READ_LINKS).stdout, wanted):
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
