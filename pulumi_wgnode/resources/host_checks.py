"""What of a host's own set-up cannot work with a gateway, each with the way out."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from ipaddress import (
    IPv4Interface,
    IPv6Interface,
    ip_address,
    ip_interface,
)

from pulumi_wgnode.call.kind import Properties
from pulumi_wgnode.call.log import Severity, log
from pulumi_wgnode.hosts.host import Host, HostError
from pulumi_wgnode.hosts.networks import network
from pulumi_wgnode.hosts.networks.network import Network
from pulumi_wgnode.hosts.query import Query, answer
from wgnode import formats
from wgnode.hostd.state import FILE, FORMAT


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


def require_own_routes(host: Host, wanted: Network, routes: str) -> None:
    """Raises HostError where another gateway of the host has a route to one of our networks."""
    others = network.routes_of_others(routes, wanted.protocol)
    if both := sorted(set(wanted.routes) & set(others)):
        raise HostError(
            f"host {host.name}: another gateway on it has the route to {' and '.join(both)} already, and a host can"
            " have one only: its mesh and this one have a site with the same LAN. Renumber one of the two LANs, or take"
            " proxy-arp or masquerade for lan.reach"
        )


def require_memory(host: Host, mebibytes: int, unit: str) -> None:
    """Raises HostError where a guest of so much memory has no place, the one that runs now, by `unit`, being gone."""
    free, used = answer(host, _memory(unit))
    if mebibytes > free + used:
        running = f" ({used} MiB of them the present gateway's)" if used else ""
        raise HostError(
            f"host {host.name}: the gateway's guest is to have {mebibytes} MiB of memory, but {free + used} MiB are"
            f" available{running}; stop something there, or lower gateway.memory in the site's stack file"
        )


def require_known_state(host: Host, directory: str) -> None:
    """Raises HostError where what the gateway's companion keeps there was written by a newer version: this one's would
    set it aside, and begin without it."""
    file = f"{directory}/{FILE}"
    found = answer(host, Query(["head", "-c", str(_BEGINNING), file], lambda said: _FORMAT.match(said.stdout.strip())))
    if found and (why := formats.newer(file, int(found[1]), FORMAT)):
        raise HostError(f"host {host.name}: {why}")


def require_port(host: Host, port: int, listeners: str, wireguard: str) -> None:
    """Raises HostError where somebody on the host listens on the port that is to lead to the gateway.

    `listeners` is from `ss` and `wireguard` from `wg`, as in LISTENERS: the kernel's sockets have no process.
    """
    owners = set()
    for line in listeners.splitlines():
        local = line.split()[3]
        address, _, number = local.rpartition(":")
        if number == str(port) and not ip_address(address.strip("[]").split("%")[0].replace("*", "::")).is_loopback:
            owners.add(_owner(line, port, wireguard))
    if owners:
        raise HostError(
            f"host {host.name}: UDP port {port} is taken by {' and '.join(sorted(owners))}, which would hear nothing"
            " any more once the port leads to the gateway; stop it there, or choose another port for the mesh:"
            " `wgmesh:mesh.listenPort` in its stack file"
        )


def require_own_address(host: Host, addresses: Iterable[str]) -> str:
    """What READ_LINKS says. Raises HostError where the host itself has an address that is to be its gateway's."""
    links = answer(host, Query(network.READ_LINKS, lambda said: said.stdout, check=True))
    for name, own in _own_addresses(links):
        if own.ip in [ip_interface(address).ip for address in addresses]:
            raise own_address(host, str(own.ip), name)
    return links


def own_address(host: Host, address: str, interface: str) -> HostError:
    return HostError(
        f"host {host.name}: {address} is to be the gateway's address in the LAN, but is the host's own, on"
        f" {interface}; give the gateway another in the site's stack file"
    )


def _own_addresses(links: str) -> Iterator[tuple[str, IPv4Interface | IPv6Interface]]:
    for link in json.loads(links):
        for entry in link["addr_info"]:
            yield link["ifname"], ip_interface(f"{entry['local']}/{entry['prefixlen']}")


def _owner(line: str, port: int, wireguard: str) -> str:
    if match := re.search(r'users:\(\("([^"]*)",pid=(\d+)', line):
        return f"{match[1]} (pid {match[2]})"
    names = [name for name, number in (one.split() for one in wireguard.splitlines()) if number == str(port)]
    return f"the WireGuard interface {names[0]}" if names else "the kernel"


_BEGINNING = 64  # bytes; the keys are sorted, the format's is the first
_FORMAT = re.compile(r'\{\s*"format":\s*([0-9]{1,9})\s*[,}]')
LISTENERS: dict[str, Query[str]] = {
    "listeners": Query(["ss", "-H", "-n", "-l", "-u", "-p"], lambda said: said.stdout),
    "wireguard": Query(["wg", "show", "all", "listen-port"], lambda said: said.stdout if said.code == 0 else ""),
}
# What the process of the guest holds, QEMU, beside the pages of files, which count as available already.
_READ_MEMORY = """awk '/^MemAvailable:/ { print $2 }' /proc/meminfo
awk '/^Rss(Anon|Shmem):/ { held += $2 } END { print held + 0 }' "/proc/$(systemctl show -P MainPID "$1")/status" ||
echo 0"""


def _memory(unit: str) -> Query[tuple[int, ...]]:
    return Query(
        ["sh", "-c", _READ_MEMORY, "memory", unit],
        lambda said: tuple(int(line) // 1024 for line in said.stdout.split()[:2]),
        check=True,
    )


def explain(host: Host, lan: str, found: Properties, bridge: str) -> None:
    """Drift that has a usual reason is told with it."""
    in_bridge = f"in {bridge}, "
    link = found["links"].get(lan, "")
    if in_bridge in link:
        log(
            f"{host.name}: {lan} has got {link.partition(in_bridge)[2]} of its own again, which is {bridge}'s,"
            " as when networking is restarted; until `pulumi up` (or `systemctl reload wgnode-network`) moves it, the"
            " host may not reach its LAN",
            Severity.WARNING,
        )
