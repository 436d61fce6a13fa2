"""What keeps a host from carrying a gateway, and what is said of one that does: before anything is changed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pulumi_wgnode.call.kind import Properties
from pulumi_wgnode.call.log import Severity, log
from pulumi_wgnode.hosts import units
from pulumi_wgnode.hosts.host import Host, HostError
from pulumi_wgnode.hosts.judging import firewalls
from pulumi_wgnode.hosts.networks import lan_manager, network, uplink
from pulumi_wgnode.hosts.networks.network import MissingInterface
from pulumi_wgnode.hosts.packages import supported
from pulumi_wgnode.resources import foreign_checks, host_checks
from pulumi_wgnode.resources.foreign_checks import site_of
from pulumi_wgnode.resources.hypervisor_state import Traits, Wanted, interfaces_of, traits_of, uplink_site, way_of


def tell_of_other_ways(host: Host, seen: Mapping[str, Any], wanted: Wanted) -> None:
    """What a site whose uplink is right does not reach by it, hence not at all."""
    if others := uplink.partly(seen["routing"], wanted.site):
        log(
            f"host {host.name}: not by the uplink {wanted.site.uplink} but otherwise goes what is for"
            f" {', '.join(others)}: the gateway's packets there are dropped",
            Severity.WARNING,
        )


def require_usable(host: Host, inputs: Properties, seen: Mapping[str, Any], traits: Traits) -> None:
    """Raises HostError, before anything is changed, for what cannot work."""
    if seen["release"].architecture == supported.UNTRIED:
        log(f"host {host.name}: it is of {supported.UNTRIED}, on which no host was ever tried", Severity.WARNING)
    way = uplink_site(inputs, traits.paths)
    if wrong := way_of(seen, way).way_out or uplink.lan_of_uplink(seen["links"], way):
        raise HostError(f"host {host.name}: {wrong}")
    try:
        network.lan_bridge(seen["links"], interfaces_of(inputs, traits.paths))
    except MissingInterface as error:
        raise HostError(f"host {host.name}: {error}; correct it in the site's stack file") from None
    host_checks.require_static(host, inputs["networks"]["lanInterface"], seen["links"])
    lan_manager.require_movable(host, seen["lan"])
    site = site_of(inputs, traits_of(seen, inputs, traits))
    foreign_checks.require_forwarding(host, firewalls.of(seen, site))


def require_no_gateway(host: Host, unit: str) -> None:
    """Where the host's resource alone is deleted, the network would go away under the gateway that runs there."""
    if units.states(host, [unit]).get(unit, "").startswith("active"):
        raise HostError(
            f"host {host.name}: the site's gateway still runs on it, so nothing was removed; `pulumi destroy` the"
            " gateway first, or the whole stack"
        )
