"""Each direction's path MTU is found by the nodes themselves, over a router that says nothing, and acted on.

[a] 192.0.2.1 ---- 192.0.2.2 [router] 198.51.100.2 ---- 198.51.100.1 [b]
 2001:db8:1::1       2001:db8:1::2     2001:db8:2::2     2001:db8:2::1
 10.9.0.1 fd09::1                                         10.9.0.2 fd09::2

The router drops what is longer than the way allows, of each direction another length.
"""

from __future__ import annotations

import contextlib
import re
import socket
import threading
import time
from collections.abc import Iterator

import pytest

from tests.lab import programs
from tests.lab.interop import Namespace, wait_for
from tests.lab.programs import Program
from tests.lab.scenarios.world import Device, World, ping, tcp
from wgnode.pathmtu.checksum import checksum
from wgnode.pathmtu.probe import ip_header

pytestmark = pytest.mark.lab

SILENT = "icmp type destination-unreachable drop; icmpv6 type packet-too-big drop"
SOON = 15.0
"""Seconds, on a busy machine; a search takes less than one."""

BUFFER = 1 << 17
"""Bytes that a connection's ends keep, so that most of a transfer is still to be sent in its middle."""


@pytest.fixture(params=["ours-python", "ours-fast"])
def program(request: pytest.FixtureRequest) -> Program:
    return programs.named(request.param)


def floor(router: Namespace, there: int, back: int) -> None:
    """From now on: bytes of IP packets that pass from a to b, and from b to a."""
    rules = f"""
        table inet t {{
            chain said {{ type filter hook output priority 0; {SILENT}; }}
            chain path {{
                type filter hook forward priority 0;
                iifname eth1 meta length > {there} drop; iifname eth2 meta length > {back} drop;
            }}
        }}"""
    router.run("nft", "flush", "ruleset")
    router.run("nft", "-f", "-", text=rules)


def over(
    world: World, near: str, far: str, there: int, back: int, foreign: Program | None = None
) -> tuple[Device, Device, Namespace]:
    """Two nodes that know each other, and the router between them. `foreign` is what runs at b, if not ours."""
    a, router, b = world.space("a"), world.space("r", forwarding=True), world.space("b")
    for space, address in ((a, near), (b, far)):
        width = "/64" if ":" in address else "/24"
        via = re.sub("1$", "2", address)
        name = world.cable(space, router, [address + width], [via + width])
        space.run("ip", "route", "add", "default", "via", via)
        space.run("ip", "link", "set", name, "gso_max_segs", "1")  # else the router sees a train as one long packet
    floor(router, there, back)
    one = world.device(a, ["10.9.0.1/24", "fd09::1/64"], mtu=1440)
    world.program = foreign or world.program
    two = world.device(b, ["10.9.0.2/24", "fd09::2/64"], mtu=1440)
    two.peer(one, "10.9.0.1/32,fd09::1/128")
    one.peer(two, "10.9.0.2/32,fd09::2/128", f"[{far}]:51820" if ":" in far else f"{far}:51820")
    return one, two, router


def told(space: Namespace, address: str, size: int = 1440) -> int:
    """How long packets to an address may be, as a sender of a long one is told; 0 where it is not."""
    header = 48 if ":" in address else 28
    space.run("ip", "route", "flush", "cache", check=False)
    words = ["ping", "-n", "-c", "2", "-i", "0.2", "-W", "0.3", "-M", "do", "-s", str(size - header), address]
    said = space.run(*words, check=False)
    return int(found[1]) if (found := re.search(r"mtu[ =:]+(\d+)", said)) else 0


@contextlib.contextmanager
def connected(one: Namespace, two: Namespace, target: str) -> Iterator[tuple[socket.socket, socket.socket]]:
    listener = two.call(lambda: socket.create_server((target, 0)))
    with listener, one.call(lambda: socket.socket()) as near:
        near.settimeout(SOON)
        for end, buffer in ((near, socket.SO_SNDBUF), (listener, socket.SO_RCVBUF)):
            end.setsockopt(socket.SOL_SOCKET, buffer, BUFFER)
        near.connect(listener.getsockname()[:2])
        far, _ = listener.accept()
        with far:
            yield near, far


def test_each_sender_is_limited_by_its_own_direction(world: World) -> None:
    one, two, _ = over(world, "192.0.2.1", "198.51.100.1", 1400, 1280)
    assert ping(one.space, "10.9.0.2")
    wait_for(lambda: told(two.space, "10.9.0.1") == 1220, "b does not find 1280", SOON)
    wait_for(lambda: told(one.space, "10.9.0.2") == 1340, "a does not find 1400", SOON)
    for space in (one.space, two.space):
        space.run("ip", "route", "flush", "cache")
    with connected(one.space, two.space, "10.9.0.2") as (near, far):
        sizes = [each.getsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG) for each in (near, far)]
    assert sizes == [1340 - 52, 1220 - 52], "with 12 bytes of timestamps in each"
    tcp(one.space, two.space, "10.9.0.2")
    tcp(two.space, one.space, "10.9.0.1")


def test_our_way_to_a_foreign_peer_is_found_and_what_it_sends_is_its_own_affair(world: World) -> None:
    one, two, _ = over(world, "192.0.2.1", "198.51.100.1", 1400, 1500, programs.wireguard_go())
    assert ping(one.space, "10.9.0.2")
    wait_for(lambda: told(one.space, "10.9.0.2") == 1340, "a does not find 1400", SOON)
    one.space.run("ip", "route", "flush", "cache")
    with connected(two.space, one.space, "10.9.0.1") as (far, near):
        sizes = [each.getsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG) for each in (near, far)]
    assert sizes == [1340 - 52, 1440 - 52]


def test_ipv6_inside_passes_a_path_of_1280_in_outer_fragments(world: World) -> None:
    """Over IPv6, where nobody but the sender fragments, and the machine knows of no smaller MTU."""
    one, two, _ = over(world, "2001:db8:1::1", "2001:db8:2::1", 1290, 1280)
    assert ping(one.space, "10.9.0.2")
    wait_for(lambda: told(two.space, "10.9.0.1") == 1200, "b does not find 1280", SOON)
    wait_for(lambda: ping(one.space, "fd09::2", "-s", "1232", tries=1), "1280 bytes of IPv6 do not pass", SOON)
    assert told(one.space, "fd09::2", 1300) == 1280
    assert arrived(one.space, two.space, "fd09::2", count=3000, seconds=1.0) > 2900, "as QUIC has them: a stream of it"
    tcp(one.space, two.space, "fd09::2")


def arrived(one: Namespace, two: Namespace, target: str, count: int, seconds: float) -> int:
    """How many of so many datagrams of 1,280 bytes of IPv6, sent evenly in that time."""
    with two.call(lambda: socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)) as far:
        far.bind((target, 9))
        far.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 24)
        far.setblocking(False)
        with one.call(lambda: socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)) as near:
            began, number = time.monotonic(), 0
            for sent in range(count):
                near.sendto(bytes(1232), (target, 9))
                time.sleep(max(0.0, began + sent * seconds / count - time.monotonic()))
        until = time.monotonic() + SOON
        while number < count and time.monotonic() < until:
            try:
                far.recv(2000)
                number += 1
            except BlockingIOError:
                time.sleep(0.05)
                until = min(until, time.monotonic() + 2.0)
        return number


def test_a_black_hole_that_opens_in_the_middle_costs_seconds_and_no_connection(world: World) -> None:
    one, two, router = over(world, "2001:db8:1::1", "2001:db8:2::1", 1500, 1500)
    assert ping(one.space, "10.9.0.2")
    with connected(one.space, two.space, "10.9.0.2") as (near, far):
        sending = threading.Thread(target=near.sendall, args=(bytes(4 << 20),))
        sending.start()
        take(far, 1 << 20)
        floor(router, 1377, 1500)
        began = time.monotonic()
        take(far, 3 << 20)
        took = time.monotonic() - began
        sending.join()
    assert took < SOON
    wait_for(lambda: 1377 - 80 - 4 < told(one.space, "10.9.0.2") <= 1377 - 80, "a does not find 1377", SOON)


def take(connection: socket.socket, size: int) -> None:
    connection.settimeout(SOON)
    while size > 0:
        piece = connection.recv(min(size, 1 << 16))
        assert piece
        size -= len(piece)


def test_what_others_say_of_a_path_changes_nothing(world: World) -> None:
    """Packet-too-big by somebody on the way, and echo replies that nobody asked for, out of the tunnel itself."""
    one, two, router = over(world, "192.0.2.1", "198.51.100.1", 1400, 1500)
    assert ping(one.space, "10.9.0.2")
    wait_for(lambda: told(one.space, "10.9.0.2") == 1340, "a does not find 1400", SOON)
    forged_icmp(router, "192.0.2.1", "198.51.100.1", 576)
    forged_replies(two.space, "10.9.0.2", "10.9.0.1")
    tcp(one.space, two.space, "10.9.0.2")
    assert told(one.space, "10.9.0.2") == 1340
    assert ping(one.space, "10.9.0.2", "-s", "1312", "-M", "do")


def forged_icmp(router: Namespace, source: str, destination: str, mtu: int) -> None:
    """That the sender's datagrams are longer than `mtu`, in the right words, from a machine on its way."""
    quoted = ip_header(packed(source), packed(destination), 17, 1380) + b"\xca\x6c\xca\x6c" + bytes(4)
    rest = bytes(2) + mtu.to_bytes(2, "big") + quoted
    message = b"\3\4" + checksum(b"\3\4\0\0" + rest).to_bytes(2, "big") + rest
    router.run("nft", "delete", "chain", "inet", "t", "said")
    with router.call(lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)) as raw:
        for _ in range(50):
            raw.sendto(message, (source, 0))


def forged_replies(space: Namespace, source: str, destination: str) -> None:
    """Echo replies of the length of a probe's, with other ids, by the peer itself."""
    with space.call(lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)) as raw:
        raw.bind((source, 0))
        for number in range(50):
            body = number.to_bytes(12, "big")
            raw.sendto(b"\0\0" + checksum(b"\0\0\0\0" + body).to_bytes(2, "big") + body, (destination, 0))


def packed(address: str) -> bytes:
    return socket.inet_aton(address)


@pytest.mark.sampled(0)  # in make test-long
def test_a_jumbo_path_carries_jumbo_packets_where_the_interface_lets_them_in(world: World) -> None:
    """As wg-quick sets it on a link of 9,000: 8,920. Beyond, the path carries 8,500."""
    a, b = world.space("a"), world.space("b")
    name = world.cable(a, b, ["192.0.2.1/24"], ["192.0.2.2/24"], mtu=9000)
    drop = f"chain c {{ type filter hook ingress device {name} priority 0; meta length > 8500 drop; }};"
    for space in (a, b):
        space.run("ip", "link", "set", name, "gso_max_segs", "1")
        space.run("nft", "-f", "-", text=f"table netdev t {{ {drop} }}")
    one, two = world.all_devices([(a, ["10.9.0.1/24"]), (b, ["10.9.0.2/24"])], mtu=8920)
    two.peer(one, "10.9.0.1/32")
    one.peer(two, "10.9.0.2/32", "192.0.2.2:51820")
    assert ping(one.space, "10.9.0.2")
    wait_for(lambda: told(one.space, "10.9.0.2", 8900) == 8440, "8500 is not found", SOON)
    assert ping(one.space, "10.9.0.2", "-s", str(8440 - 28), "-M", "do")
    with connected(one.space, two.space, "10.9.0.2") as (near, far):
        sizes = [each.getsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG) for each in (near, far)]
    assert min(sizes) > 8000
    tcp(one.space, two.space, "10.9.0.2")
