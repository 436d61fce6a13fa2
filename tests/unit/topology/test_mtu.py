"""The MTU that people give, of a mesh and of its sites, down to the routes of each gateway."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from infra.config import parse_mesh
from infra.config_errors import ConfigurationError
from wgnode.nodeconfig import NodeConfig, NodeSecrets
from wgnode.topology.compile import SiteFacts, compile_site
from wgnode.topology.model import Topology
from wgnode.topology.validate import mesh_problems

from .meshes import bundle_of, site, topology_of, two_sites

FACTS = {"berlin": SiteFacts(("10.1.0.2", "fd00:10:1::2")), "cabin": SiteFacts(("10.2.0.2", "fd00:10:2::2"))}


def mesh(mtu: Any = None, *, ipv6: bool = True, **sites: Any) -> dict[str, Any]:
    raw = two_sites()
    if not ipv6:
        raw["tunnel"] = {"v4": "10.99.0.0/24"}
        raw["sites"] = {
            "berlin": site("10.1.0.0/24", endpoint="198.51.100.2:51820"), "cabin": site("10.2.0.0/24")
        }  # fmt: skip
    raw |= {} if mtu is None else {"mtu": mtu}
    for name, one in sites.items():
        raw["sites"][name]["mtu"] = one
    return raw


def compiled(raw: dict[str, Any], name: str) -> tuple[NodeConfig, NodeSecrets]:
    topology = topology_of(raw)
    assert Topology.from_dict(topology.to_dict()) == topology
    config, secrets = compile_site(topology, name, bundle_of(topology, name), FACTS[name])
    assert NodeConfig.from_json(config.to_json()).to_json() == config.to_json()
    return config, secrets


@pytest.mark.parametrize(
    ("raw", "berlin", "cabin"),
    [
        (mesh(), (1440, None), (1440, None)),
        (mesh(1420), (1420, None), (1420, None)),
        (mesh(1380), (1380, None), (1380, None)),
        (mesh(cabin=1300), (1440, 1300), (1300, None)),
        (mesh(1380, cabin=1300), (1380, 1300), (1300, None)),
        (mesh(1300, berlin=1420), (1420, 1300), (1300, None)),
        (mesh(cabin=1440), (1440, None), (1440, None)),
        (mesh(1420, cabin=1440), (1420, None), (1440, 1420)),
    ],
)
def test_between_two_sites_the_smaller_mtu_counts(
    raw: dict[str, Any], berlin: tuple[int, int | None], cabin: tuple[int, int | None]
) -> None:
    for name, expected in (("berlin", berlin), ("cabin", cabin)):
        config, _ = compiled(raw, name)
        assert (config.mtu, config.peers[0].mtu) == expected


def test_a_node_that_searches_nothing_has_what_fits_over_either_family() -> None:
    """And an MTU that somebody has set, on either side, is a bound all the same."""
    quiet = replace(FACTS["berlin"], path_mtu=False)
    for raw, expected in ((mesh(), (1420, None)), (mesh(cabin=1300), (1420, 1300)), (mesh(1440), (1440, None))):
        topology = topology_of(raw)
        config, _ = compile_site(topology, "berlin", bundle_of(topology, "berlin"), quiet)
        assert (config.mtu, config.peers[0].mtu) == expected


def test_a_mesh_without_one_is_written_as_before() -> None:
    """So nothing of a mesh changes that does not ask for it."""
    topology = topology_of(two_sites()).to_dict()
    assert "mtu" not in topology
    assert all("mtu" not in one for one in topology["sites"].values())
    assert b'"mtu":1440' in compiled(two_sites(), "berlin")[0].to_json()
    assert compiled(two_sites(), "berlin")[0].to_json().count(b"mtu") == 1


@pytest.mark.parametrize(("ipv6", "smallest"), [(True, 1280), (False, 576)])
def test_the_range_is_that_of_the_families_inside(ipv6: bool, smallest: int) -> None:
    for good in (smallest, 1440):
        assert mesh_problems(mesh(good, ipv6=ipv6, cabin=good)) == []
    for bad in (smallest - 1, 1441, 0, -1):
        found = mesh_problems(mesh(bad, ipv6=ipv6, cabin=bad))
        assert [problem.path for problem in found] == ["mtu", "sites.cabin.mtu"]
        assert f"mtu {bad}: give a number from {smallest}" in found[1].message
        assert found[1].message.startswith("site 'cabin'")


@pytest.mark.parametrize("value", [True, "much", "1400", 1400.5, [1400]])
def test_what_is_no_whole_number_is_refused_at_its_place(value: object) -> None:
    with pytest.raises(ConfigurationError) as refused:
        parse_mesh(mesh(value, cabin=value), "Pulumi.dev-mesh.yaml")
    assert "wgmesh:mesh.mtu" in str(refused.value)
    assert "wgmesh:mesh.sites.cabin.mtu" in str(refused.value)


def test_what_the_stack_file_says_reaches_the_resource() -> None:
    parsed = parse_mesh(mesh(1380, cabin=1300), "Pulumi.dev-mesh.yaml").to_dict()
    assert (parsed["mtu"], parsed["sites"]["cabin"]["mtu"]) == (1380, 1300)
    assert "mtu" not in parsed["sites"]["berlin"]
