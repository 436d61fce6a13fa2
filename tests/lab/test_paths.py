"""What the lab's paths claim to be, measured: sizes each way and family, loss, delay, rate, NAT, ECMP, forged ICMP."""

from __future__ import annotations

import contextlib
import socket
import statistics
from collections.abc import Callable, Iterator
from pathlib import Path as File

import pytest

from tests.lab.interop import wait_for
from tests.lab.path.forge import flood, too_big
from tests.lab.path.measure import Measure
from tests.lab.path.path import BOTH, A, B, Path, Way
from tests.lab.programs import OURS
from tests.lab.scenarios.world import World, udp_socket

pytestmark = pytest.mark.lab

Make = Callable[..., Path]
IP_MTU, IPV6_MTU = 14, 24


@pytest.fixture
def make(tmp_path: File) -> Iterator[Make]:
    with contextlib.ExitStack() as stack:

        def made(**options: object) -> Path:
            world = World(tmp_path, OURS)
            stack.callback(world.close)
            path = Path(world, **options)  # type: ignore[arg-type]
            stack.callback(path.close)
            return path

        yield made


def kernel_mtu(path: Path, family: int = 4) -> int:
    """What a's kernel believes of the way to b: nothing but ICMP tells it."""
    level, mtu = (socket.IPPROTO_IP, IP_MTU) if family == 4 else (socket.IPPROTO_IPV6, IPV6_MTU)
    with udp_socket(path.a, A[family]) as asking:
        asking.connect((B[family], 9))
        return asking.getsockopt(level, mtu)


def test_each_way_and_family_has_a_floor_of_its_own_that_moves(make: Make) -> None:
    path = make()
    with Measure(path) as four, Measure(path, 6) as six:
        assert [four.largest(way) for way in BOTH] == [1500, 1500]
        path.floor(Way.UP, 1280)
        path.floor(Way.DOWN, 1440)
        assert [four.largest(way) for way in BOTH] == [1280, 1440]
        assert [six.largest(way) for way in BOTH] == [1280, 1440]
        path.floor(Way.UP, 1400, families=[6])
        path.floor(Way.DOWN, 1452, families=[4])
        assert [four.largest(way) for way in BOTH] == [1280, 1452]
        assert [six.largest(way) for way in BOTH] == [1400, 1440]


def test_a_router_says_what_fits_unless_that_way_is_a_black_hole(make: Make) -> None:
    path = make()
    path.floor(Way.UP, 1340)
    with Measure(path) as measure:
        path.silent(Way.UP)
        assert measure.sizes(Way.UP, [1340, 1341]) == [1340]
        assert kernel_mtu(path) == 1500
        path = make()
        path.floor(Way.UP, 1340)
    with Measure(path) as measure:
        assert measure.sizes(Way.UP, [1340, 1341]) == [1340]
        assert kernel_mtu(path) == 1340


def test_pieces_arrive_unless_they_are_lost_that_way(make: Make) -> None:
    path = make()
    for way in BOTH:
        path.floor(way, 1280)
    path.no_fragments(Way.UP)
    with Measure(path) as measure:
        assert (measure.pieces(Way.UP, 1400), measure.pieces(Way.DOWN, 1400)) == (False, True)
        assert measure.sizes(Way.UP, [1280]) == [1280]


def test_loss_is_as_much_as_it_says_and_one_way_only(make: Make) -> None:
    path = make()
    path.loss(5, Way.DOWN)
    with Measure(path) as measure:
        assert measure.lost(Way.UP) == 0
        assert 2.5 < measure.lost(Way.DOWN) < 7.5  # 5 standard deviations of 2,000
        path.cut(Way.UP)
        assert measure.sizes(Way.UP, [100]) == []


def test_delay_is_each_ways(make: Make) -> None:
    path = make(delay=25)
    path.floor(Way.UP, 1280)
    with Measure(path) as measure:
        trips = [measure.round_trip() for _ in range(9)]
        assert min(trips) >= 0.05
        assert statistics.median(trips) < 0.08
        assert measure.largest(Way.UP, 1200, 1500) == 1280


def test_behind_a_nat_the_floors_hold_too(make: Make) -> None:
    path = make(nat=True)
    path.floor(Way.UP, 1380)
    path.floor(Way.DOWN, 1420)
    with Measure(path) as measure:
        assert [measure.largest(way) for way in BOTH] == [1380, 1420]
        assert kernel_mtu(path) == 1380


def test_flows_have_the_size_of_the_cable_that_their_ports_choose(make: Make) -> None:
    path = make(core=(1500, 1400))
    found = set()
    for _ in range(16):
        with Measure(path) as measure:
            found.add(tuple(measure.largest(way, 1300, 1600) for way in BOTH))
    assert {up for up, _ in found} == {1500, 1400}


def test_jumbo_frames_pass(make: Make) -> None:
    with Measure(make(mtu=9000)) as measure:
        assert [measure.largest(way) for way in BOTH] == [9000, 9000]


@pytest.mark.parametrize("family", [4, 6])
def test_forged_icmp_is_believed_by_a_kernel_that_believes_icmp(make: Make, family: int) -> None:
    """From elsewhere, with the address of a router that says nothing: the flow's ports are all it takes."""
    path = make()
    with udp_socket(path.a, A[family]) as victim:
        victim.connect((B[family], 51820))
        lie = too_big(1300, victim.getsockname()[:2], (B[family], 51820), B[family][:-1] + "1")
        flood(path.far, lie, 10)
        wait_for(lambda: kernel_mtu(path, family) == 1300, "the lie is not believed")
