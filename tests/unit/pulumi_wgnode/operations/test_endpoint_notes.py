"""What `wgnode status` tells of the places at which sites are called: what previews of mesh and site warn of."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from pulumi_wgnode.hosts.host import Connection
from pulumi_wgnode.operations import endpoint_notes
from pulumi_wgnode.operations.recorded import Recorded
from pulumi_wgnode.operations.site_parts import Part
from pulumi_wgnode.operations.site_status import SiteStatus
from pulumi_wgnode.operations.sites import Known
from pulumi_wgnode.operations.stacks import SiteStack, StackError
from tests.unit.topology.meshes import topology_of, two_sites

HOST = Recorded("wgnode:index:HypervisorHost", "id", {"networks": {"uplink": "wan7"}}, {})
SITE = SiteStack("dev-berlin", "berlin", "dev-mesh", Connection("192.0.2.1", ("pin",)), None)
KNOWN = Known("dev-berlin", SITE, (HOST,))
STATUS = SiteStatus("dev-berlin", "berlin", "root@192.0.2.1", "running")


def mesh(endpoint: str | None, *former: int) -> dict[str, Any]:
    raw = two_sites()
    raw["sites"]["berlin"]["endpoint"] = endpoint
    return {"topology": replace(topology_of(raw), former_ports=former).to_dict()}


def told(outputs: dict[str, Any], **addresses: bool) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Problems and notes; `addresses` like a198_51_100_2=True, of the uplink, leased or not."""
    there = {name[1:].replace("_", "."): leased for name, leased in addresses.items()}
    status = replace(STATUS, parts=(Part("host", "as wanted", addresses=there), Part("firewall", "as wanted")))
    (found,) = endpoint_notes.added([status], [KNOWN], {"dev-mesh": outputs})
    assert (found.healthy, replace(found, problems=(), notes=())) == (not found.problems, status)
    return found.problems, found.notes


def test_an_endpoint_that_is_right_is_not_mentioned() -> None:
    assert told(mesh("198.51.100.2:51820"), a198_51_100_2=False) == ((), ())
    assert told(mesh(None), a198_51_100_2=True) == ((), ())
    assert told(mesh("gate.example:1", 2), a198_51_100_2=True) == ((), ())


def test_a_former_port_is_a_note_since_a_router_may_forward_it() -> None:
    problems, (note,) = told(mesh("203.0.113.7:443", 443, 444), a192_168_1_2=False)
    assert problems == ()
    assert note.startswith("endpoint 203.0.113.7:443 has the former listenPort 443, but the gateways listen on 51820")


def test_another_port_on_the_sites_own_address_is_a_problem_and_told_once() -> None:
    (problem,), notes = told(mesh("198.51.100.2:443", 443), a198_51_100_2=False)
    assert problem.startswith("endpoint 198.51.100.2:443 is an address of the host itself, where the gateway's port is")
    assert notes == ()


def test_an_address_on_lease_is_a_note_and_one_that_was_lost_a_problem() -> None:
    problems, (note,) = told(mesh("198.51.100.2:51820"), a198_51_100_2=True)
    assert problems == ()
    assert "an address that wan7 has on lease" in note
    (problem,), notes = told(mesh("198.51.100.2:51820"), a198_51_100_9=True)
    assert problem.startswith("nobody can call it at 198.51.100.2:51820 any more: by DHCP, wan7 has 198.51.100.9 now")
    assert notes == ()


@pytest.mark.parametrize(
    ("known", "outputs"),
    [
        (replace(KNOWN, site=StackError("no such stack")), mesh("198.51.100.2:443", 443)),
        (replace(KNOWN, site=replace(SITE, mesh="other-mesh")), mesh("198.51.100.2:443", 443)),
        (KNOWN, {}),
        (KNOWN, {"topology": {"format": 99}}),
        (KNOWN, {"topology": "sealed"}),
    ],
)
def test_where_the_mesh_or_its_topology_is_not_known_nothing_is_told(known: Known, outputs: dict[str, Any]) -> None:
    assert endpoint_notes.added([STATUS], [known], {"dev-mesh": outputs}) == [STATUS]


def test_what_a_host_has_not_said_is_not_presumed() -> None:
    unread = replace(KNOWN, recorded=StackError("incorrect passphrase"))
    (found,) = endpoint_notes.added([STATUS], [unread], {"dev-mesh": mesh("198.51.100.2:443", 443)})
    assert (found.problems, len(found.notes)) == ((), 1)
