"""Who a gateway is, by the real engine: names, addresses and parents change, gateways share a host, nothing is lost."""

from __future__ import annotations

import json

import pytest

from lab.api import Lab
from lab.deployment import Deployment
from tests.lab.environment import CABIN, SITES, changed, is_clean, reachable, up_all
from tests.lab.host_site import SNAPSHOT
from tests.lab.second_mesh import OFFICE, SecondMesh
from tests.lab.test_changes import booted

pytestmark = [pytest.mark.lab, pytest.mark.sampled(0)]  # eight minutes of a worker; in make test-long


@pytest.fixture(scope="module")
def lab(deployed: Deployment) -> Lab:
    return deployed.lab


def records(lab: Lab, site: str) -> dict[str, dict[str, str]]:
    """By the site's name."""
    said = lab.console(site, "cat /etc/wgnode/owners/*.json", check=False).stdout
    decoder, found = json.JSONDecoder(), {}
    while said := said.strip():
        record, end = decoder.raw_decode(said)
        found[record["name"]] = record
        said = said[end:]
    return found


def test_the_address_of_a_host_is_where_it_is_reached_and_not_who_it_is(lab: Lab, deployed: Deployment) -> None:
    deployed.configure("dev-berlin", {"site.managementNetworks[1]": "2001:db8::/64"})
    deployed.up("dev-berlin")
    before = booted(lab)
    with lab.stream("berlin.client", CABIN) as pings:
        deployed.configure("dev-berlin", {"site.host.address": "2001:db8:1::2"})
        planned = changed(deployed, "dev-berlin")
        deployed.up("dev-berlin")
        clean = is_clean(deployed, "dev-berlin")
        deployed.configure("dev-berlin", {"site.host.address": "198.51.100.2"})
        deployed.up("dev-berlin")
    assert set(planned.values()) == {"update"}
    assert clean
    assert pings.lost == 0
    assert booted(lab) == before


def test_a_stack_file_with_another_site_s_host_is_refused_by_name(lab: Lab, deployed: Deployment) -> None:
    """As where it was copied: address, pins and user are those of the other host."""
    there = lab.inventory["hosts"]["cabin"]
    own = lab.inventory["hosts"]["berlin"]
    before = lab.console("cabin", SNAPSHOT).stdout
    try:
        deployed.configure("dev-berlin", _of(there))
        refused = deployed.pulumi(["up", "--yes", "--skip-preview", "--stack", "dev-berlin"], check=False)
    finally:
        deployed.configure("dev-berlin", _of(own))
    assert refused.returncode != 0
    assert "another machine" in refused.stdout
    assert "wgmesh:site.host.address" in refused.stdout
    assert lab.console("cabin", SNAPSHOT).stdout == before
    deployed.up("dev-berlin")
    assert is_clean(deployed, "dev-berlin")


def _of(host: dict[str, object]) -> dict[str, str]:
    keys = host["host_keys"]
    assert isinstance(keys, list)
    pins = {f"site.host.hostKeys[{number}]": str(key) for number, key in enumerate(keys)}
    return {"site.host.address": str(host["address"]), "site.host.user": str(host["user"]), **pins}


def test_a_site_in_somebody_s_component_and_back_is_taken_over_each_time(lab: Lab, deployed: Deployment) -> None:
    """Without aliases: the engine makes all four resources anew and then deletes those that were there."""
    before, program = booted(lab), deployed.folder / "infra"
    target = program.resolve()
    program.unlink()
    program.mkdir()
    (program / "__main__.py").write_text(WRAPPED.format(target=str(target.parent)))
    try:
        with lab.stream("berlin.client", CABIN) as pings:
            deployed.up("dev-cabin")
    finally:
        (program / "__main__.py").unlink()
        program.rmdir()
        program.symlink_to(target)
    with lab.stream("berlin.client", CABIN) as more:
        deployed.up("dev-cabin")
    assert (pings.lost, more.lost) == (0, 0)
    assert booted(lab) == before
    assert is_clean(deployed, "dev-cabin")


WRAPPED = """
import sys
sys.path.insert(0, {target!r})
import pulumi
from pulumi_wgnode.components import Site
from pulumi_wgnode.components.mesh_stack import read_mesh
from infra.stack import load, root


class Branch(pulumi.ComponentResource):
    def __init__(self, name, config):
        super().__init__("somebody:index:Branch", name)
        outputs = read_mesh(config.mesh)
        Site(
            "inner", config, topology=outputs.topology, bundle=outputs.bundles[config.name], root=root(),
            opts=pulumi.ResourceOptions(parent=self),
        )


Branch("branch", load())
"""


def test_a_site_is_renamed_in_place_and_back(lab: Lab, deployed: Deployment) -> None:
    before = booted(lab)
    assert "berlin" in records(lab, "berlin")
    with lab.stream("berlin.client", CABIN) as pings:
        rename(deployed, "dev-berlin", "berlin", "lager")
        up_all(deployed)
    names = lab.host_ssh("berlin", "ls /run/wireguard; wg show lager | head -n 1").stdout
    assert names.split() == ["lager.sock", "interface:", "lager"]
    assert set(records(lab, "berlin")) == {"lager"}
    assert all(is_clean(deployed, f"dev-{site}") for site in SITES)
    with lab.stream("berlin.client", CABIN) as more:
        rename(deployed, "dev-berlin", "lager", "berlin")
        up_all(deployed)
    assert (pings.lost, more.lost) == (0, 0)
    assert booted(lab) == before
    assert set(records(lab, "berlin")) == {"berlin"}


def rename(deployment: Deployment, stack: str, old: str, new: str) -> None:
    """In the mesh's stack file and in the site's own; its stack keeps its name."""
    said = json.loads(deployment.pulumi(["config", "--json", "--stack", "dev-mesh"]).stdout)
    entry = said["wgmesh:mesh"]["objectValue"]["sites"][old]
    values = {f"mesh.sites.{new}.{name}": value for name, value in entry.items() if isinstance(value, str)}
    values |= {f"mesh.sites.{new}.lans[{number}]": lan for number, lan in enumerate(entry["lans"])}
    deployment.configure("dev-mesh", {**values, f"mesh.sites.{new}.renamedFrom": old})
    deployment.pulumi(["config", "rm", "--path", f"wgmesh:mesh.sites.{old}", "--stack", "dev-mesh"])
    deployment.configure(stack, {"site.name": new})


def test_gateways_of_two_meshes_share_a_host_and_each_takes_only_its_own_along(lab: Lab, deployed: Deployment) -> None:
    before = booted(lab)
    with SecondMesh(lab, deployed) as second:
        refused = second.up_with_the_same_transit()
        assert "has the transit network 172.31.255.252/30 already" in refused
        second.up()
        assert lab.ping("berlin.client", OFFICE, count=2, deadline=60), "the second mesh talks"
        assert reachable(lab), "and so does the first"
        assert booted(lab) == before
        lab.reboot("cabin")
        assert lab.ping("berlin.client", OFFICE, count=2, deadline=90), "both come back by themselves"
        assert lab.ping("berlin.client", CABIN, count=2, deadline=90)
        assert all(second.is_clean(site) for site in second.sites)
        assert all(is_clean(deployed, f"dev-{site}") for site in SITES)
        found = records(lab, "cabin")
        assert {found[name]["instance"] for name in found} == {"", found["depot"]["id"][:8]}
        deployed.pulumi(["destroy", "--yes", "--stack", "dev-cabin"])
        assert lab.ping("berlin.client", OFFICE, count=2, deadline=10), "what goes is the other one's alone"
        second.destroy()
    left = lab.console(
        "cabin", "nft list tables; ip -br link; find /etc /run /var/lib -name '*wgnode*' -o -name wireguard"
    ).stdout
    assert "wgn" not in left
    assert "10.2.0.1/24" in lab.host_ssh("cabin", "ip -br addr show lan0").stdout
    deployed.up("dev-cabin")
    assert reachable(lab)
