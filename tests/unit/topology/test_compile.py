"""One site's configuration out of the topology, its bundle and its facts."""

from __future__ import annotations

import dataclasses
from ipaddress import ip_network

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from wgnode.nodeconfig import NodeConfig, NodeSecrets, encode_key
from wgnode.topology import presharedkey
from wgnode.topology.bundle import Bundle
from wgnode.topology.compile import Route, SiteFacts, compile_site, host_routes
from wgnode.topology.model import Topology, TopologyError
from wgnode.topology.transit import Transit
from wgnode.topology.validate import mesh_problems

from .meshes import SECRET, bundle_of, private_key, public_key, site, site_id, topology_of, two_sites

BERLIN = SiteFacts(("10.1.0.2", "fd00:10:1::2"))
CABIN = SiteFacts(("10.2.0.2", "fd00:10:2::2"))


def test_a_site_gets_its_addresses_links_and_peers() -> None:
    topology = topology_of(two_sites())
    config, secrets = compile_site(topology, "cabin", bundle_of(topology, "cabin"), CABIN)
    assert (config.mesh, config.name, config.interface, config.listen_port) == ("dev", "cabin", "wg0", 51820)
    assert config.addresses == ("10.99.0.2/24", "fd00:99::2/64")
    assert config.transit.mac == "52:54:00:77:67:00"
    assert config.transit.addresses == ("172.31.255.254/30", "fd77:676e:6f64:6500::2/126")
    assert config.transit.gateways == ("172.31.255.253", "fd77:676e:6f64:6500::1")
    assert config.lan.mac == topology.sites["cabin"].lan_mac != topology.sites["berlin"].lan_mac
    assert config.lan.addresses == ("10.2.0.2/24", "fd00:10:2::2/64")
    (berlin,) = config.peers
    assert berlin.name == "berlin"
    assert set(berlin.allowed_ips) == {"10.99.0.1/32", "fd00:99::1/128", "10.1.0.0/24", "fd00:10:1::/64"}
    assert berlin.endpoint == "198.51.100.2:51820"
    assert secrets.private_keys == (private_key("cabin"),)
    assert NodeConfig.from_json(config.to_json()).to_json() == config.to_json()
    assert NodeSecrets.from_json(secrets.to_json()) == secrets


def test_only_the_site_that_nobody_can_call_keeps_its_mapping_open() -> None:
    topology = topology_of({**two_sites(), "keepalive": 17})
    cabin, _ = compile_site(topology, "cabin", bundle_of(topology, "cabin"), CABIN)
    berlin, _ = compile_site(topology, "berlin", bundle_of(topology, "berlin"), BERLIN)
    assert [peer.persistent_keepalive for peer in cabin.peers] == [17]
    assert [(peer.endpoint, peer.persistent_keepalive) for peer in berlin.peers] == [(None, 0)]


def test_both_sides_of_a_pair_have_the_same_pre_shared_key_and_no_secret_is_in_the_configuration() -> None:
    topology = topology_of(two_sites())
    berlin_config, berlin = compile_site(topology, "berlin", bundle_of(topology, "berlin"), BERLIN)
    _, cabin = compile_site(topology, "cabin", bundle_of(topology, "cabin"), CABIN)
    assert berlin.preshared_keys[public_key("cabin")] == cabin.preshared_keys[public_key("berlin")]
    for secret in (*berlin.private_keys, *(key for keys in berlin.preshared_keys.values() for key in keys)):
        assert encode_key(secret) not in berlin_config.to_json().decode()


def test_a_joining_site_changes_no_other_pair_and_no_address() -> None:
    before = topology_of(two_sites())
    raw = two_sites()
    raw["sites"]["aachen"] = site("10.3.0.0/24", endpoint="203.0.113.9:51820")
    after = topology_of(raw, {name: there.index for name, there in before.sites.items()})
    _, old = compile_site(before, "cabin", bundle_of(before, "cabin"), CABIN)
    config, new = compile_site(after, "cabin", bundle_of(after, "cabin"), CABIN)
    assert {name: there.addresses for name, there in before.sites.items()}.items() <= {
        name: there.addresses for name, there in after.sites.items()
    }.items()
    assert old.preshared_keys.items() <= new.preshared_keys.items()
    assert [peer.name for peer in config.peers] == ["aachen", "berlin"]


def test_pre_shared_keys_differ_by_epoch_pair_mesh_secret_and_label() -> None:
    a, b, c = public_key("a"), public_key("b"), public_key("c")
    x, y, z = site_id("a"), site_id("b"), site_id("c")
    assert presharedkey.of_keys(SECRET, 1, a, b) == presharedkey.of_keys(SECRET, 1, b, a)
    assert presharedkey.of_ids(SECRET, 1, x, y) == presharedkey.of_ids(SECRET, 1, y, x)
    keys = {
        presharedkey.of_keys(SECRET, 1, a, b),
        presharedkey.of_keys(SECRET, 2, a, b),
        presharedkey.of_keys(SECRET, 1, a, c),
        presharedkey.of_keys(SECRET[::-1], 1, a, b),
        presharedkey.of_ids(SECRET, 1, x, y),
        presharedkey.of_ids(SECRET, 2, x, y),
        presharedkey.of_ids(SECRET, 1, x, z),
        presharedkey.of_ids(SECRET[::-1], 1, x, y),
    }
    assert len(keys) == 8
    with pytest.raises(ValueError, match="two different"):
        presharedkey.of_keys(SECRET, 1, a, a)
    with pytest.raises(ValueError, match="two different"):
        presharedkey.of_ids(SECRET, 1, x, x)
    with pytest.raises(ValueError, match="'berlin' is not a site's id"):
        presharedkey.of_ids(SECRET, 1, x, "berlin")


def test_pre_shared_keys_are_what_they_were() -> None:
    """Recorded: another derivation would cut off every pair of sites that are not of the same version."""
    assert presharedkey.of_keys(bytes(32), 0, bytes(32), b"\1" * 32).hex() == (
        "41c868e4f6b3662532d5e19f07420f633aa017fad5442d5d867ec9f2067dd5f7"
    )
    assert presharedkey.of_ids(bytes(32), 0, "0" * 16, "1" * 16).hex() == (
        "c2f8b9e6e986fe9602ff1993a2dcbeba489975a98869bd538cc2ce0578b007bf"
    )


@pytest.mark.parametrize("changed", ["names", "keys"])
def test_neither_a_new_name_nor_a_new_key_changes_a_pre_shared_key(changed: str) -> None:
    before = topology_of(two_sites())
    renamed, berlin = before.sites["cabin"], before.sites["berlin"]
    name, key = ("lodge", private_key("cabin")) if changed == "names" else ("cabin", private_key("another key"))
    public = X25519PrivateKey.from_private_bytes(key).public_key().public_bytes_raw()
    there = dataclasses.replace(renamed, public_keys=(public,))
    after = dataclasses.replace(before, sites={"berlin": berlin, name: there})
    bundle = dataclasses.replace(bundle_of(before, "cabin"), site=name, private_keys=(key,))
    _, old = compile_site(before, "cabin", bundle_of(before, "cabin"), CABIN)
    config, new = compile_site(after, name, bundle, CABIN)
    assert new.preshared_keys == old.preshared_keys != {}
    assert config.lan.mac == renamed.lan_mac


def test_the_host_sends_the_tunnel_and_the_other_lans_to_the_gateway() -> None:
    topology = topology_of(two_sites())
    assert host_routes(topology, "cabin", CABIN.gateway_addresses) == [
        Route("10.1.0.0/24", "10.2.0.2"),
        Route("10.99.0.0/24", "10.2.0.2"),
        Route("fd00:10:1::/64", "fd00:10:2::2"),
        Route("fd00:99::/64", "fd00:10:2::2"),
    ]
    assert {route.via for route in host_routes(topology, "cabin", ["10.2.0.2"])} == {"10.2.0.2"}


@pytest.mark.parametrize(
    ("facts", "says"),
    [
        (
            SiteFacts(("10.1.0.2", "fd00:10:2::2")),
            "10.1.0.2 is in none of the site's lans (10.2.0.0/24, fd00:10:2::/64)",
        ),
        (SiteFacts(("10.2.0.0", "fd00:10:2::2")), "10.2.0.0 is the network or broadcast address of 10.2.0.0/24"),
        (SiteFacts(("10.2.0.255", "fd00:10:2::2")), "10.2.0.255 is the network or broadcast address"),
        (SiteFacts(("10.2.0.2", "fd00:10:2::")), "fd00:10:2:: is the network or broadcast address"),
        (SiteFacts(("10.2.0.2",)), "the gateway has no address in lan fd00:10:2::/64"),
        (
            SiteFacts(CABIN.gateway_addresses, Transit.of("10.1.0.252/30", None)),
            "transit network 10.1.0.252/30 overlaps site 'berlin' lan 10.1.0.0/24",
        ),
        (
            SiteFacts(CABIN.gateway_addresses, Transit.of(None, "fd00:99::fc/126")),
            "transit network fd00:99::fc/126 overlaps tunnel prefix fd00:99::/64",
        ),
    ],
)
def test_a_site_that_does_not_fit_its_mesh_is_refused(facts: SiteFacts, says: str) -> None:
    topology = topology_of(two_sites())
    with pytest.raises(TopologyError, match="site 'cabin'") as caught:
        compile_site(topology, "cabin", bundle_of(topology, "cabin"), facts)
    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("lan", "gateway", "address"),
    [
        ("10.2.0.0/31", "10.2.0.0", "10.2.0.0/31"),
        ("10.2.0.0/31", "10.2.0.1", "10.2.0.1/31"),
        ("10.2.0.4/30", "10.2.0.6", "10.2.0.6/30"),
        ("fd00:10:2::8/127", "fd00:10:2::8", "fd00:10:2::8/127"),
        ("fd00:10:2::8/127", "fd00:10:2::9", "fd00:10:2::9/127"),
        ("fd00:10:2::8/126", "fd00:10:2::b", "fd00:10:2::b/126"),
    ],
)
def test_of_two_addresses_a_gateway_may_have_either(lan: str, gateway: str, address: str) -> None:
    raw = two_sites()
    raw["sites"]["cabin"]["lans"] = [lan]
    assert mesh_problems(raw) == []
    topology = topology_of(raw)
    config, _ = compile_site(topology, "cabin", bundle_of(topology, "cabin"), SiteFacts((gateway,)))
    assert config.lan.addresses == (address,)


@pytest.mark.parametrize(
    ("lan", "gateway", "says"),
    [
        ("10.2.0.4/30", "10.2.0.4", "10.2.0.4 is the network or broadcast address of 10.2.0.4/30"),
        ("10.2.0.4/30", "10.2.0.7", "10.2.0.7 is the network or broadcast address"),
        ("fd00:10:2::8/126", "fd00:10:2::8", "fd00:10:2::8 is the network or broadcast address"),
        (
            "10.2.0.9/32",
            "10.2.0.9",
            "lan 10.2.0.9/32 is one address, a machine.s: .* 10.2.0.8/31 at least",
        ),
        ("fd00:10:2::9/128", "fd00:10:2::9", "lan fd00:10:2::9/128 is one address.* fd00:10:2::8/127 at least"),
    ],
)
def test_an_address_that_is_no_machines_and_a_lan_without_place_are_refused(lan: str, gateway: str, says: str) -> None:
    raw = two_sites()
    raw["sites"]["cabin"]["lans"] = [lan]
    topology = topology_of(raw)
    with pytest.raises(TopologyError, match=says):
        compile_site(topology, "cabin", bundle_of(topology, "cabin"), SiteFacts((gateway,)))


def test_the_last_ipv6_address_of_a_lan_is_an_address_like_any_other() -> None:
    topology = topology_of(two_sites())
    facts = SiteFacts(("10.2.0.2", "fd00:10:2::ffff:ffff:ffff:ffff"))
    config, _ = compile_site(topology, "cabin", bundle_of(topology, "cabin"), facts)
    assert config.lan.addresses[1] == "fd00:10:2:0:ffff:ffff:ffff:ffff/64"


def test_a_site_missing_in_the_mesh_is_named_with_those_that_are_there() -> None:
    topology = topology_of(two_sites())
    with pytest.raises(TopologyError, match=r"site 'farm' is not in mesh 'dev' \(its sites: berlin, cabin\)"):
        compile_site(topology, "farm", bundle_of(topology, "farm"), CABIN)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"id": site_id("berlin"), "site": "berlin"}, "belongs to site 'berlin' of mesh 'dev', not to site 'cabin' of"),
        ({"mesh": "prod"}, "of mesh 'prod'"),
        ({"epoch": 7}, "the bundle has epoch 7, the topology 1"),
        ({"private_keys": (private_key("old"),)}, "the bundle's keys are not those of the topology"),
    ],
)
def test_a_bundle_of_something_else_is_refused(change: dict[str, object], says: str) -> None:
    topology = topology_of(two_sites())
    bundle = dataclasses.replace(bundle_of(topology, "cabin"), **change)  # type: ignore[arg-type]
    with pytest.raises(TopologyError) as caught:
        compile_site(topology, "cabin", bundle, CABIN)
    assert says in str(caught.value)


def test_topology_and_bundle_come_back_from_their_plain_form() -> None:
    topology = topology_of(two_sites())
    bundle = bundle_of(topology, "cabin")
    assert Topology.from_dict(topology.to_dict()) == topology
    assert Bundle.from_json(bundle.to_json()) == bundle
    older = dataclasses.replace(bundle, id=None)
    assert b'"format":1' in older.to_json()
    assert Bundle.from_json(older.to_json()) == older


def test_other_formats_and_damage_are_errors_that_show_no_secret() -> None:
    with pytest.raises(TopologyError, match="format 1, this version reads 2"):
        Topology.from_dict({**topology_of(two_sites()).to_dict(), "format": 1})
    with pytest.raises(TopologyError, match="format 'NoneType'"):
        Topology.from_dict(None)
    with pytest.raises(TopologyError, match="damaged"):
        Topology.from_dict({"format": 2})
    blob = bundle_of(topology_of(two_sites()), "cabin").to_json()
    with pytest.raises(TopologyError, match=r"malformed \(its content is not shown\)") as caught:
        Bundle.from_json(blob[:-9])
    assert caught.value.__suppress_context__
    with pytest.raises(TopologyError, match="format 9"):
        Bundle.from_json(blob.replace(b'"format":2', b'"format":9'))


@settings(max_examples=20, deadline=None)
@given(st.integers(2, 8), st.data())
def test_every_pair_agrees_and_every_address_leads_to_one_site(count: int, data: st.DataObject) -> None:
    raw = two_sites()
    raw["sites"] = {
        f"s{n}": site(f"10.{n}.0.0/24", endpoint=f"198.51.100.{n}:1" if n or data.draw(st.booleans()) else None)
        for n in range(count)
    }
    topology = topology_of(raw)
    compiled = {
        name: compile_site(topology, name, bundle_of(topology, name), SiteFacts((f"10.{name[1:]}.0.9",)))
        for name in raw["sites"]
    }
    for name, (config, secrets) in compiled.items():
        assert [peer.name for peer in config.peers] == sorted(set(raw["sites"]) - {name})
        claimed = [ip_network(text) for peer in config.peers for text in peer.allowed_ips]
        assert not any(one.overlaps(other) for i, one in enumerate(claimed) for other in claimed[:i])
        for peer in config.peers:
            theirs = compiled[peer.name][1].preshared_keys[config.public_keys[0]]
            assert secrets.preshared_keys[peer.public_keys[0]] == theirs
