"""MeshTopology: keys and addresses by name for good, bundles sealed again only when they must be."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from pulumi_wgnode import seal
from pulumi_wgnode.call.kind import UNKNOWN, CheckError, PropertyChange, Secret, has_unknown
from pulumi_wgnode.errors import ExplainedError
from pulumi_wgnode.provider.codec import decode_map, encode_map
from pulumi_wgnode.resources import mesh_topology
from pulumi_wgnode.resources.mesh_topology import MeshTopology
from wgnode import recipient
from wgnode.topology.compile import SiteFacts, compile_site
from wgnode.topology.model import FOUND, Topology

RECIPIENTS = {name: recipient.generate() for name in ("berlin", "cabin", "farm")}
KIND = MeshTopology()


def site(name: str, lan: str, endpoint: str | None = None) -> dict[str, Any]:
    raw = {"lans": [lan], "recipient": RECIPIENTS[name][1], "endpoint": endpoint}
    return {key: value for key, value in raw.items() if value is not None}


def mesh(**changes: Any) -> dict[str, Any]:
    raw = {
        "name": "dev",
        "tunnel": {"v4": "10.99.0.0/24"},
        "sites": {"berlin": site("berlin", "10.1.0.0/24", "198.51.100.2:51820"), "cabin": site("cabin", "10.2.0.0/24")},
    }
    return KIND.check(copy.deepcopy({**raw, **changes}), {})


def with_farm() -> dict[str, Any]:
    inputs = mesh()
    inputs["sites"]["farm"] = site("farm", "10.3.0.0/24", "203.0.113.9:51820")
    return inputs


def over_the_wire(state: dict[str, Any]) -> dict[str, Any]:
    """As the engine gives it back next time: secrets unwrapped, JSON types only."""
    return decode_map(encode_map(state))


@pytest.fixture
def created() -> dict[str, Any]:
    return over_the_wire(KIND.create("mesh", mesh(), False)[1])


def test_each_site_opens_its_own_bundle_and_compiles_its_own_configuration(created: dict[str, Any]) -> None:
    topology = Topology.from_dict(created["topology"])
    compiled = {}
    for name, address in (("berlin", "10.1.0.2"), ("cabin", "10.2.0.2")):
        bundle = seal.open_sealed(created["bundles"][name], RECIPIENTS[name][0], "dev", name)
        compiled[name] = compile_site(topology, name, bundle, SiteFacts((address,)))
    (berlin, berlin_secrets), (cabin, cabin_secrets) = compiled["berlin"], compiled["cabin"]
    assert berlin.peers[0].public_keys == cabin.public_keys
    assert list(berlin_secrets.preshared_keys.values()) == list(cabin_secrets.preshared_keys.values())
    assert {name: there.index for name, there in topology.sites.items()} == {"berlin": 1, "cabin": 2}


def test_nobody_elses_key_opens_a_bundle(created: dict[str, Any]) -> None:
    with pytest.raises(seal.SealError, match="sealed to recipient"):
        seal.open_sealed(created["bundles"]["cabin"], RECIPIENTS["berlin"][0], "dev", "cabin")


def test_keys_and_mesh_secret_are_secret_outputs_and_nowhere_else() -> None:
    state = KIND.create("mesh", mesh(), False)[1]
    assert isinstance(state["privateKeys"], Secret)
    assert isinstance(state["meshSecret"], Secret)
    secrets = [state["meshSecret"].value, *(key for keys in state["privateKeys"].value.values() for key in keys)]
    plain = json.dumps({name: value for name, value in state.items() if not isinstance(value, Secret)})
    assert len(secrets) == 3
    assert not any(secret in plain for secret in secrets)
    assert all(
        isinstance(KIND.read("mesh", over_the_wire(state), mesh())[0][name], Secret)
        for name in ("meshSecret", "privateKeys")
    )
    assert "sites" not in state


def test_the_same_configuration_changes_nothing(created: dict[str, Any]) -> None:
    assert KIND.diff(created, mesh(), mesh()).changes == ()
    assert over_the_wire(KIND.update("mesh", created, mesh(), False)) == created


def test_a_joining_site_leaves_the_others_bundles_and_addresses_byte_for_byte(created: dict[str, Any]) -> None:
    after = over_the_wire(KIND.update("mesh", created, with_farm(), False))
    assert {name: after["bundles"][name] for name in created["bundles"]} == created["bundles"]
    assert after["topology"]["sites"]["berlin"] == created["topology"]["sites"]["berlin"]
    assert after["topology"]["sites"]["farm"]["addresses"] == ["10.99.0.3"]


def test_a_site_that_left_rests_and_comes_back_as_it_was(created: dict[str, Any]) -> None:
    grown = over_the_wire(KIND.update("mesh", created, with_farm(), False))
    inputs = with_farm()
    del inputs["sites"]["cabin"]
    without = over_the_wire(KIND.update("mesh", grown, inputs, False))
    assert set(without["topology"]["sites"]) == set(without["bundles"]) == {"berlin", "farm"}
    assert without["topology"]["sites"]["farm"]["index"] == 3
    cabin = grown["topology"]["sites"]["cabin"]
    assert {key: without["resting"]["cabin"][key] for key in ("id", "index", "addresses", "lanMac", "publicKeys")} == {
        key: cabin[key] for key in ("id", "index", "addresses", "lanMac", "publicKeys")
    }
    assert without["privateKeys"] == grown["privateKeys"]
    assert KIND.diff(without, inputs, inputs).changes == (), "what rests is no difference"
    back = over_the_wire(KIND.update("mesh", without, with_farm(), False))
    assert (back["topology"], back["privateKeys"]) == (grown["topology"], grown["privateKeys"])
    assert back["resting"] == {}


def test_no_site_at_all_loses_nothing(created: dict[str, Any]) -> None:
    empty = mesh(sites={})
    without = over_the_wire(KIND.update("mesh", created, empty, False))
    assert (without["topology"]["sites"], without["bundles"]) == ({}, {})
    assert set(without["resting"]) == {"berlin", "cabin"}
    secrets = [created["meshSecret"], *(key for keys in created["privateKeys"].values() for key in keys)]
    plain = json.dumps({name: value for name, value in without.items() if name not in ("privateKeys", "meshSecret")})
    assert not any(secret in plain for secret in secrets)
    assert over_the_wire(KIND.update("mesh", without, empty, False)) == without
    assert KIND.update("mesh", created, empty, True)["resting"] == without["resting"], "known at preview"
    back = over_the_wire(KIND.update("mesh", without, mesh(), False))
    assert (back["topology"], back["privateKeys"]) == (created["topology"], created["privateKeys"])


def test_only_what_is_listed_under_forget_is_lost_and_the_list_may_stay(created: dict[str, Any]) -> None:
    inputs = {**mesh(), "forget": ["cabin"]}
    del inputs["sites"]["cabin"]
    gone = over_the_wire(KIND.update("mesh", created, inputs, False))
    assert (gone["resting"], set(gone["privateKeys"])) == ({}, {"berlin"})
    assert KIND.diff(gone, inputs, inputs).changes == ()
    assert over_the_wire(KIND.update("mesh", gone, inputs, False)) == gone
    back = over_the_wire(KIND.update("mesh", gone, mesh(), False))
    assert back["topology"]["sites"]["cabin"]["id"] != created["topology"]["sites"]["cabin"]["id"]
    assert back["privateKeys"]["cabin"] != created["privateKeys"]["cabin"]


def test_what_can_not_be_forgotten_is_named_before_anything_is_done(created: dict[str, Any]) -> None:
    with pytest.raises(CheckError, match=r"forget\[0\]: site 'cabin' is under `sites`"):
        mesh(forget=["cabin"])
    with pytest.raises(CheckError, match="no site 'cabbin' to forget; known are: berlin, cabin"):
        KIND.diff(created, mesh(), mesh(forget=["cabbin"]))
    with pytest.raises(CheckError, match="no site 'cabbin' to forget; known are: none"):
        KIND.create("mesh", mesh(forget=["cabbin"]), True)


def test_what_rests_is_told_once_at_every_preview(created: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    inputs = mesh()
    del inputs["sites"]["cabin"]
    said: list[str] = []
    monkeypatch.setattr(mesh_topology, "log", lambda text, severity: said.append(text))
    for kind in [MeshTopology()] * 2:
        kind.diff(created, mesh(), inputs)
    assert said.pop().startswith("site 'cabin' leaves and rests (index 2): it comes back as it was")
    resting = over_the_wire(KIND.update("mesh", created, inputs, False))
    MeshTopology().diff(resting, inputs, inputs)
    assert "to give it up for good: `forget: [cabin]`" in said.pop()
    MeshTopology().diff(resting, inputs, {**inputs, "forget": ["cabin"]})
    assert said.pop().startswith("site 'cabin' (index 2) is forgotten")
    MeshTopology().diff(created, mesh(), mesh())
    assert said == []


def test_the_index_of_what_rests_is_given_to_nobody_though_the_tunnel_is_full() -> None:
    full = over_the_wire(KIND.create("mesh", mesh(tunnel={"v4": "10.99.0.0/30"}), False)[1])
    inputs = mesh(tunnel={"v4": "10.99.0.0/30"})
    inputs["sites"]["farm"] = with_farm()["sites"]["farm"]
    del inputs["sites"]["cabin"]
    for preview in (True, False):
        with pytest.raises(
            CheckError, match=r"no address is free for farm: .*keep theirs: cabin \(index 2\); .*forget"
        ):
            KIND.update("mesh", full, inputs, preview)
    after = over_the_wire(KIND.update("mesh", full, {**inputs, "forget": ["cabin"]}, False))
    assert after["topology"]["sites"]["farm"]["index"] == 2


def test_a_rename_moves_id_keys_address_and_mac_and_is_told(
    created: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    monkeypatch.setattr(mesh_topology, "log", lambda text, severity: said.append(text))
    inputs = mesh()
    inputs["sites"]["lodge"] = {**inputs["sites"].pop("cabin"), "renamedFrom": "cabin"}
    changes = MeshTopology().diff(created, mesh(), inputs).changes
    assert [(change.path, change.kind) for change in changes] == [("sites.cabin", "DELETE"), ("sites.lodge", "ADD")]
    assert said == ["site 'cabin' becomes 'lodge': id, keys, index and MAC address go with it"]
    foreseen = KIND.update("mesh", created, inputs, True)
    after = over_the_wire(KIND.update("mesh", created, inputs, False))
    assert foreseen["topology"] == after["topology"]
    was, now = created["topology"]["sites"]["cabin"], after["topology"]["sites"]["lodge"]
    assert now == {**was, "renamedFrom": "cabin"}
    assert after["privateKeys"]["lodge"] == created["privateKeys"]["cabin"]
    assert (set(after["bundles"]), after["resting"]) == ({"berlin", "lodge"}, {})
    assert after["bundles"]["berlin"] == created["bundles"]["berlin"]
    bundle = seal.open_sealed(after["bundles"]["lodge"], RECIPIENTS["cabin"][0], "dev", "lodge", now["id"])
    assert bundle.site == "lodge"
    assert over_the_wire(KIND.update("mesh", after, inputs, False)) == after
    del inputs["sites"]["lodge"]["renamedFrom"]
    assert over_the_wire(KIND.update("mesh", after, inputs, False))["topology"]["sites"]["lodge"] == was


def test_names_of_two_sites_are_swapped_with_their_keys_once(created: dict[str, Any]) -> None:
    inputs = mesh()
    berlin, cabin = inputs["sites"]["berlin"], inputs["sites"]["cabin"]
    inputs["sites"] = {"berlin": {**cabin, "renamedFrom": "cabin"}, "cabin": {**berlin, "renamedFrom": "berlin"}}
    after = over_the_wire(KIND.update("mesh", created, inputs, False))
    assert after["privateKeys"]["berlin"] == created["privateKeys"]["cabin"]
    assert after["privateKeys"]["cabin"] == created["privateKeys"]["berlin"]
    assert over_the_wire(KIND.update("mesh", after, inputs, False)) == after


def test_another_key_generation_is_a_new_key_under_the_same_id(created: dict[str, Any]) -> None:
    inputs = mesh()
    inputs["sites"]["cabin"]["keyGeneration"] = 2
    after = over_the_wire(KIND.update("mesh", created, inputs, False))
    was, now = created["topology"]["sites"]["cabin"], after["topology"]["sites"]["cabin"]
    assert now == {**was, "publicKeys": now["publicKeys"], "keyGeneration": 2}
    assert now["publicKeys"] != was["publicKeys"]
    assert after["privateKeys"]["berlin"] == created["privateKeys"]["berlin"]
    assert over_the_wire(KIND.update("mesh", after, inputs, False)) == after
    assert KIND.update("mesh", created, inputs, True)["topology"] is UNKNOWN


def test_a_new_recipient_gets_a_new_bundle_with_the_same_keys(created: dict[str, Any]) -> None:
    private, public = recipient.generate()
    inputs = mesh()
    inputs["sites"]["cabin"]["recipient"] = public
    after = over_the_wire(KIND.update("mesh", created, inputs, False))
    assert after["bundles"]["berlin"] == created["bundles"]["berlin"]
    assert after["bundles"]["cabin"] != created["bundles"]["cabin"]
    assert after["privateKeys"] == created["privateKeys"]
    assert seal.open_sealed(after["bundles"]["cabin"], private, "dev", "cabin").site == "cabin"


def test_a_mesh_of_another_name_keeps_its_keys_and_secret(created: dict[str, Any]) -> None:
    diff = KIND.diff(created, mesh(), mesh(name="prod"))
    assert diff.changes == (PropertyChange("name"),)
    after = over_the_wire(KIND.update("mesh", created, mesh(name="prod"), False))
    assert (after["privateKeys"], after["meshSecret"]) == (created["privateKeys"], created["meshSecret"])
    bundle = seal.open_sealed(after["bundles"]["cabin"], RECIPIENTS["cabin"][0], "prod", "cabin")
    assert bundle.mesh == after["topology"]["mesh"] == "prod"


def test_another_tunnel_moves_addresses_but_no_keys_and_seals_nothing_again(created: dict[str, Any]) -> None:
    after = over_the_wire(KIND.update("mesh", created, mesh(tunnel={"v4": "10.98.0.0/24"}), False))
    assert after["topology"]["sites"]["cabin"]["addresses"] == ["10.98.0.2"]
    assert (after["privateKeys"], after["bundles"]) == (created["privateKeys"], created["bundles"])


def test_differences_are_told_by_path_and_never_replace(created: dict[str, Any]) -> None:
    news = with_farm()
    news["sites"]["cabin"]["lans"] = ["10.9.0.0/24"]
    del news["sites"]["berlin"]
    news["keepalive"] = 10
    changes = KIND.diff(created, mesh(), news).changes
    assert [(change.path, change.kind) for change in changes] == [
        ("keepalive", "UPDATE"),
        ("sites.berlin", "DELETE"),
        ("sites.cabin.lans[0]", "UPDATE"),
        ("sites.farm", "ADD"),
    ]
    assert not any(change.replace for change in changes)


def test_an_import_is_refused_with_the_way_to_get_a_lost_mesh_back() -> None:
    with pytest.raises(ExplainedError, match=r"cannot import mesh: .*pulumi stack import"):
        KIND.read("mesh", {}, {})


def test_a_preview_tells_what_it_can_know_and_makes_no_key(created: dict[str, Any]) -> None:
    assert has_unknown(KIND.create("mesh", mesh(), True)[1]["topology"])
    moved = mesh()
    moved["sites"]["cabin"]["lans"] = ["10.9.0.0/24"]
    foreseen = KIND.update("mesh", created, moved, True)
    assert foreseen["topology"] == over_the_wire(KIND.update("mesh", created, moved, False))["topology"]
    assert foreseen["bundles"] == created["bundles"]
    resealed = KIND.update("mesh", created, mesh(name="prod"), True)
    assert resealed["bundles"] is UNKNOWN
    assert resealed["topology"]["mesh"] == "prod"
    grown = KIND.update("mesh", created, with_farm(), True)
    assert grown["topology"] is grown["bundles"] is UNKNOWN
    encode_map(grown)


def test_the_resource_refuses_a_bad_mesh_itself_and_never_judges_what_is_unknown() -> None:
    with pytest.raises(CheckError) as caught:
        mesh(tunnel={"v4": "10.99.0.1/24"}, keepalive=25)
    assert caught.value.failures == [
        ("tunnel.v4", "10.99.0.1/24 has bits set beyond its prefix; did you mean 10.99.0.0/24?")
    ]
    with pytest.raises(CheckError, match="keepalive"):
        mesh(keepalive="often")
    inputs = mesh()
    inputs["sites"]["cabin"]["recipient"] = UNKNOWN
    inputs["keepalive"] = UNKNOWN
    assert KIND.check(inputs, {})["sites"]["cabin"]["recipient"] is UNKNOWN
    assert KIND.diff({}, mesh(), inputs).changes


def test_state_grows_with_the_number_of_sites_not_with_its_square() -> None:
    def size(count: int) -> int:
        sites = {
            f"s{n}": {
                "lans": [f"10.{n >> 8}.{n & 255}.0/24"],
                "recipient": RECIPIENTS["berlin"][1],
                "endpoint": f"h{n}.example:1",
            }
            for n in range(count)
        }
        inputs = KIND.check({"name": "big", "tunnel": {"v4": "10.255.0.0/16"}, "sites": sites}, {})
        return len(json.dumps(over_the_wire(KIND.create("mesh", inputs, False)[1])))

    few, many = size(10), size(100)
    assert (many - few) / 90 < 2600
    assert many < 10 * few * 1.02


def made_before_1420_was_told_from_nothing(state: dict[str, Any]) -> dict[str, Any]:
    topology = {name: value for name, value in state["topology"].items() if name not in FOUND}
    sites = {name: {key: one[key] for key in one if key != "mtu"} for name, one in topology["sites"].items()}
    return {**state, "topology": {**topology, "sites": sites}}


@pytest.mark.parametrize("given", [{}, {"mtu": 1420}])
def test_a_mesh_of_before_is_asked_once_which_mtu_was_given_and_the_preview_says_what_follows(
    given: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    monkeypatch.setattr(mesh_topology, "log", lambda text, severity: said.append(text))
    inputs = mesh(**given)
    state = over_the_wire(KIND.create("mesh", inputs, False)[1])
    before = made_before_1420_was_told_from_nothing(state)
    assert [one.mtu for one in Topology.from_dict(before["topology"]).sites.values()] == [1420, 1420]
    changes = MeshTopology().diff(before, inputs, inputs).changes
    assert [(change.path, change.kind, change.replace) for change in changes] == [("unsetMtu", "ADD", False)]
    assert [line.startswith("berlin, cabin: nobody has set an `mtu`") for line in said] == ([] if given else [True])
    assert over_the_wire(KIND.update("mesh", before, inputs, True)) == state, "a preview knows all of it"
    assert over_the_wire(KIND.update("mesh", before, inputs, False)) == state
    said.clear()
    assert MeshTopology().diff(state, inputs, inputs).changes == ()
    assert said == []
