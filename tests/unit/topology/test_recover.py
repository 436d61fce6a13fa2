"""A mesh out of what its hosts have: all of it comes back, and what does not fit together is refused by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from wgnode.nodeconfig import NodeConfig, NodeSecrets, PeerConfig
from wgnode.topology import labels
from wgnode.topology.compile import SiteFacts, compile_site
from wgnode.topology.model import Topology
from wgnode.topology.recover import recover
from wgnode.topology.remains import RecoveryError, Remains

from .meshes import SECRET, bundle_of, private_key, public_key, site, site_id, topology_of, two_sites

GATEWAYS = {"berlin": "10.1.0.2", "cabin": "10.2.0.2", "farm": "10.3.0.2"}
INDICES = {"berlin": 4, "cabin": 2, "farm": 9}


def three_sites() -> dict[str, Any]:
    raw = two_sites()
    raw["sites"]["farm"] = site("10.3.0.0/24", endpoint="203.0.113.9:51820")
    return raw


def remains(topology: Topology, name: str, **changes: Any) -> Remains:
    gateways = tuple(lan.replace("::/64", "::2").replace(".0/24", ".2") for lan in topology.sites[name].lans)
    config, secrets = compile_site(topology, name, bundle_of(topology, name), SiteFacts(gateways))
    return replace(Remains(name, f"stack dev-{name}", config, secrets, bundle_of(topology, name)), **changes)


@pytest.fixture
def hosts() -> list[Remains]:
    topology = topology_of(three_sites(), INDICES, epoch=3)
    return [remains(topology, name) for name in GATEWAYS]


def with_peer(one: Remains, name: str, **changes: Any) -> Remains:
    peers = tuple(replace(peer, **changes) if peer.name == name else peer for peer in one.config.peers)
    return replace(one, config=replace(one.config, peers=peers))


def refused(hosts: list[Remains], lost: tuple[str, ...] = ()) -> str:
    with pytest.raises(RecoveryError) as raised:
        recover(hosts, lost)
    return "\n".join(raised.value.problems)


# All of it comes back


def test_the_hosts_give_back_everything_that_the_mesh_was_made_of(hosts: list[Remains]) -> None:
    mesh = recover(hosts)
    assert (mesh.name, mesh.listen_port, mesh.keepalive, mesh.epoch, mesh.mesh_secret) == ("dev", 51820, 25, 3, SECRET)
    assert list(map(str, mesh.tunnel)) == ["10.99.0.0/24", "fd00:99::/64"]
    assert {name: found.index for name, found in mesh.sites.items()} == INDICES
    assert {name: found.private_keys for name, found in mesh.sites.items()} == {
        name: (private_key(name),) for name in GATEWAYS
    }
    assert mesh.sites["berlin"].lans == ("10.1.0.0/24", "fd00:10:1::/64")
    assert mesh.sites["farm"].endpoint == "203.0.113.9:51820"
    assert mesh.sites["cabin"].endpoint is None
    assert mesh.warnings == ()


def test_each_site_has_the_mtu_that_its_own_gateway_has() -> None:
    raw = three_sites()
    raw["sites"]["farm"]["mtu"] = 1300
    topology = topology_of({**raw, "mtu": 1380})
    mesh = recover([remains(topology, name) for name in ("berlin", "farm")], ["cabin"])
    assert [mesh.sites[name].mtu for name in ("berlin", "farm", "cabin")] == [1380, 1300, None]


def test_a_keepalive_that_no_site_has_is_not_made_up() -> None:
    raw = three_sites()
    raw["sites"]["cabin"]["endpoint"] = "203.0.113.2:51820"
    topology = topology_of({**raw, "keepalive": 60}, INDICES)
    assert recover([remains(topology, name) for name in GATEWAYS]).keepalive is None


def test_one_readable_bundle_is_enough_for_the_mesh_secret_and_none_means_it_is_lost(hosts: list[Remains]) -> None:
    closed = [replace(one, bundle=None) for one in hosts]
    assert recover([*closed[:2], hosts[2]]).mesh_secret == SECRET
    lost = recover(closed)
    assert (lost.mesh_secret, lost.epoch) == (None, None)
    assert lost.sites["berlin"].private_keys == (private_key("berlin"),)


def test_a_bundle_stands_in_for_secrets_that_are_gone(hosts: list[Remains]) -> None:
    hosts[0] = replace(hosts[0], secrets=None)
    assert recover(hosts).sites["berlin"].private_keys == (private_key("berlin"),)


def test_a_dead_host_is_recovered_in_its_public_part_from_its_peers(hosts: list[Remains]) -> None:
    mesh = recover(hosts[:2], ["farm"])
    farm = mesh.sites["farm"]
    assert (farm.index, farm.lans, farm.endpoint, farm.private_keys) == (9, ("10.3.0.0/24",), "203.0.113.9:51820", ())


def test_the_last_host_left_knows_its_own_lans_from_its_interface(hosts: list[Remains]) -> None:
    alone = replace(hosts[0], config=replace(hosts[0].config, peers=()))
    mesh = recover([alone])
    assert mesh.sites["berlin"].lans == ("10.1.0.0/24", "fd00:10:1::/64")
    assert mesh.sites["berlin"].endpoint is None
    assert "no other host knows site 'berlin'" in mesh.warnings[0]


# What does not fit together is refused


def test_no_host_is_no_mesh() -> None:
    assert "nothing to recover" in refused([])


def test_a_site_that_was_not_asked_is_named_with_both_ways_out(hosts: list[Remains]) -> None:
    said = refused(hosts[:2])
    assert "site 'farm' is a peer of berlin, cabin" in said
    assert "--lost farm" in said
    assert "farm" in recover(hosts[:2], ["farm"]).sites


def test_a_lost_site_that_nobody_knows_is_a_mistake(hosts: list[Remains]) -> None:
    assert "--lost fram: no host has a peer of that name" in refused(hosts[:2], ("farm", "fram"))


def test_a_host_that_runs_another_sites_gateway_is_named(hosts: list[Remains]) -> None:
    hosts[1] = replace(hosts[1], site="berlin", label="stack dev-berlin-2")
    assert "stack dev-berlin-2: its host runs the gateway of site 'cabin', not of 'berlin'" in refused(hosts)


def test_two_stacks_of_one_site_are_named(hosts: list[Remains]) -> None:
    said = refused([*hosts, replace(hosts[0], label="stack old-berlin")])
    assert "stack dev-berlin and stack old-berlin are both of site 'berlin'" in said


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda config: replace(config, mesh="prod"), "stack dev-cabin has mesh prod, stack dev-berlin has dev"),
        (
            lambda config: replace(config, addresses=("10.98.0.2/24", "fd00:99::2/64")),
            "stack dev-cabin has tunnel 10.98.0.0/24, fd00:99::/64, stack dev-berlin has 10.99.0.0/24, fd00:99::/64",
        ),
    ],
)
def test_hosts_of_two_meshes_are_not_mixed(
    hosts: list[Remains], change: Callable[[NodeConfig], NodeConfig], said: str
) -> None:
    hosts[1] = replace(hosts[1], config=change(hosts[1].config))
    assert said in refused(hosts)


def test_two_sites_never_have_one_index(hosts: list[Remains]) -> None:
    hosts[1] = replace(hosts[1], config=replace(hosts[1].config, addresses=("10.99.0.4/24", "fd00:99::4/64")))
    said = refused(hosts)
    assert "sites 'berlin' and 'cabin' have the same index 4" in said
    assert "site 'cabin' has several indices in the tunnel: 2 for berlin, 4 for cabin itself" in said


def test_the_index_is_the_same_in_both_families(hosts: list[Remains]) -> None:
    hosts[1] = replace(hosts[1], config=replace(hosts[1].config, addresses=("10.99.0.2/24", "fd00:99::7/64")))
    assert "site 'cabin' has several indices in the tunnel" in refused(hosts)


def test_a_private_key_of_somebody_else_is_refused(hosts: list[Remains]) -> None:
    strange = NodeSecrets((private_key("stranger"),), {})
    hosts[0] = replace(hosts[0], secrets=strange, bundle=None)
    said = refused(hosts)
    assert "site 'berlin': the private key on its host is not that of its configuration" in said
    assert "--lost berlin" in said


def test_half_an_up_leaves_one_of_secrets_and_bundle_that_belongs_to_the_configuration(hosts: list[Remains]) -> None:
    hosts[0] = replace(hosts[0], secrets=NodeSecrets((private_key("former"),), {}))
    assert recover(hosts).sites["berlin"].private_keys == (private_key("berlin"),)


def test_a_host_without_any_private_key_is_named(hosts: list[Remains]) -> None:
    hosts[0] = replace(hosts[0], secrets=None, bundle=None)
    assert "site 'berlin': its host has no private key any more" in refused(hosts)


def test_two_mesh_secrets_of_one_epoch_are_two_meshes(hosts: list[Remains]) -> None:
    assert hosts[1].bundle
    hosts[1] = replace(hosts[1], bundle=replace(hosts[1].bundle, mesh_secret=bytes(32)))
    assert "the bundles of 'berlin' and 'cabin' have different mesh secrets of the same epoch 3" in refused(hosts)


def test_no_problem_text_shows_a_key(hosts: list[Remains]) -> None:
    hosts[0] = replace(hosts[0], secrets=NodeSecrets((private_key("stranger"),), {}), bundle=None)
    assert hosts[1].bundle
    said = refused(hosts) + repr(hosts)
    for key in (private_key("stranger"), private_key("cabin"), SECRET):
        assert key.hex() not in said
        assert repr(key) not in said


# Who is only behind is told, not refused


def test_the_newer_of_two_epochs_counts_and_what_changes_is_told(hosts: list[Remains]) -> None:
    newer = topology_of(three_sites(), INDICES, epoch=4)
    assert hosts[0].bundle
    hosts[0] = remains(newer, "berlin", bundle=replace(bundle_of(newer, "berlin"), mesh_secret=bytes(32)))
    hosts[0] = replace(
        hosts[0],
        secrets=compile_site(newer, "berlin", hosts[0].bundle, SiteFacts(("10.1.0.2", "fd00:10:1::2")))[1],
    )
    mesh = recover(hosts)
    assert (mesh.epoch, mesh.mesh_secret) == (4, bytes(32))
    assert "site 'cabin' has another pre-shared key with 'berlin' than the mesh secret gives" in "\n".join(
        mesh.warnings
    )
    assert not [warning for warning in mesh.warnings if warning.startswith("site 'berlin'")]


def test_a_peer_with_an_older_key_is_told_and_the_sites_own_counts(hosts: list[Remains]) -> None:
    hosts[1] = with_peer(hosts[1], "berlin", public_keys=(public_key("former"),))
    mesh = recover(hosts)
    assert mesh.sites["berlin"].private_keys == (private_key("berlin"),)
    assert "site 'cabin' has another public key of 'berlin' than berlin itself" in "\n".join(mesh.warnings)


@pytest.mark.parametrize(
    ("change", "expected", "said"),
    [
        ({"endpoint": "192.0.2.99:51820"}, "endpoint", "berlin has 192.0.2.99:51820; cabin has 203.0.113.9:51820"),
        (
            {"allowed_ips": ("10.99.0.9/32", "fd00:99::9/128", "10.33.0.0/24")},
            "LANs",
            "berlin has 10.33.0.0/24; cabin has 10.3.0.0/24",
        ),
    ],
)
def test_what_most_peers_have_counts(hosts: list[Remains], change: dict[str, Any], expected: str, said: str) -> None:
    topology = topology_of({**three_sites(), "sites": {**three_sites()["sites"], "hill": site("10.4.0.0/24")}}, INDICES)
    everybody = [with_peer(remains(topology, "berlin"), "farm", **change)]
    everybody += [remains(topology, name) for name in ("cabin", "farm", "hill")]
    mesh = recover(everybody)
    assert mesh.sites["farm"].endpoint == "203.0.113.9:51820"
    assert mesh.sites["farm"].lans == ("10.3.0.0/24",)
    told = "\n".join(mesh.warnings)
    assert f"the peers of site 'farm' differ about its {expected}" in told
    assert said in told


def test_a_lan_that_peers_do_not_know_is_told(hosts: list[Remains]) -> None:
    moved = replace(hosts[2].config, lan=replace(hosts[2].config.lan, addresses=("10.77.0.2/24",)))
    hosts[2] = replace(hosts[2], config=moved)
    assert "site 'farm' has 10.77.0.2/24 in its LAN, which its peers do not know" in "\n".join(recover(hosts).warnings)


def test_a_peer_of_no_address_in_the_tunnel_is_refused(hosts: list[Remains]) -> None:
    ghost = PeerConfig("ghost", (public_key("ghost"),), ("10.9.0.0/24",))
    hosts[0] = replace(hosts[0], config=replace(hosts[0].config, peers=(*hosts[0].config.peers, ghost)))
    assert "site 'ghost' has no address in the tunnel" in refused(hosts, ("ghost",))


# Who is who


def older_than_ids(step: tuple[int, ...]) -> list[Remains]:
    """Hosts of a mesh that was taken over, as far as this step; at the first they had no `up` since."""
    made = topology_of(three_sites(), INDICES, epoch=3)
    topology = replace(made, sites={name: replace(there, labels=step) for name, there in made.sites.items()})
    hosts = [remains(topology, name) for name in GATEWAYS]
    return [
        replace(one, bundle=replace(bundle_of(topology, one.site), id=None)) if step == labels.OLD else one
        for one in hosts
    ]


def test_ids_and_macs_come_back_from_bundles_and_interfaces(hosts: list[Remains]) -> None:
    found = recover(hosts).sites
    assert {name: there.id for name, there in found.items()} == {name: site_id(name) for name in GATEWAYS}
    assert {name: there.lan_mac for name, there in found.items()} == {one.site: one.config.lan.mac for one in hosts}
    assert {there.labels for there in found.values()} == {labels.NEW}


def test_the_hosts_record_stands_in_for_a_bundle_that_is_gone(hosts: list[Remains]) -> None:
    hosts[0] = replace(hosts[0], bundle=None, recorded_id=site_id("berlin"))
    mesh = recover(hosts)
    assert mesh.sites["berlin"].id == site_id("berlin")
    assert mesh.warnings == ()


def test_hosts_older_than_ids_have_none_and_keep_their_macs() -> None:
    mesh = recover(older_than_ids(labels.OLD))
    assert [there.id for there in mesh.sites.values()] == [None] * 3
    assert all(there.lan_mac for there in mesh.sites.values())
    assert {there.labels for there in mesh.sites.values()} == {labels.OLD}
    assert mesh.warnings == ()


@pytest.mark.parametrize("step", labels.STEPS.values())
def test_the_step_of_the_pre_shared_keys_comes_back(step: tuple[int, ...]) -> None:
    mesh = recover(older_than_ids(step))
    assert {there.labels for there in mesh.sites.values()} == {step}
    assert mesh.warnings == ()


def test_a_mixed_mesh_comes_back_as_mixed_as_it_is() -> None:
    accept, use = older_than_ids((1, 2)), older_than_ids((2, 1))
    mesh = recover([accept[0], use[1], accept[2]])
    assert [mesh.sites[name].labels for name in GATEWAYS] == [(1, 2), (2, 1), (1, 2)]
    assert mesh.warnings == ()


def test_an_id_twice_or_another_in_record_and_bundle_is_refused(hosts: list[Remains]) -> None:
    assert "record says id 0123456789abcdef, its bundle" in refused(
        [replace(hosts[0], recorded_id="0123456789abcdef"), *hosts[1:]]
    )
    twin = replace(hosts[1], bundle=None, recorded_id=site_id("berlin"))
    assert f"sites 'berlin' and 'cabin' have the same id {site_id('berlin')}" in refused([hosts[0], twin, hosts[2]])


def test_a_renamed_site_is_known_by_its_key_to_who_still_has_its_old_name(hosts: list[Remains]) -> None:
    renamed = [replace(hosts[0], site="lager", former="berlin"), *hosts[1:]]
    mesh = recover(renamed)
    assert set(mesh.sites) == {"lager", "cabin", "farm"}
    assert (mesh.sites["lager"].index, mesh.sites["lager"].id) == (4, site_id("berlin"))
    assert mesh.sites["lager"].lans == ("10.1.0.0/24", "fd00:10:1::/64")
    assert mesh.warnings == ()
    assert "its host runs the gateway of site 'berlin', not of 'lager'" in refused(
        [replace(hosts[0], site="lager"), *hosts[1:]]
    )
