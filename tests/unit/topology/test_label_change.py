"""Two sites come from pre-shared keys of public keys to those of ids under a stream, in every order of their `up`s.

The keys are those that `compile_site` gives each site for the topology at its own last `up`; the devices are real. A
site is a step behind at most, as docs/decisions/preshared-keys-from-ids.md demands.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import permutations, product

import pytest

from tests.unit.protocol.pairs import KEY_A, KEY_B, Pair, pair
from tests.unit.protocol.test_rotation_phases import Stream, renew
from tests.unit.topology.meshes import SECRET, bundle_of, site_id, topology_of, two_sites
from wgnode.protocol.errors import Drop
from wgnode.topology import labels
from wgnode.topology.compile import SiteFacts, compile_site
from wgnode.topology.model import Topology

NAMES = {"a": "berlin", "b": "cabin"}
FACTS = {"berlin": SiteFacts(("10.1.0.2", "fd00:10:1::2")), "cabin": SiteFacts(("10.2.0.2", "fd00:10:2::2"))}
PRIVATE = {"berlin": KEY_A, "cabin": KEY_B}
ORDERS = list(product(permutations("ab"), repeat=len(labels.STEPS)))
"""Which site has its `up` first, step by step."""


def topology(step: tuple[int, ...]) -> Topology:
    """The mesh's, of two sites that are older than ids."""
    p, made = pair(start=False), topology_of(two_sites())
    public = {"berlin": p.a.device.public_keys, "cabin": p.b.device.public_keys}
    sites = {name: replace(one, public_keys=public[name], labels=step) for name, one in made.sites.items()}
    return replace(made, sites=sites)


def up(p: Pair, side: str, step: tuple[int, ...]) -> None:
    """The site takes what it compiles now."""
    name, made, node = NAMES[side], topology(step), getattr(p, side)
    bundle = replace(bundle_of(made, name), private_keys=(PRIVATE[name],))
    _, secrets = compile_site(made, name, bundle, FACTS[name])
    (keys,) = secrets.preshared_keys.values()
    node.device.set_preshared_keys(node.peer, keys)


def handshakes(p: Pair, stream: Stream) -> None:
    """One that each side initiates, under traffic."""
    for node in (p.a, p.b):
        renew(node, p.now)
        stream.flow(6)


@pytest.mark.parametrize("orders", ORDERS, ids=lambda orders: "".join(map("".join, orders)))
def test_a_stream_over_sites_of_mixed_versions_loses_nothing_in_any_order(orders: tuple[tuple[str, ...], ...]) -> None:
    p = pair(start=False)
    for side in "ab":
        up(p, side, labels.OLD)
        getattr(p, side).device.start(p.now)
    stream = Stream(p.connect(), 1, "ab")
    for step, order in zip(labels.STEPS.values(), orders, strict=True):
        for side in order:
            up(p, side, step)
            handshakes(p, stream)
    stream.assert_nothing_lost()
    assert p.a.peer.preshared_keys == p.b.peer.preshared_keys
    assert len(p.a.peer.preshared_keys) == 1


@dataclass(frozen=True)
class Mixed:
    """Which of the two can complete a handshake as its initiator."""

    a: bool
    b: bool


def mixed_states() -> Iterator[tuple[tuple[int, ...], tuple[int, ...], Mixed]]:
    """All of them: the responder answers with its first, the initiator must have that."""
    for a, b in product(labels.ORDER, repeat=2):
        yield a, b, Mixed(a=b[0] in a, b=a[0] in b)


@pytest.mark.parametrize(("a", "b", "works"), list(mixed_states()))
def test_who_can_initiate_in_each_mixed_state(a: tuple[int, ...], b: tuple[int, ...], works: Mixed) -> None:
    distance = abs(labels.ORDER.index(a) - labels.ORDER.index(b))
    assert (works == Mixed(True, True)) or distance > 1, "a step apart both can"
    for side, can in (("a", works.a), ("b", works.b)):
        p = pair(start=False)
        for each, step in (("a", a), ("b", b)):
            up(p, each, step)
            getattr(p, each).device.start(p.now)
        (p.a_to_b if side == "a" else p.b_to_a)()
        initiator = getattr(p, side)
        assert (initiator.peer.session is not None) == can
        assert initiator.device.counters == ({} if can else {Drop.BAD_HANDSHAKE: 1})


def test_a_pair_with_a_newcomer_has_only_the_new_key() -> None:
    old = topology(labels.STEPS["accept"])
    young = replace(old, sites={**old.sites, "cabin": replace(old.sites["cabin"], labels=labels.NEW)})
    for name, key in PRIVATE.items():
        bundle = replace(bundle_of(young, name), private_keys=(key,))
        _, secrets = compile_site(young, name, bundle, FACTS[name])
        assert [len(keys) for keys in secrets.preshared_keys.values()] == [1]
    assert bundle.mesh_secret == SECRET
    assert site_id("berlin") == young.sites["berlin"].id
