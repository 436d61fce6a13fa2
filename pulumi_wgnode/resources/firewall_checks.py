"""What keeps a firewall from doing what is asked of it, each with the way out: an uplink that is none, an SSH port that
we do not see, another firewall, a lock-out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Any

from pulumi_wgnode.call.kind import Properties
from pulumi_wgnode.call.log import Severity, log
from pulumi_wgnode.hosts.host import Host, HostError
from pulumi_wgnode.hosts.judging import firewalls
from pulumi_wgnode.hosts.networks import outside
from pulumi_wgnode.hosts.owners import Owner
from pulumi_wgnode.resources.firewall_state import paths_of, ssh_port, way_of
from wgnode.firewall import nft, unknown
from wgnode.firewall.others.foreign import Foreign
from wgnode.firewall.others.packet import Site
from wgnode.firewall.rules import Firewall


def require_uplink(host: Host, inputs: Properties, seen: Mapping[str, Any]) -> None:
    """Raises HostError, before anything is changed, where no packet would come in under the uplink's name."""
    if not (found := way_of(seen, inputs)).sound:
        raise HostError(f"host {host.name}: {found.way_out}")


def require_way_in(host: Host, firewall: Firewall, seen: Mapping[str, Any]) -> None:
    """Raises HostError where the firewall would shut out whoever asks; an update proves that by a new connection."""
    said = seen["ssh"]
    if len(said) != 4:
        return
    client = _plain(said[0])
    if client.is_loopback or any(client in one for one in firewall.management):
        return
    words = host.run(["ip", "-o", "route", "get", str(client)], check=False).stdout.split()
    way = words[words.index("dev") + 1] if "dev" in words[:-1] else firewall.uplink
    others = outside.facing(seen["routing"], firewall.uplink)
    if way != firewall.uplink and (way not in others or not unknown.judges(firewall, way, client)):
        return
    alone = "" if way == firewall.uplink else f", or {way} to firewall.leaveAlone"
    raise HostError(
        f"host {host.name}: the firewall would lock us out: our SSH comes from {client}, which is in none of"
        f" managementNetworks ({', '.join(map(str, firewall.management))}); add its network{alone} in the site's stack"
        " file"
    )


def tell_of_others(host: Host, inputs: Properties, seen: Mapping[str, Any]) -> None:
    """Which other interfaces lead outside too, hence are judged like the uplink."""
    found = outside.facing(seen["routing"], inputs["uplink"])
    if judged := [name for name in found if name not in inputs["leaveAlone"]]:
        log(
            f"{host.name}: {' and '.join(judged)} {'has' if len(judged) == 1 else 'have'} a route to the outside"
            f" beside the uplink {inputs['uplink']}: what comes in there from public addresses is judged like the"
            " uplink's (SSH from managementNetworks, firewall.allow); what is not to be judged goes into"
            " firewall.leaveAlone in the site's stack file",
            Severity.INFO,
        )


def require_ssh_port(host: Host, inputs: Properties, said: Sequence[str]) -> None:
    """Raises HostError, before anything is changed, where a forward in front of the host hides its real SSH port.

    One that is given explicitly is taken as it is: the way in of now may be another than the uplink. `said` is what
    the host says of the connection: the client, its port, the server, its port.
    """
    if "sshPort" in inputs or len(said) != 4 or ip_address(said[0].split("%")[0]).is_loopback:
        return
    if said[3] != str(ssh_port(inputs)):
        raise HostError(
            f"host {host.name}: its SSH listens on port {said[3]} behind a forward of port {ssh_port(inputs)}; the"
            f" firewall must let in the former: set `sshPort: {said[3]}` beside `port` under `host` in the site's stack"
            " file"
        )


def of_former_version(seen: Mapping[str, Any], own: str) -> Iterator[Owner]:
    """The host's other gateways whose tables drop by themselves, and so what ours lets in as well; `own` is our id."""
    for record in seen["owners"].records if seen["ruleset"] else ():
        table = nft.observed(seen["ruleset"], record.paths.table)
        drops = any(f"{hook}-drop" in table.order.get(hook, ()) for hook in ("input", "forward"))
        if record.owner.id != own and drops:
            yield record.owner


def tell_former(host: Host, inputs: Properties, seen: Mapping[str, Any]) -> None:
    for owner in of_former_version(seen, inputs["site"]["id"]):
        log(
            f"host {host.name}: the firewall of {owner} there is of a former version and drops what it does not let in"
            " itself, this site's ports, forwards and managementNetworks too, until the next `pulumi up` of its stack",
            Severity.WARNING,
        )


def firewalls_of(seen: Mapping[str, Any], inputs: Properties) -> list[Foreign]:
    """From what `firewall_state.look` has read."""
    return firewalls.of(seen, Site(transit=paths_of(inputs).transit_tap, uplink=inputs["uplink"]))


def require_open(host: Host, inputs: Properties, others: Iterable[Foreign]) -> None:
    """Raises HostError, before anything is changed, when another firewall drops what `allow` lets in."""
    if shut := shut_by_others(host, inputs, others):
        raise HostError(shut)


def shut_by_others(host: Host, inputs: Properties, others: Iterable[Foreign]) -> str:
    for one in others:
        shut = [
            (allowed["port"], allowed["protocol"])
            for allowed in inputs["allow"]
            if one.blocks_port(allowed["port"], allowed["protocol"], map(ip_network, allowed["from"]))
        ]
        if shut:
            return (
                f"host {host.name}: another firewall, {one}, drops port {', '.join(str(port) for port, _ in shut)},"
                f" which firewall.allow lets in; open it there too ({'; '.join(one.way_in(*each) for each in shut)}),"
                " or take it out of the site's stack file"
            )
    return ""


def _plain(address: str) -> IPv4Address | IPv6Address:
    """Without its zone, and IPv4 as such."""
    parsed = ip_address(address.split("%")[0])
    return getattr(parsed, "ipv4_mapped", None) or parsed
