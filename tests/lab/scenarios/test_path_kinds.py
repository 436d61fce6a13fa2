"""Path MTUs over each kind of path that networks have, with each implementation at the other end, and among liars.

[a] ---- [near] ==== [far] ---- [b], see tests/lab/path/path.py; a node at a and one at b, 10.9.0.1 and 10.9.0.2
"""

from __future__ import annotations

import secrets
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from functools import partial
from typing import Any

import pytest

from tests.bench.pathmtu import ask
from tests.bench.pathmtu.flow import stream
from tests.lab import programs
from tests.lab.interop import Namespace, wait_for
from tests.lab.path.forge import flood, too_big
from tests.lab.path.path import BOTH, Path, Way
from tests.lab.programs import Program
from tests.lab.scenarios.world import PORT, Device, World, outer_wire, ping, tcp
from wgnode.dataplane.choose import Unavailable, choose
from wgnode.pathmtu.checksum import checksum

pytestmark = pytest.mark.lab

SOON = 20.0
"""Seconds, on a busy machine; a search takes less than one."""
Make = Callable[..., tuple[Path, Device, Device]]


def keeps_limits(plane: str) -> bool:
    """Also one that is not there, of which its test says why."""
    try:
        return choose(plane).new_plane().keeps_limits
    except Unavailable:
        return True


@pytest.fixture(params=[plane for plane in programs.PLANES if keeps_limits(plane)])
def program(request: pytest.FixtureRequest) -> Program:
    return programs.ours(request.param)


@pytest.fixture
def make(world: World) -> Iterator[Make]:
    """Two nodes over a path that says nothing; the one at a knows where the other is. `tunnel` is their MTU; what comes
    from b has no DF where not `dont`."""
    paths: list[Path] = []

    def made(
        *, tunnel: int = 1440, other: Program | None = None, family: int = 4, dont: bool = True, **options: Any
    ) -> tuple[Path, Device, Device]:
        path = Path(world, **options)
        paths.append(path)
        if not dont:
            path.b.run("sysctl", "-qw", "net.ipv4.ip_no_pmtu_disc=1")
        path.silent(*BOTH)
        one = world.device(path.a, ["10.9.0.1/24"], mtu=tunnel)
        world.program = other or world.program
        two = world.device(path.b, ["10.9.0.2/24"], mtu=tunnel)
        address = path.address("b", family)
        two.peer(one, "10.9.0.1/32")
        one.peer(two, "10.9.0.2/32", f"[{address}]:{PORT}" if family == 6 else f"{address}:{PORT}")
        return path, one, two

    yield made
    for path in paths:
        path.close()


def found(one: Device, two: Device, size: int, evidence: str = "probe") -> None:
    """`one` comes to know that its way to `two` carries so many bytes, or up to 4 more."""

    def said() -> bool:
        told = ask.path(one, two)
        return told.get("evidence") == evidence and size - 4 < told["size"] <= size

    try:
        wait_for(said, "", SOON)
    except AssertionError:
        pytest.fail(f"not found: {size} by {evidence}, but {ask.path(one, two)}")


def talk(path: Path, one: Device, two: Device, up: int, down: int, mebibytes: int = 1) -> None:
    """Both find their own ways, and TCP passes both ways in messages of just those sizes."""
    assert ping(one.space, "10.9.0.2")
    found(one, two, up)
    found(two, one, down)
    wires = (outer_wire(path.a, "eth1"), outer_wire(path.b, "eth2"))
    with wires[0] as from_a, wires[1] as from_b:
        tcp(one.space, two.space, "10.9.0.2", mebibytes)
        assert up - 16 < max(size for size in from_a() if size <= up)
        from_b()
        tcp(two.space, one.space, "10.9.0.1", mebibytes)
        assert down - 16 < max(size for size in from_b() if size <= down)


def a_carrier_with_a_nat_and_50_ms_that_carries_less_one_way(make: Make) -> None:
    path, one, two = make(nat=True, delay=25.0)
    path.floor(Way.UP, 1280)
    path.floor(Way.DOWN, 1440)
    path.no_fragments(*BOTH)
    talk(path, one, two, 1280, 1440)


def jumbo_frames_are_found(make: Make) -> None:
    path, one, two = make(mtu=9000, tunnel=8940)
    path.floor(Way.DOWN, 8500)
    assert ping(one.space, "10.9.0.2")
    found(one, two, 9000)
    found(two, one, 8500)
    tcp(one.space, two.space, "10.9.0.2")


def flows_over_cables_of_other_sizes_keep_to_their_own(make: Make) -> None:
    """ECMP by ports: each direction has one of the two, and knows which."""
    path, one, two = make(core=(1500, 1400))
    path.no_fragments(*BOTH)
    assert ping(one.space, "10.9.0.2")
    for sender, receiver in ((one, two), (two, one)):
        wait_for(lambda s=sender, r=receiver: ask.path(s, r).get("size") in (1400, 1500), "neither cable's size", SOON)
    tcp(one.space, two.space, "10.9.0.2")
    tcp(two.space, one.space, "10.9.0.1")


def another_family_is_another_path(make: Make) -> None:
    path, one, two = make()
    path.floor(Way.UP, 1340, families=[4])
    path.floor(Way.UP, 1420, families=[6])
    assert ping(one.space, "10.9.0.2")
    found(one, two, 1340)
    one.peer(two, "10.9.0.2/32", f"[{path.address('b', 6)}]:{PORT}")
    assert ping(one.space, "10.9.0.2")
    found(one, two, 1420)
    assert ask.path(one, two)["family"] == 6


def a_floor_that_falls_and_rises_again_in_the_middle_of_a_flow(make: Make) -> None:
    path, one, two = make()
    path.no_fragments(*BOTH)
    path.floor(Way.UP, 1440)
    assert ping(one.space, "10.9.0.2")
    found(one, two, 1440)
    with stream(one.space, two.space, "10.9.0.2") as arrived:
        wait_for(lambda: arrived[0] > 1 << 20, "the flow does not begin", SOON)
        path.floor(Way.UP, 1340)
        found(one, two, 1340)
        before = arrived[0]
        wait_for(lambda: arrived[0] > before + (1 << 20), "the flow is dead", SOON)
        path.floor(Way.UP, 1480)
        ask.probe(one)  # grown without a word: the next look by itself is up to eleven minutes later
        found(one, two, 1480)


def a_twentieth_lost_each_way_is_no_smaller_path(make: Make) -> None:
    path, one, two = make(delay=10.0)
    path.floor(Way.UP, 1400)
    path.loss(5.0, *BOTH)
    wait_for(lambda: ping(one.space, "10.9.0.2"), "no session", SOON)
    found(one, two, 1400)
    until = time.monotonic() + 4.0
    with stream(one.space, two.space, "10.9.0.2"):
        while time.monotonic() < until:
            assert ask.path(one, two)["size"] >= 1396
            time.sleep(0.1)


def one_direction_is_measured_with(name: str, make: Make) -> None:
    path, one, two = make(other=programs.OTHERS[name]())
    path.floor(Way.UP, 1371)
    path.floor(Way.DOWN, 1280)
    assert ping(one.space, "10.9.0.2")
    found(one, two, 1371)
    assert ask.path(one, two)["spent"] <= 40 * 1371


def the_way_back_is_shown_of(name: str, make: Make) -> None:
    """Its datagrams have no DF, so the router puts those above 1,400 bytes in pieces, and the kernel at a together."""
    path, one, two = make(other=programs.OTHERS[name](), dont=False)
    path.floor(Way.UP, 1480)
    path.floor(Way.DOWN, 1400)
    assert ping(one.space, "10.9.0.2")
    found(one, two, 1480)
    assert ask.path(one, two)["back"] is None
    ask.probe(one)
    back = wait_for(lambda: ask.path(one, two)["back"], f"nothing of the way back: {ask.path(one, two)}", SOON)
    assert (back["evidence"], 1400 - 20 < back["size"] <= 1400) == ("echo", True)
    assert put_together(one.space) > 0
    assert ping(one.space, "10.9.0.2", "-s", "1372"), "people's large pings pass as ever"


def put_together(space: Namespace) -> int:
    return int(space.run("nstat", "-asz", "IpReasmOKs").splitlines()[-1].split()[1])


# Liars


def echo_reply(mark: bytes) -> bytes:
    message = b"\0\0\0\0" + mark
    return message[:2] + checksum(message).to_bytes(2, "big") + message[4:]


def floods_of_forged_icmp_and_replies_to_probes_never_sent_change_nothing(make: Make) -> None:
    path, one, two = make()
    path.floor(Way.UP, 1420)
    assert ping(one.space, "10.9.0.2")
    found(one, two, 1420)
    before = ask.path(one, two)
    lie = too_big(600, (path.address("a"), PORT), (path.address("b"), PORT), "198.51.100.1")
    with closing(two.space.call(lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP))) as peer:
        for _ in range(20):
            flood(path.b, lie, 100)
            for _ in range(100):
                with suppress(OSError):
                    peer.sendto(echo_reply(secrets.token_bytes(12)), ("10.9.0.1", 0))
    time.sleep(1.0)
    after = ask.path(one, two)
    assert (after["size"], after["evidence"]) == (1420, "probe")
    assert after["spent"] - before["spent"] < 60_000, "a look a second at most, paid by what was sent"
    tcp(one.space, two.space, "10.9.0.2")


def a_peer_that_lies_hurts_only_what_goes_to_itself(make: Make) -> None:
    """One that answers no probe: what goes to it goes as before, what goes to others keeps to what was found."""
    path, one, two = make()
    path.floor(Way.UP, 1400)
    silent = path.world.device(path.b, ["10.9.0.3/24"], mtu=1440, port=PORT + 1)
    path.b.run("nft", "-f", "-", text=f"""table inet mute {{ chain out {{ type filter hook output priority 0;
        oifname "{silent.name}" icmp type echo-reply drop; }}; }}""")  # fmt: skip
    silent.peer(one, "10.9.0.1/32")
    path.b.run("ip", "route", "replace", "10.9.0.1/32", "dev", two.name)
    one.peer(silent, "10.9.0.3/32", f"{path.address('b')}:{PORT + 1}")
    assert ping(one.space, "10.9.0.2")
    found(one, two, 1400)
    ping(one.space, "10.9.0.3", tries=1)
    wait_for(lambda: ask.path(one, silent), "no session with the silent one", SOON)
    assert ask.path(one, silent)["evidence"] == "unknown"
    tcp(one.space, two.space, "10.9.0.2")
    found(one, two, 1400)


RULES: dict[str, Callable[[Make], None]] = {
    rule.__name__: rule
    for rule in (
        a_carrier_with_a_nat_and_50_ms_that_carries_less_one_way,
        jumbo_frames_are_found,
        flows_over_cables_of_other_sizes_keep_to_their_own,
        another_family_is_another_path,
        a_floor_that_falls_and_rises_again_in_the_middle_of_a_flow,
        a_twentieth_lost_each_way_is_no_smaller_path,
        floods_of_forged_icmp_and_replies_to_probes_never_sent_change_nothing,
        a_peer_that_lies_hurts_only_what_goes_to_itself,
    )
} | {
    f"{what} {name}": partial(rule, name)
    for what, rule in (
        ("one direction is measured with", one_direction_is_measured_with),
        ("the way back is shown of", the_way_back_is_shown_of),
    )
    for name in programs.OTHERS
}


@pytest.mark.sampled(4)
@pytest.mark.parametrize("rule", RULES)
def test_path_mtu(make: Make, rule: str) -> None:
    RULES[rule](make)
