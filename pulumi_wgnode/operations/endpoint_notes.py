"""What will go wrong with the places at which sites call each other, as `wgnode status` tells it. Pure.

The same as a preview of the mesh and of the site warn of, from the mesh's outputs and the host's addresses of now.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from pulumi_wgnode.errors import ExplainedError
from pulumi_wgnode.operations.site_status import SiteStatus
from pulumi_wgnode.operations.sites import Known
from wgnode.topology import reached
from wgnode.topology.model import Topology, TopologyError


def added(
    statuses: Sequence[SiteStatus], known: Sequence[Known], meshes: Mapping[str, Mapping[str, Any]]
) -> list[SiteStatus]:
    """The statuses with that; `meshes` are outputs of the meshes' stacks, those that could be read."""
    topologies = dict(_topologies(meshes))
    return [_added(status, one, topologies) for status, one in zip(statuses, known, strict=True)]


def _topologies(meshes: Mapping[str, Mapping[str, Any]]) -> Iterator[tuple[str, Topology]]:
    for stack, outputs in meshes.items():
        try:
            yield stack, Topology.from_dict(outputs.get("topology"))
        except TopologyError:  # which the site's own preview tells
            continue


def _added(status: SiteStatus, known: Known, topologies: Mapping[str, Topology]) -> SiteStatus:
    mesh = None if isinstance(known.site, ExplainedError) else topologies.get(known.site.mesh)
    if mesh is None or status.site not in mesh.sites:
        return status
    at, uplink = mesh.sites[status.site].endpoint, _uplink(known)
    addresses = {address: leased for part in status.parts for address, leased in part.addresses.items()}
    problems = [*reached.wrong(status.site, at, mesh.listen_port, uplink, addresses)]
    notes = [*reached.leased(status.site, at, uplink, addresses), *([] if problems else _former(status.site, at, mesh))]
    return replace(
        status,
        problems=(*status.problems, *map(_bare, problems)),
        notes=(*status.notes, *map(_bare, notes)),
    )


def _former(site: str, at: str | None, mesh: Topology) -> Iterable[str]:
    told = (reached.former_port(site, at, mesh.listen_port, port) for port in mesh.former_ports)
    return [text for text in told if text]


def _uplink(known: Known) -> str:
    recorded = () if isinstance(known.recorded, ExplainedError) else known.recorded
    return next((str(one.inputs["networks"]["uplink"]) for one in recorded if "networks" in one.inputs), "its uplink")


def _bare(text: str) -> str:
    """The line above it names the site already."""
    return text.partition(": ")[2]
