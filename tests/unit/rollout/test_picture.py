"""Predictions come true: what is foreseen of each site is what the mesh's `up` makes of it, keys apart."""

from __future__ import annotations

import copy
import dataclasses
import hashlib
from collections.abc import Callable
from dataclasses import replace
from ipaddress import ip_network
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.topology.meshes import bundle_of, site, topology_of, two_sites
from wgnode.firewall.rules import Allow, Firewall
from wgnode.nodeconfig import CarrierConfig, PeerConfig, encode_key
from wgnode.policy.model import Class, Policy, Rule
from wgnode.rollout.changes import changes
from wgnode.rollout.foresee import foresee, masked_topology
from wgnode.rollout.grouping import Group, grouped, whose
from wgnode.rollout.picture import Picture, draw
from wgnode.rollout.risks import irreversible, outage
from wgnode.topology.allocate import allocate
from wgnode.topology.compile import SiteFacts, compile_site
from wgnode.topology.model import MeshSpec, Topology
from wgnode.topology.plan import decide
from wgnode.topology.transit import Transit

FACTS = {
    "berlin": SiteFacts(("10.1.0.2", "fd00:10:1::2")),
    "cabin": SiteFacts(("10.2.0.2", "fd00:10:2::2")),
    "paris": SiteFacts(("10.3.0.2",)),
    "hut": SiteFacts(("10.2.0.2", "fd00:10:2::2")),
}
GATEWAY = {"gateway.memory": 128}
TRANSIT = Transit.of()
FIREWALL = Firewall("wan0", TRANSIT.networks, tuple(address.split("/")[0] for address in TRANSIT.guest), 51820, ())


class Mesh:
    """What a mesh's stack does at each `up`: ids and keys that nobody knows before."""

    def __init__(self, raw: dict[str, Any]) -> None:
        self.drawn, self.known, self.listened = 0, {}, set()
        self.topology: Topology
        self.up(raw)

    def up(self, raw: dict[str, Any]) -> Topology:
        spec = MeshSpec.from_dict(raw)
        self.listened.add(spec.listen_port)
        self.known = allocate(spec, self.known, self._random)
        public = {name: (self._public(one),) for name, one in self.known.items()}
        self.topology = decide(spec, self.known, public, 1, self.listened)
        self.resting = {
            name: {**one.to_dict(), "publicKeys": [encode_key(public[name][0])]}
            for name, one in self.known.items()
            if name not in spec.sites
        }
        return self.topology

    def _public(self, one: Any) -> bytes:
        return hashlib.sha256(f"{one.id} {one.key_generation}".encode()).digest()

    def _random(self, length: int) -> bytes:
        self.drawn += 1
        return hashlib.sha256(f"drawn {self.drawn}".encode()).digest()[:length]


def picture(topology: Topology, name: str, **more: Any) -> Picture:
    return draw(topology, name, FACTS[name], FIREWALL, {**GATEWAY, **more})


BERLIN = picture(Mesh(two_sites()).topology, "berlin")


def with_paris() -> dict[str, Any]:
    raw = two_sites()
    raw["sites"]["paris"] = site("10.3.0.0/24", endpoint="192.0.2.3:51820")
    return raw


def renewed() -> dict[str, Any]:
    raw = two_sites()
    raw["sites"]["berlin"]["keyGeneration"] = 2
    return raw


def renamed() -> dict[str, Any]:
    raw = two_sites()
    raw["sites"]["hut"] = {**raw["sites"].pop("cabin"), "renamedFrom": "cabin"}
    return raw


def without_cabin() -> dict[str, Any]:
    raw = two_sites()
    del raw["sites"]["cabin"]
    return raw


def another_port() -> dict[str, Any]:
    return {**two_sites(), "listenPort": 51821}


@pytest.mark.parametrize("after", [two_sites, with_paris, renewed, renamed, without_cabin, another_port])
def test_what_is_foreseen_is_what_comes(after: Callable[[], dict[str, Any]]) -> None:
    mesh = Mesh(two_sites())
    expected = foresee(MeshSpec.from_dict(after()), mesh.topology, mesh.resting)
    real = mesh.up(after())
    assert masked_topology(real, expected.unknown) == masked_topology(expected.topology, expected.unknown)
    for name in real.sites:
        foreseen = picture(expected.topology, name).digests(expected.unknown)
        assert picture(real, name).digests(expected.unknown) == foreseen


def test_who_still_has_the_former_key_is_not_where_the_change_leads() -> None:
    mesh = Mesh(two_sites())
    expected = foresee(MeshSpec.from_dict(renewed()), mesh.topology, mesh.resting)
    for name in mesh.topology.sites:
        foreseen = picture(expected.topology, name).digests(expected.unknown)
        assert picture(mesh.topology, name).digests(expected.unknown) != foreseen


def test_who_comes_back_gets_what_rests() -> None:
    mesh = Mesh(two_sites())
    before = mesh.topology
    mesh.up(without_cabin())
    expected = foresee(MeshSpec.from_dict(two_sites()), mesh.topology, mesh.resting)
    assert expected.unknown == {}
    assert expected.topology == before == mesh.up(two_sites())


def test_before_the_first_up_all_keys_are_unknown() -> None:
    expected = foresee(MeshSpec.from_dict(two_sites()), None, {})
    assert expected.unknown == {"berlin": "", "cabin": ""}
    real = Mesh(two_sites()).topology
    for name in real.sites:
        assert picture(real, name).digests(expected.unknown) == picture(expected.topology, name).digests(
            expected.unknown
        )


def test_a_prediction_differs_where_anything_but_an_unknown_key_does() -> None:
    mesh = Mesh(two_sites())
    expected = foresee(MeshSpec.from_dict(with_paris()), mesh.topology, mesh.resting)
    other = with_paris()
    other["sites"]["paris"]["endpoint"] = "192.0.2.4:51820"
    real = mesh.up(other)
    foreseen = picture(expected.topology, "berlin").digests(expected.unknown)
    assert picture(real, "berlin").digests(expected.unknown) != foreseen


def test_the_public_half_is_that_of_the_whole() -> None:
    topology = topology_of(two_sites())
    config, _ = compile_site(topology, "cabin", bundle_of(topology, "cabin"), FACTS["cabin"])
    assert picture(topology, "cabin").node == config


def test_a_new_peer_is_told_alike_to_all() -> None:
    mesh = Mesh(two_sites())
    expected = foresee(MeshSpec.from_dict(with_paris()), mesh.topology, mesh.resting)
    told = {
        name: changes(picture(mesh.topology, name), picture(expected.topology, name)) for name in mesh.topology.sites
    }
    assert grouped(told) == [
        Group(("berlin", "cabin"), ("+ peer paris (its key is not made yet)", "+ route 10.3.0.0/24"))
    ]


def test_a_rename_is_no_new_peer() -> None:
    mesh = Mesh(two_sites())
    expected = foresee(MeshSpec.from_dict(renamed()), mesh.topology, mesh.resting)
    assert changes(picture(mesh.topology, "berlin"), picture(expected.topology, "berlin")) == [
        "~ peer cabin is called hut"
    ]


def test_a_changed_peer_says_what_of_it() -> None:
    mesh, raw = Mesh(two_sites()), two_sites()
    raw["sites"]["berlin"].update(endpoint="192.0.2.9:51820", lans=["10.1.0.0/16"])
    expected = foresee(MeshSpec.from_dict(raw), mesh.topology, mesh.resting)
    assert changes(picture(mesh.topology, "cabin"), picture(expected.topology, "cabin")) == [
        "~ peer berlin: endpoint: 198.51.100.2:51820 → 192.0.2.9:51820",
        "~ peer berlin: allowed + 10.1.0.0/16",
        "~ peer berlin: allowed - 10.1.0.0/24",
        "~ peer berlin: allowed - fd00:10:1::/64",
        "+ route 10.1.0.0/16",
        "- route 10.1.0.0/24",
        "- route fd00:10:1::/64",
    ]


def other_node(one: Picture, data: st.DataObject) -> Picture:
    """Another picture in one or more of its node's fields."""
    node = one.node
    fields: dict[str, Any] = {
        "mesh": "other",
        "name": "other",
        "public_keys": (b"x" * 32,),
        "listen_port": 1,
        "addresses": node.addresses[::-1],
        "transit": replace(node.transit, gateways=("192.0.2.1",)),
        "lan": replace(node.lan, masquerade=True),
        "peers": (replace(node.peers[0], mtu=1300),),
        "interface": "wg1",
        "mtu": 1280,
        "carrier": CarrierConfig("t-mobile-us", 1400),
        "path_mtu": False,
        "devices": (PeerConfig("alice/phone", (b"p" * 32,), ("10.1.0.130/32",)),),
        "policy": Policy((Class(), Class((Rule("groups.staff.reach[0]"),)))),
    }
    assert fields.keys() == {field.name for field in dataclasses.fields(node)}
    chosen = data.draw(st.sets(st.sampled_from(sorted(fields)), min_size=1))
    return replace(one, node=replace(node, **{name: fields[name] for name in chosen}))


@settings(max_examples=50)
@given(st.data())
def test_no_difference_of_a_nodes_configuration_goes_untold(data: st.DataObject) -> None:
    other = other_node(one := BERLIN, data)
    assert one.digests() != other.digests()
    assert changes(one, other)


def test_equal_pictures_have_no_changes_and_are_in_no_group() -> None:
    one = picture(Mesh(two_sites()).topology, "berlin")
    assert changes(one, one) == []
    assert grouped({"berlin": []}) == []


def test_rules_are_told_by_name() -> None:
    mesh = Mesh(two_sites())
    opened = replace(FIREWALL, allow=(Allow("tcp", 443, (ip_network("192.0.2.0/24"),)),))
    one, other = (draw(mesh.topology, "berlin", FACTS["berlin"], wall, {}) for wall in (FIREWALL, opened))
    told = changes(one, other)
    assert [line.split(":")[0] for line in told] == [
        "+ rule input-allow-tcp-443-v4",
        "+ rule input-unknown-allow-tcp-443-v4",
    ]
    assert "192.0.2.0/24" in told[0]
    assert one.digests()["ruleset"] != other.digests()["ruleset"]


def test_groups_come_largest_first_and_are_named_shortly() -> None:
    told = {f"s{number}": ["+ peer paris"] for number in range(5)} | {"a": ["- peer rome"], "still": []}
    groups = grouped(told)
    assert [len(group.sites) for group in groups] == [5, 1]
    assert whose(groups[0].sites) == "5 sites (s0, s1, s2, …)"
    assert whose(("a",)) == "a"
    assert whose(("a", "b", "c")) == "a, b and c"


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ({}, {}, None),
        ({"host.address": "a"}, {"host.address": "b"}, None),
        ({}, {"gateway.memory": 256}, "a new guest: gateway.memory"),
        ({"gateway.image": "a"}, {"gateway.image": "b"}, "a new guest: gateway.image"),
    ],
)
def test_a_new_guest_is_an_outage(before: dict[str, Any], after: dict[str, Any], said: str | None) -> None:
    topology = Mesh(two_sites()).topology
    assert outage(picture(topology, "berlin", **before), picture(topology, "berlin", **after)) == said


def test_other_cards_are_an_outage_and_a_new_site_is_none() -> None:
    one = picture(Mesh(two_sites()).topology, "berlin")
    other = replace(one, node=replace(one.node, lan=replace(one.node.lan, mac="52:54:00:00:00:01")))
    assert outage(one, other) == "a new guest: lan can't be changed while it runs"
    assert outage(None, one) is None
    assert outage(one, None) == "its gateway goes"


@pytest.mark.parametrize(
    ("after", "said"),
    [
        (two_sites, []),
        (with_paris, []),
        (renamed, []),
        (without_cabin, []),
        (lambda: {**without_cabin(), "forget": ["cabin"]}, ["site 'cabin' is forgotten"]),
        (renewed, ["site 'berlin' gets a new key"]),
        (lambda: {**two_sites(), "presharedKeys": "drop"}, ["pre-shared keys of label 1 are dropped"]),
    ],
)
def test_what_the_former_configuration_does_not_bring_back_is_named(
    after: Callable[[], dict[str, Any]], said: list[str]
) -> None:
    found = list(irreversible(MeshSpec.from_dict(two_sites()), MeshSpec.from_dict(copy.deepcopy(after()))))
    assert len(found) == len(said)
    assert all(text.startswith(start) for text, start in zip(found, said, strict=True))


def test_rules_of_access_are_told_by_their_place_in_the_stack_file() -> None:
    web, all_of_it = Rule("groups.staff.reach[0]", ports=((443, 443),)), Rule("groups.guests.reach")
    former = picture(topology_of(two_sites()), "berlin")
    before, after, same = (
        replace(former, node=replace(former.node, policy=policy))
        for policy in (
            Policy((Class(), Class((web,)))),
            Policy((Class(), Class((web._replace(ports=()), all_of_it)))),
            Policy((Class(), Class((web,))), known=("10.0.0.0/8",)),
        )
    )
    assert changes(before, after) == ["+ access by groups.guests.reach", "~ access by groups.staff.reach[0]"]
    assert changes(after, former) == ["- access by groups.guests.reach", "- access by groups.staff.reach[0]"]
    assert changes(before, same) == ["~ access policy: classes of devices, or what is not the internet"]
