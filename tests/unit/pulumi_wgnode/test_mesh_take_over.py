"""The first `up` of a mesh that is older than ids: everybody gets one and nothing else changes.

states/mesh-before-ids.json is a state as that version made it, with the nodes that its sites ran.
"""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pulumi_wgnode import seal
from pulumi_wgnode.call.kind import UNKNOWN, CheckError
from pulumi_wgnode.contracts.node import config_of, secrets_of
from pulumi_wgnode.resources import mesh_topology
from pulumi_wgnode.resources.mesh_topology import MeshTopology
from tests.unit.pulumi_wgnode.test_mesh_topology import over_the_wire
from wgnode import recipient
from wgnode.topology import identity, mtu, presharedkey
from wgnode.topology.compile import SiteFacts, compile_site
from wgnode.topology.model import Topology

KIND = MeshTopology()
FIXTURE = json.loads((Path(__file__).parent / "states/mesh-before-ids.json").read_text())
SITES = ("berlin", "cabin", "farm")


def before() -> dict[str, Any]:
    return copy.deepcopy(FIXTURE["state"])


def inputs(**changes: Any) -> dict[str, Any]:
    return KIND.check({**copy.deepcopy(FIXTURE["inputs"]), **changes}, {})


def updated(state: dict[str, Any], news: dict[str, Any]) -> dict[str, Any]:
    return over_the_wire(KIND.update("mesh", state, news, False))


@pytest.fixture(scope="module")
def after() -> dict[str, Any]:
    return updated(before(), inputs())


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    lines: list[str] = []
    monkeypatch.setattr(mesh_topology, "log", lambda text, severity: lines.append(text))
    return lines


def test_everybody_gets_an_id_and_keeps_all_that_it_has(after: dict[str, Any]) -> None:
    old, new = before()["topology"]["sites"], after["topology"]["sites"]
    assert len({new[name]["id"] for name in SITES} | {after["resting"]["depot"]["id"]}) == 4
    for name in SITES:
        assert identity.ID.fullmatch(new[name]["id"])
        assert {key: new[name][key] for key in old[name]} == old[name]
    assert after["privateKeys"] == before()["privateKeys"]
    assert after["meshSecret"] == before()["meshSecret"]
    assert "indices" not in after


def test_no_node_is_changed_but_by_a_second_pre_shared_key(after: dict[str, Any]) -> None:
    topology = Topology.from_dict(after["topology"])
    for name in SITES:
        was = FIXTURE["nodes"][name]
        site, private = topology.sites[name], FIXTURE["recipientKeys"][name]
        bundle = seal.open_sealed(after["bundles"][name], private, "dev", name, site.id)
        config, secrets = compile_site(topology, name, bundle, SiteFacts((was["gatewayAddress"],)))
        assert config == replace(config_of(was["config"]), mtu=mtu.LARGEST), "its MAC address too"
        old = secrets_of(was["secrets"])
        assert secrets.private_keys == old.private_keys
        for peer in topology.sites.values():
            if peer is not site:
                by_ids = presharedkey.of_ids(bundle.mesh_secret, bundle.epoch, site.id, peer.id)
                key = peer.public_keys[0]
                assert secrets.preshared_keys[key] == (*old.preshared_keys[key], by_ids)


def test_bundles_are_sealed_anew_once(after: dict[str, Any]) -> None:
    assert not set(after["bundles"].values()) & set(before()["bundles"].values())
    assert updated(after, inputs()) == after


def test_a_site_that_had_left_keeps_its_address_and_comes_back_with_a_new_key(after: dict[str, Any]) -> None:
    assert after["resting"]["depot"]["index"] == before()["indices"]["depot"]
    assert after["resting"]["depot"]["publicKeys"] == []
    news = inputs()
    news["sites"]["depot"] = {"lans": ["10.4.0.0/24"], "recipient": recipient.generate()[1], "endpoint": "h.example:1"}
    back = updated(after, news)
    assert back["topology"]["sites"]["depot"]["index"] == before()["indices"]["depot"]
    assert {name: back["bundles"][name] for name in SITES} == after["bundles"]


def test_the_preview_says_what_will_happen_and_the_next_one_has_nothing_to_say(
    after: dict[str, Any], said: list[str]
) -> None:
    changes = MeshTopology().diff(before(), inputs(), inputs()).changes
    assert [(change.path, change.kind, change.replace) for change in changes] == [
        (f"sites.{name}.id", "ADD", False) for name in SITES
    ]
    assert "before sites had ids: berlin, cabin, farm get one each" in said[0]
    assert "no gateway restarts" in said[0]
    assert "site 'depot' rests (index 3, its private key is lost)" in said[1]
    foreseen = KIND.update("mesh", before(), inputs(), True)
    assert foreseen["topology"] is foreseen["bundles"] is UNKNOWN
    said.clear()
    assert MeshTopology().diff(after, inputs(), inputs()).changes == ()
    assert not [line for line in said if "before sites had ids" in line]


def test_what_a_preview_does_not_know_yet_is_not_judged() -> None:
    for unknown in ({"sites": UNKNOWN}, {"forget": [UNKNOWN]}, {"presharedKeys": UNKNOWN}):
        assert MeshTopology().diff(before(), inputs(), inputs(**unknown)).changes


def test_another_name_of_the_mesh_in_the_same_update_moves_no_mac() -> None:
    after = updated(before(), inputs(name="prod"))
    macs = {name: site["lanMac"] for name, site in after["topology"]["sites"].items()}
    assert macs == {name: identity.lan_mac_of_names("dev", name) for name in SITES}


def test_the_steps_of_the_pre_shared_keys_follow_one_by_one(after: dict[str, Any]) -> None:
    def steps(state: dict[str, Any]) -> list[list[int]]:
        return [site["labels"] for site in state["topology"]["sites"].values()]

    with pytest.raises(CheckError, match="'use' comes after 'accept'"):
        KIND.diff(before(), inputs(), inputs(presharedKeys="use"))
    assert steps(after) == [[1, 2]] * 3
    with pytest.raises(CheckError, match="'drop' comes after 'use' for berlin, cabin, farm"):
        updated(after, inputs(presharedKeys="drop"))
    use = updated(after, inputs(presharedKeys="use"))
    assert steps(use) == steps(updated(use, inputs())) == [[2, 1]] * 3
    drop = updated(use, inputs(presharedKeys="drop"))
    assert steps(drop) == steps(updated(drop, inputs())) == [[2]] * 3
    assert (drop["bundles"], drop["privateKeys"]) == (after["bundles"], after["privateKeys"])


def test_a_newcomer_never_had_the_old_pre_shared_keys(after: dict[str, Any]) -> None:
    news = inputs()
    news["sites"]["new"] = {"lans": ["10.5.0.0/24"], "recipient": recipient.generate()[1], "endpoint": "h.example:1"}
    topology = Topology.from_dict(updated(after, news)["topology"])
    assert (topology.sites["new"].labels, topology.sites["berlin"].labels) == ((2,), (1, 2))
