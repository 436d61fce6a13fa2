"""Where a gateway's searches begin."""

from __future__ import annotations

from dataclasses import replace

from tests.unit.io.test_paths import hello
from tests.unit.io.ways import World
from wgnode.appliance import guesses
from wgnode.appliance.heard import Learned
from wgnode.nodeconfig import CarrierConfig, LinkConfig, NodeConfig, encode_key
from wgnode.pathmtu.known import Evidence, Guess

LINK = LinkConfig("02:00:00:00:00:01", ("10.0.0.1/24",))
CONFIG = NodeConfig("m", "a", (bytes(32),), 51820, ("10.9.0.1/32",), LINK, LINK)


def test_the_carriers_way_from_us_is_the_profile_and_memory_counts_before_it() -> None:
    world = World()
    both = replace(CONFIG, carrier=CarrierConfig("t-mobile", up=1440, down=1400))
    guesses.tell_profile(world.a.paths, both)
    assert world.a.paths.profile == Guess(1440, Evidence.PROFILE)
    key = encode_key(world.b.device.public_keys[0])
    guesses.offer(world.a.paths, {"no key": (Learned(4, "", 1300),), key: (Learned(4, "", 1430),)})
    hello(world.a)
    world.run(0.06)
    assert (world.a.known.size, world.a.known.evidence) == (1430, Evidence.MEMORY)
    guesses.tell_profile(world.a.paths, CONFIG)
    assert world.a.paths.profile is None


def test_a_node_that_searches_nothing_takes_no_guess() -> None:
    guesses.tell_profile(None, CONFIG)
    guesses.offer(None, {encode_key(bytes(32)): (Learned(4, "", 1300),)})
