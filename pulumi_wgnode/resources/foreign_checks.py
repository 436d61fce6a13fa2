"""Other firewalls on a host that keep a gateway from its packets: refused where that is sure, warned of where not."""

from __future__ import annotations

from collections.abc import Iterable

from pulumi_wgnode.call.kind import Properties, has_unknown
from pulumi_wgnode.call.log import Severity, log
from pulumi_wgnode.hosts.host import Host, HostError
from pulumi_wgnode.resources.hypervisor_state import Traits
from wgnode.firewall.others.foreign import Foreign
from wgnode.firewall.others.packet import FAMILIES, Family, Network, Path, Site
from wgnode.topology import networks
from wgnode.topology.model import DEFAULT_LISTEN_PORT
from wgnode.topology.transit import Transit


def site_of(inputs: Properties, traits: Traits) -> Site:
    """What the gateway of a HypervisorHost needs, by its inputs and what the host is.

    Routes and port may be unknown, as on the first preview of a mesh in the same program, and other inputs are without
    their defaults then: no routes are counted on, but the usual port.
    """
    given, port = inputs["networks"], inputs.get("listenPort")
    routes = given.get("routes")
    families = FAMILIES if traits.ipv6 else FAMILIES[:1]
    remote = _by_family(route["to"] for route in ([] if has_unknown(routes) else routes or []))
    transit = given.get("transit") or {}
    guests = () if has_unknown(transit) else Transit.of(transit.get("v4"), transit.get("v6")).guest
    return Site(
        transit=traits.paths.transit_tap,
        bridge=traits.bridge,
        uplink=given["uplink"],
        listen_port=DEFAULT_LISTEN_PORT if port is None or has_unknown(port) else int(port),
        families=families,
        routed=tuple(family for family in families if remote.get(family)),
        guests={family: nets[0] for family, nets in _by_family(one.split("/")[0] for one in guests).items()},
        remote=remote,
    )


def _by_family(texts: Iterable[str]) -> dict[Family, tuple[Network, ...]]:
    found: dict[Family, list[Network]] = {}
    for network in map(networks.of, texts):
        found.setdefault("ip" if network.version == 4 else "ip6", []).append(network)
    return {family: tuple(those) for family, those in found.items()}


def require_forwarding(host: Host, firewalls: Iterable[Foreign]) -> None:
    """Raises HostError when another firewall drops what the gateway needs; warns of one of which that is not sure."""
    firewalls = list(firewalls)
    _warn_unsure(host, firewalls)
    if blocking := _dropped(host, firewalls):
        raise HostError(f"{blocking}\nThen run it again")


def warn_of(host: Host, firewalls: Iterable[Foreign]) -> None:
    """Of the same, where it has come after the deployment: no drift of ours, but packets are lost."""
    firewalls = list(firewalls)
    _warn_unsure(host, firewalls)
    if blocking := _dropped(host, firewalls):
        log(blocking, Severity.WARNING)


def _dropped(host: Host, firewalls: Iterable[Foreign]) -> str:
    found = [_told(one, one.dropped) for one in firewalls if one.dropped]
    return (
        found
        and (
            f"host {host.name}: another firewall drops what the gateway needs forwarded. Let it through, permanently:"
            + "".join(found)
        )
    ) or ""


def _warn_unsure(host: Host, firewalls: Iterable[Foreign]) -> None:
    if found := [_told(one, one.unsure) for one in firewalls if one.unsure and not one.dropped]:
        log(
            f"host {host.name}: another firewall may drop what the gateway needs, or some of it; its rules don't tell"
            " surely. If packets are lost, let them through:" + "".join(found),
            Severity.DOUBT,
        )


def _told(one: Foreign, paths: Iterable[Path]) -> str:
    names = list(dict.fromkeys(path.name for path in paths))
    return f"\n  {one}: {one.way_out}\n    ({'; '.join(names)})"
