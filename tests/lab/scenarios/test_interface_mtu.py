"""The tunnel's MTU where nobody has set one: full size from the first connection on, and no more than each path takes.

[a] 192.0.2.1 2001:db8::1 ---- 192.0.2.2 2001:db8::2 [b]
 10.9.0.1                                    10.9.0.2
"""

from __future__ import annotations

import json
import socket

import pytest

from tests.bench.pathmtu import ask
from tests.lab import programs
from tests.lab.interop import Namespace, wait_for
from tests.lab.programs import Program
from tests.lab.scenarios.world import Device, World, outer_wire, ping, split_on_the_cable, tcp
from wgnode.dataplane.choose import Unavailable, choose

pytestmark = [pytest.mark.lab, pytest.mark.sampled(5, of="the file")]

SOON = 20.0
TCP_WITH_TIMESTAMPS = 52
IPV4, IPV6 = "192.0.2.2:51820", "[2001:db8::2]:51820"
BOTH_OURS = "10.9.0.2/32"
NOBODY_TO_ASK = "10.9.0.2/32,10.9.0.99/32"


def keeps_limits(plane: str) -> bool:
    try:
        return choose(plane).new_plane().keeps_limits
    except Unavailable:
        return True  # its test says why


@pytest.fixture(params=[plane for plane in programs.PLANES if keeps_limits(plane)])
def program(request: pytest.FixtureRequest) -> Program:
    return programs.ours(request.param)


def two(
    world: World, endpoint: str, *, cable: int = 1500, allowed: str = BOTH_OURS, other: Program | None = None
) -> tuple[Device, Device]:
    """Without a session. `other` is what runs at b, if not ours."""
    a, b = world.space("a"), world.space("b")
    name = world.cable(a, b, ["192.0.2.1/24", "2001:db8::1/64"], ["192.0.2.2/24", "2001:db8::2/64"], mtu=cable)
    for space in (a, b):
        split_on_the_cable(space, name)
    near = world.device(a, ["10.9.0.1/24"], mtu=None)
    world.program = other or world.program
    far = world.device(b, ["10.9.0.2/24"], mtu=None)
    far.peer(near, "10.9.0.1/32")
    near.peer(far, allowed, endpoint)
    return near, far


def mtu(device: Device) -> int:
    (link,) = json.loads(device.ip("-j", "link", "show", device.name))
    return int(link["mtu"])


def segments(one: Namespace, other: Namespace) -> list[int]:
    """TCP's sizes at both ends of a new connection."""
    with other.call(lambda: socket.create_server(("10.9.0.2", 0))) as listener, one.call(socket.socket) as near:
        near.settimeout(SOON)
        near.connect(listener.getsockname())
        far, _ = listener.accept()
        with far:
            return [end.getsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG) + TCP_WITH_TIMESTAMPS for end in (near, far)]


@pytest.mark.parametrize(("endpoint", "inside"), [(IPV4, 1440), (IPV6, 1420)], ids=["over IPv4", "over IPv6"])
def test_the_first_connection_has_full_size_and_nothing_is_fragmented(world: World, endpoint: str, inside: int) -> None:
    one, other = two(world, endpoint)
    assert mtu(one) == mtu(other) == 1440
    with outer_wire(one.space, "eth1") as wire:
        assert segments(one.space, other.space) == [inside, inside], "before anything else has passed"
        tcp(one.space, other.space, "10.9.0.2")
        tcp(other.space, one.space, "10.9.0.1")
        assert max(wire()) == 1500
    pieces = one.space.run("nstat", "-asz", "IpFragCreates", "Ip6FragCreates", "IpReasmReqds", "Ip6ReasmReqds")
    assert [line.split()[1] for line in pieces.splitlines()[1:]] == ["0"] * 4
    assert mtu(one) == mtu(other) == 1440


def test_one_over_ipv6_does_not_hurt_one_over_ipv4(world: World) -> None:
    one, other = two(world, IPV4)
    third = world.device(other.space, ["10.9.1.2/24"], mtu=None, port=51821)
    third.peer(one, "10.9.0.1/32")
    one.peer(third, "10.9.1.2/32", "[2001:db8::2]:51821")
    one.ip("route", "add", "10.9.1.0/24", "dev", one.name)
    for target, header in (("10.9.0.2", 60), ("10.9.1.2", 80)):
        assert ping(one.space, target) or target == "10.9.1.2"  # its answers leave by the other one's route
        inside = 1500 - header
        wait_for(lambda t=target, i=inside: told(one, t) in (i, 0), f"{target} does not come to {inside}", SOON)
    assert segments(one.space, other.space) == [1440, 1440]


def told(one: Device, target: str) -> int:
    """What a sender of 1,440 bytes is told to keep to, 0 where nothing."""
    said = one.space.run("ping", "-n", "-c", "1", "-W", "0.5", "-M", "do", "-s", str(1440 - 28), target, check=False)
    return int(said.partition("mtu")[2].strip(" =:").split()[0].rstrip(")")) if "mtu" in said else 0


def test_jumbo_frames_raise_it_at_both_ends(world: World) -> None:
    one, other = two(world, IPV4, cable=9000)
    assert ping(one.space, "10.9.0.2")
    wait_for(lambda: mtu(one) == mtu(other) == 8940, "not raised", SOON)
    assert segments(one.space, other.space) == [8940, 8940]
    tcp(one.space, other.space, "10.9.0.2")


@pytest.mark.parametrize("before", [True, False], ids=["before", "after it was raised"])
def test_what_somebody_sets_stays(world: World, before: bool) -> None:
    one, other = two(world, IPV4, cable=9000)
    if before:
        one.ip("link", "set", one.name, "mtu", "1380")
    assert ping(one.space, "10.9.0.2")
    wait_for(lambda: mtu(other) == 8940, "the other one's is its own", SOON)
    if not before:
        wait_for(lambda: mtu(one) == 8940, "not raised", SOON)
        one.ip("link", "set", one.name, "mtu", "1380")
    ask.probe(one)
    wait_for(lambda: ask.path(one, other).get("state") == "search_complete", "not searched", SOON)
    assert mtu(one) == 1380
    tcp(one.space, other.space, "10.9.0.2")


def test_a_foreign_peer_that_nobody_can_ask_has_what_fits_over_either_family(world: World) -> None:
    """1,500 bytes are there, but nobody knows."""
    one, other = two(world, IPV4, allowed=NOBODY_TO_ASK, other=programs.wireguard_go())
    other.ip("link", "set", other.name, "mtu", "1440")
    assert ping(one.space, "10.9.0.2")
    assert ask.path(one, other)["unmeasured"]
    assert segments(one.space, other.space) == [1420, 1440], "what it sends is its own affair"
    with outer_wire(one.space, "eth1") as wire:
        tcp(one.space, other.space, "10.9.0.2")
        sent = wire()
        assert 1480 in sent
