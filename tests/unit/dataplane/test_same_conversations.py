"""Both data planes, in the same conversation, put the same bytes on the wire, deliver the same packets, count alike."""

from __future__ import annotations

import random

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.fuzz.effort import effort
from tests.unit.dataplane.worlds import NAMES, World, inner_packet
from wgnode.dataplane.choose import FAST, PYTHON, Unavailable, choose

names = st.sampled_from(NAMES)
WHATS = ["keepalive", "no route", "route", "steal", "psk", "forget", "restart"]
numbers = st.integers(0, 1000)
packets = st.one_of(
    st.builds(inner_packet, names, names, st.sampled_from([0, 1]), st.integers(0, 1400)),
    st.binary(max_size=80),
)
times = st.one_of(st.floats(0, 1), st.floats(0, 30), st.floats(0, 700))
steps = st.one_of(
    st.tuples(st.just("send"), names, packets),
    st.tuples(st.just("send"), names, packets),
    st.tuples(st.just("fly"), numbers),
    st.tuples(st.just("fly"), numbers),
    st.tuples(st.just("fly"), numbers),
    st.tuples(st.just("deliver")),
    st.tuples(st.just("again"), numbers),
    st.tuples(st.just("spoil"), numbers, numbers),
    st.tuples(st.just("lose"), numbers),
    st.tuples(st.just("roam"), names, numbers),
    st.tuples(st.just("wait"), times),
    st.tuples(st.just("configure"), names, names, st.sampled_from(WHATS)),
)


@pytest.fixture(scope="module", autouse=True)
def compiled() -> None:
    try:
        choose(FAST)
    except Unavailable as missing:
        pytest.skip(str(missing))


def play(world: World, script: list[tuple]) -> None:
    for kind, *arguments in script:
        match kind:
            case "again":
                world.fly(arguments[0], keep=True)
            case "spoil":
                world.fly(arguments[0], keep=True, spoil=arguments[1])
            case _:
                getattr(world, kind)(*arguments)
        world.log.append(world.state())


HELLO = inner_packet("a", "b", 0, 5)
TALK = [("send", "a", HELLO), ("deliver",)]
ANSWER = [("send", "b", inner_packet("b", "a", 1, 300)), ("deliver",)]


def compare(script: list[tuple]) -> None:
    plain, compiled = (World(choose(name).new_plane) for name in (PYTHON, FAST))
    play(plain, script)
    play(compiled, script)
    for expected, found in zip(plain.log, compiled.log, strict=True):
        assert found == expected


@example([*TALK, *ANSWER, ("wait", 200.0), *TALK])
@example([*TALK, ("roam", "a", 1), *TALK, *ANSWER])
@example([*TALK, ("wait", 121.0), ("send", "a", HELLO), *TALK, *ANSWER])
@example([*TALK, ("send", "a", HELLO), ("again", 0), ("again", 0), ("spoil", 0, 77), ("fly", 0)])
@effort(100)
@given(st.lists(steps, max_size=60))
def test_any_script_gives_the_same_bytes(script: list[tuple]) -> None:
    compare(TALK + script)


NEAR_DEADLINES = (0.01, 1.0, 5.1, 9.99, 10.01, 14.99, 15.4, 60.0, 119.9, 120.1, 164.9, 165.1, 179.9, 180.1, 541.0)


def conversation(seed: int) -> list[tuple]:
    """What networks do, mostly: packets both ways, now and then lost, late, twice or spoilt; and time goes by."""
    rng = random.Random(seed)
    script: list[tuple] = []
    for _ in range(150):
        source, destination = rng.sample(NAMES, 2)
        number = rng.randrange(1000)
        talk = ("send", source, inner_packet(source, destination, rng.randrange(2), rng.randrange(1400)))
        step = rng.choices(
            [
                [talk, ("deliver",)],
                [talk, talk, ("fly", number)],
                [("deliver",)],
                [("lose", number)],
                [("again", number)],
                [("spoil", number, rng.randrange(10_000))],
                [("roam", source, number), talk, ("deliver",)],
                [("wait", rng.choice(NEAR_DEADLINES))],
                [("configure", source, destination, rng.choice(WHATS))],
            ],
            [30, 10, 10, 3, 6, 6, 2, 20, 3],
        )[0]
        script += step
    return script


@pytest.mark.parametrize("seed", range(20))
def test_a_long_conversation_gives_the_same_bytes(seed: int) -> None:
    compare(conversation(seed))
