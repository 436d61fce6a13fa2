"""Who configures the LAN interface of a host, and whether a restart of theirs leaves it with the gateway.

Judged by the functions of managers.sh and moving.sh, which network.sh itself goes by.
"""

from __future__ import annotations

from dataclasses import dataclass

from pulumi_wgnode.hosts.host import Host, HostError
from pulumi_wgnode.hosts.networks.network import Network, script

_NAMES = {"networkd": "systemd-networkd"}


@dataclass(frozen=True)
class LanManager:
    """`name` is "" where nobody does that we know; `kept`, that all is written that keeps it from taking the LAN back.

    `obstacles` are what cannot move to our bridge with the LAN interface, in words.
    """

    name: str = ""
    kept: bool = False
    obstacles: tuple[str, ...] = ()

    def described(self, lan: str) -> dict[str, str]:
        """Among the links of a host."""
        return wanted(self.name, lan) if self.kept else {}


def wanted(name: str, lan: str) -> dict[str, str]:
    return {f"{lan} under {name}": "left alone"} if name else {}


def look(host: Host, network: Network) -> LanManager:
    said = host.run(["sh", "-s", "report"], input=script(network).encode(), check=False)
    first, *obstacles = said.stdout.splitlines() or [""]
    name, _, kept = first.partition(" ")
    return LanManager(_NAMES.get(name, name), kept == "kept", tuple(obstacles))


def require_movable(host: Host, seen: LanManager) -> None:
    """Raises HostError, before anything is touched, where something of the LAN interface would be lost."""
    if seen.obstacles:
        raise HostError(
            f"host {host.name}: {'; '.join(seen.obstacles)}. Change that there, or make a bridge with the LAN interface"
            " as its port and all of this on it, and give that bridge as lan.interface in the site's stack file"
        )
