"""A site's users: judged with their paths, and compiled into peers of exactly their own addresses."""

from __future__ import annotations

import copy
from datetime import date, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wgnode.nodeconfig import NodeConfig, NodeSecrets, encode_key
from wgnode.topology import users
from wgnode.topology.compile import SiteFacts, compile_site
from wgnode.topology.homes import second_homes
from wgnode.topology.model import TopologyError
from wgnode.topology.user_problems import problems
from wgnode.topology.users import Users, moment, without_groups

from .meshes import bundle_of, public_key, topology_of, two_sites

PHONE, LAPTOP, DESK = (encode_key(public_key(name)) for name in ("phone", "laptop", "desk"))
SECRET = bytes(range(32))
GATEWAY = ("10.1.0.2", "fd00:10:1::2")
WORDS = (
    "users",
    "groups",
    "devices",
    "pool",
    "released",
    "reachableFrom",
    "v4",
    "v6",
    "lan",
    "dhcp",
    "reach",
    "firewall",
    "forward",
    "to",
)
WORDS += ("publicKey", "addresses", "expires", "egress", "egressPool", "egressAddresses", "reachableFrom", "transit")
SITE = {
    "name": "berlin",
    "host": {"address": "198.51.100.2"},
    "lan": {"gatewayAddresses": list(GATEWAY), "dhcp": ["10.1.0.64-10.1.0.127"]},
    "firewall": {"forward": [{"to": "10.1.0.140/32"}]},
    "pool": {"v4": "10.1.0.128/26", "v6": "fd00:10:1::1000/116"},
    "groups": {"staff": {"reach": "all"}},
    "deviceSecret": "secret",
    "users": {
        "alice": {
            "groups": ["staff"],
            "expires": "2027-01-31",
            "devices": {
                "phone": {"publicKey": PHONE, "addresses": ["10.1.0.130", "fd00:10:1::1001"]},
                "laptop": {"publicKey": LAPTOP, "addresses": ["10.1.0.131"], "disabled": True},
            },
        },
        "bob": {"devices": {"desk": {"publicKey": DESK, "addresses": ["10.1.0.132"]}}},
    },
}


def facts(site: dict[str, Any] = SITE) -> SiteFacts:
    people = (site.get(name) for name in ("pool", "users", "groups", "egressPool"))
    return SiteFacts(GATEWAY, users=Users.of(*people))


def changed(path: str, value: Any) -> dict[str, Any]:
    made = copy.deepcopy(SITE)
    *steps, last = path.split(".")
    inner: Any = made
    for step in steps:
        inner = inner.setdefault(step, {})
    if value is None:
        del inner[last]
    else:
        inner[last] = value
    return made


def test_a_device_is_a_peer_of_exactly_its_addresses_and_other_sites_stay_as_they_are() -> None:
    topology = topology_of(two_sites())
    bundle = bundle_of(topology, "berlin")
    without, _ = compile_site(topology, "berlin", bundle, SiteFacts(GATEWAY))
    config, secrets = compile_site(topology, "berlin", bundle, facts(), SECRET)
    (phone,) = config.devices
    assert (phone.name, phone.endpoint, phone.persistent_keepalive) == ("alice/phone", None, 0)
    assert phone.allowed_ips == ("10.1.0.130/32", "fd00:10:1::1001/128")
    assert phone.public_keys == (public_key("phone"),)
    assert phone.expires == 1801353600, "2027-01-31 begins"
    assert config.peers == without.peers
    assert secrets.preshared_keys[public_key("phone")] == (users.preshared_key(SECRET, public_key("phone")),)
    assert set(secrets.preshared_keys) == {public_key("cabin"), public_key("phone")}
    assert NodeConfig.from_json(config.to_json()) == config
    assert NodeSecrets.from_json(secrets.to_json()) == secrets


def test_who_is_in_no_group_or_disabled_gets_nothing_and_the_first_is_told() -> None:
    peers = {one.label: one.why_not for one in facts().users.devices}
    assert peers == {"alice/laptop": "disabled", "alice/phone": "", "bob/desk": "user is in no group"}
    disabled = changed("users.alice.disabled", True)
    assert facts(disabled).users.peers == ()
    (said,) = without_groups("berlin", disabled["users"])
    assert said.startswith("site 'berlin': user 'bob' is in no group, so the user's devices can't connect")


def test_whose_time_is_over_is_told_and_stays_a_peer_that_the_node_refuses() -> None:
    (said,) = users.expired("berlin", SITE["users"], moment("2027-01-31"))
    assert said.startswith("site 'berlin': user 'alice' has expired (2027-01-31)")
    assert list(users.expired("berlin", SITE["users"], moment("2027-01-31") - 1)) == []
    assert [one.label for one in facts().users.peers] == ["alice/phone"]


def test_preshared_keys_are_what_they_were_and_differ_by_secret_and_key() -> None:
    """Recorded: another derivation would cut off every device."""
    assert users.preshared_key(bytes(32), bytes(32)).hex() == (
        "013ef5baf69422be67cec3862c380d76312bcc66cce33f2ac023a0b344c6badc"
    )
    assert users.preshared_key(SECRET, bytes(32)) != users.preshared_key(bytes(32), bytes(32))
    assert users.preshared_key(SECRET, bytes(32)) != users.preshared_key(SECRET, SECRET)


def test_times_are_read_as_people_and_yaml_write_them() -> None:
    assert moment("1970-01-02") == moment(date(1970, 1, 2)) == moment("1970-01-02T00:00:00Z") == 86400
    assert moment("1970-01-01T00:01:00Z") == moment(datetime(1970, 1, 1, 0, 1)) == 60
    for wrong in ("31.1.2027", "2027-02-30", "2027-01-31T18:00", "tomorrow", 5, None):
        with pytest.raises(ValueError, match="write it like 2027-01-31"):
            moment(wrong)


@pytest.mark.parametrize("reach", ["host-route", "proxy-arp", "masquerade"])
def test_a_good_site_has_no_problem(reach: str) -> None:
    assert list(problems(changed("lan.reach", reach))) == []


@pytest.mark.parametrize(
    ("path", "value", "at", "says"),
    [
        ("pool", None, ".pool", "is missing: the addresses of the LAN that devices get"),
        ("pool", {"v4": None}, ".pool", "no network: give v4"),
        ("pool.v4", "10.1.0.130/26", ".pool.v4", "did you mean 10.1.0.128/26"),
        (
            "pool.v4",
            "10.1.0.64/26",
            ".pool.v4",
            "pool 10.1.0.64/26 overlaps 10.1.0.64-10.1.0.127, which the LAN's DHCP",
        ),
        ("lan.dhcp", ["10.1.0.0/25", "10.1.0.190"], ".lan.dhcp[1]", "10.1.0.190 has no prefix length"),
        ("lan.dhcp", ["10.1.0.9-10.1.0.3"], ".lan.dhcp[0]", "its first address comes behind its last"),
        ("lan.dhcp", ["10.1.0.9-10.1.0.191"], ".pool.v4", "overlaps 10.1.0.9-10.1.0.191"),
        ("pool.released", {"10.1.0": "2026-01-01"}, ".pool.released.10.1.0", "'10.1.0' is no address"),
        ("deviceSecret", None, ".deviceSecret", "`wgnode user add` makes it"),
        ("groups.Staff", {"reach": "all"}, ".groups.Staff", "group name 'Staff': use a lower-case letter"),
        ("users.bob.groups", ["staf"], ".users.bob.groups[0]", "there is no group 'staf' (there are: staff); add it"),
        ("users.Bob", {}, ".users.Bob", "user name 'Bob': use a lower-case letter"),
        ("users.bob smith", {}, ".users.bob smith", "user name 'bob smith'"),
        ("users.bob.devices.My Phone", {}, ".users.bob.devices.My Phone", "device name 'My Phone'"),
        (
            "users.bob.devices.desk.publicKey",
            PHONE,
            ".users.bob.devices.desk.publicKey",
            "device bob/desk has the public key of device alice/phone",
        ),
        (
            "users.bob.devices.desk.addresses",
            ["10.1.0.130"],
            ".users.bob.devices.desk.addresses[0]",
            "10.1.0.130 is device alice/phone's already",
        ),
        (
            "users.bob.devices.desk.addresses",
            ["10.1.0.2"],
            ".users.bob.devices.desk.addresses[0]",
            "10.1.0.2 is the gateway's already",
        ),
        (
            "users.bob.devices.desk.addresses",
            ["10.1.0.140"],
            ".users.bob.devices.desk.addresses[0]",
            "10.1.0.140 is a machine that firewall.forward names's already",
        ),
        (
            "users.bob.devices.desk.addresses",
            ["10.1.1.130"],
            ".users.bob.devices.desk.addresses[0]",
            "10.1.1.130 is outside of the pool (10.1.0.128/26, fd00:10:1::1000/116)",
        ),
        (
            "users.bob.devices.desk.addresses",
            ["10.1.0.150", "10.1.0.151"],
            ".users.bob.devices.desk.addresses[1]",
            "two addresses of IPv4",
        ),
    ],
)
def test_what_is_wrong_is_told_at_its_path(path: str, value: Any, at: str, says: str) -> None:
    found = {problem.path: problem.message for problem in problems(changed(path, value))}
    assert says in found.get(at, ""), found


@pytest.mark.parametrize(
    ("site", "says"),
    [
        ({"pool": {"v4": "10.3.0.0/26"}}, "pool 10.3.0.0/26 lies in none of the site's lans (10.1.0.0/24,"),
        ({"pool": {"v4": "10.1.0.0/16"}}, "pool 10.1.0.0/16 lies in none"),
        ({"users": {"eve": {"devices": {"x": {"publicKey": encode_key(public_key("cabin")), "addresses": []}}}}},
         "device eve/x has the public key of site 'cabin'"),
        ({"users": {"eve": {"devices": {"x": {"publicKey": PHONE, "addresses": ["10.1.0.255"]}}}}},
         "device eve/x: 10.1.0.255 is the network or broadcast address"),
    ],
)  # fmt: skip
def test_what_does_not_fit_the_mesh_is_refused(site: dict[str, Any], says: str) -> None:
    topology = topology_of(two_sites())
    with pytest.raises(TopologyError) as error:
        compile_site(topology, "berlin", bundle_of(topology, "berlin"), facts({**SITE, **site}), SECRET)
    assert says in str(error.value)


def test_a_home_that_nobody_can_call_is_refused_with_the_ways_out() -> None:
    topology = topology_of(two_sites())
    people = {"pool": {"v4": "10.2.0.128/26"}, "users": SITE["users"]}
    cabin = SiteFacts(("10.2.0.2", "fd00:10:2::2"), users=facts(people).users)
    with pytest.raises(TopologyError, match=r"'cabin' has no endpoint.*give it one.*\(with an endpoint: berlin\)"):
        compile_site(topology, "cabin", bundle_of(topology, "cabin"), cabin, SECRET)


def test_homes_are_told_where_they_are_the_second_and_people_with_one_are_not() -> None:
    phone, other = {"publicKey": PHONE}, {"publicKey": LAPTOP}
    found = second_homes(
        {
            "berlin": {"alice": {"devices": {"phone": phone}}, "carol": {}},
            "cabin": {"alice": {"devices": {"pad": other}}, "bob": {"devices": {"phone": phone, "pad": other}}},
        }
    )
    assert [(one.site, one.problem.path) for one in found] == [
        ("cabin", ".users.alice"),
        ("cabin", ".users.bob.devices.phone.publicKey"),
    ]


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.sampled_from((PHONE, "10.1.0.130", "staff")),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(WORDS) | st.text(max_size=4), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(st.dictionaries(st.sampled_from(WORDS), ANYTHING, max_size=6), ANYTHING)
def test_whatever_stands_there_is_judged_without_a_surprise(raw: dict[str, Any], more: Any) -> None:
    """Its shape is judged elsewhere; both are asked of the same values."""
    for site in (raw, {**SITE, "users": more}, {**SITE, "users": {"bob": more}}, {**SITE, "pool": more}):
        list(problems(site))
    list(second_homes({"berlin": raw.get("users"), "cabin": more}))
