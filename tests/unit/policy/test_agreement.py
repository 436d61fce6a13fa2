"""The stack file read naively, the compiled policy and the plane that moves packets: the same verdicts on anything."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.policy.crossing import (
    ALICE,
    ALICE6,
    BOB,
    BOB6,
    GATEWAY,
    ICMP,
    ICMP6,
    MACHINE,
    MACHINE6,
    NETWORKS,
    PUBLIC,
    PUBLIC6,
    SITE,
    SITE6,
    TCP,
    UDP,
    Crossing,
    ip,
    ping,
    tcp,
    udp,
)
from tests.unit.policy.naive import Reading, addresses
from tests.unit.topology.meshes import topology_of, two_sites
from wgnode.nodeconfig import encode_key
from wgnode.policy.judge import Judge
from wgnode.policy.model import Policy
from wgnode.topology import access, groups
from wgnode.topology.users import Users

NAMES = ("staff", "guests", "machines")
DEVICES = ("alice", "bob")
HOST = "10.1.0.1"
OWN = ("10.1.0.2", HOST, "10.99.0.1", "fd00:10:1::2", "fd00:99::1")
ELSEWHERE = (GATEWAY, HOST, MACHINE, PUBLIC, SITE, "10.1.0.140", "10.3.0.1", "10.99.0.2", "172.16.0.9", "239.1.1.1")
ELSEWHERE6 = (MACHINE6, PUBLIC6, SITE6, "fd00:10:1::2", "fd00:99::1", "fd00:99::2", "fd00:10:3::1")
_networks = st.sampled_from(
    ("10.1.0.0/24", "10.1.0.2/32", "10.1.0.1/32", "10.0.0.0/8", "203.0.113.0/24", "10.1.0.20/32")
)
_networks6 = st.sampled_from(("fd00:10:1::/64", "fd00:10:1::2/128", "fd00::/16", "2001:db8:7::/48"))
_targets = st.fixed_dictionaries(
    {},
    optional={
        "networks": st.lists(_networks | _networks6, min_size=1, max_size=2),
        "sites": st.lists(st.sampled_from(("berlin", "cabin")), min_size=1, max_size=2),
        "groups": st.lists(st.sampled_from(NAMES), min_size=1, max_size=2),
        "internet": st.just(True),
    },
).filter(bool)
_what = st.one_of(
    st.just({}),
    st.fixed_dictionaries({"protocol": st.sampled_from(("tcp", "udp", "icmp", 47))}),
    st.fixed_dictionaries(
        {
            "protocol": st.sampled_from(("tcp", "udp")),
            "ports": st.lists(st.sampled_from((53, 443, "400-500", "1-65535")), min_size=1, max_size=2),
        }
    ),
)
_rules = st.lists(st.builds(lambda targets, what: {**targets, **what}, _targets, _what), max_size=2)
_group = st.fixed_dictionaries({}, optional={"reach": st.just("all") | _rules, "reachableFrom": _rules})
_groups = st.fixed_dictionaries(dict.fromkeys(NAMES, _group))
_members = st.fixed_dictionaries(
    dict.fromkeys(DEVICES, st.lists(st.sampled_from(NAMES), min_size=1, max_size=2, unique=True))
)
_packets = st.lists(
    st.tuples(
        st.sampled_from(("alice", "bob", "")),
        st.sampled_from(range(12)),
        st.sampled_from((TCP, UDP, ICMP, 47)),
        st.sampled_from((53, 443, 444, 500, 65535)),
        st.booleans(),
    ),
    min_size=1,
    max_size=12,
)


def compiled(said: dict[str, Any], members: dict[str, list[str]]) -> tuple[Policy, dict[str, int]]:
    found = {one.path: one.message for name in said for one in groups.problems(name, said[name], said)}
    assert not found
    listed = {name: [net.partition("/")[0] for net in NETWORKS[name]] for name in members}
    users = {
        name: {
            "groups": named,
            "devices": {"x": {"publicKey": encode_key(name.encode().ljust(32)), "addresses": listed[name]}},
        }
        for name, named in members.items()
    }
    people = Users.of(None, users, said)
    policy = access.compiled(people.peers, people.groups, topology_of(two_sites()), OWN, ())
    numbers = access.class_numbers(people.peers)
    assert policy is not None
    return policy, {one.user: numbers[one.groups] for one in people.peers}


def one_of(protocol: int, source: str, destination: str, port: int, sport: int) -> bytes:
    if protocol == TCP:
        return tcp(source, destination, port, sport)
    if protocol == UDP:
        return udp(source, destination, port, sport)
    if protocol in (ICMP, ICMP6):
        return ping(source, destination, sport)
    return ip(source, destination, protocol, b"")


@settings(max_examples=60)
@given(said=_groups, members=_members, packets=_packets)
def test_all_readings_agree(plane: str, said: dict[str, Any], members: dict[str, list[str]], packets: Any) -> None:
    policy, classes = compiled(said, members)
    judge = Judge(policy)
    devices = dict(addresses({name: NETWORKS[name] for name in DEVICES}))
    reading = Reading(said, members, devices, OWN)
    crossing = Crossing(policy, classes)
    sport = 30_000
    for who, number, kind, port, six in packets:
        sport += 1
        own = {"alice": (ALICE, ALICE6), "bob": (BOB, BOB6)}
        mine = own[who or "bob"][six]
        others = [*(ELSEWHERE6 if six else ELSEWHERE), own["alice" if who == "bob" else "bob"][six]]
        other = others[number % len(others)]
        protocol = ICMP6 if six and kind == ICMP else kind
        whose = devices.get(other)
        owner = None if whose is None else classes[whose]
        where = ip_address(other).packed
        seen = port if protocol in (TCP, UDP) else 0
        if kind == 47:
            crossing.clock.now += 300.0  # a flow without ports is over
        if who:
            wanted = reading.may_send(who, other, protocol, seen)
            assert judge.allows(classes[who], where, owner, protocol, seen, outgoing=True) == wanted
            assert crossing.carry(who, one_of(protocol, mine, other, port, sport)) == wanted, (who, other)
        else:
            wanted = reading.may_receive("bob", other, protocol, seen)
            if whose is None:
                assert judge.allows(classes["bob"], where, None, protocol, seen, outgoing=False) == wanted
            before = crossing.dropped
            crossing.offer(one_of(protocol, other, mine, port, sport))
            assert (crossing.dropped == before) == wanted, (other, mine)
