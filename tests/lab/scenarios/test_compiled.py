"""What only the compiled data plane does: offloads, each of which may be missing, and ECN.

[a] 192.0.2.1 2001:db8::1 ---- 192.0.2.2 2001:db8::2 [b], nodes 10.9.0.1 fd09::1 and 10.9.0.2 fd09::2
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab import programs
from tests.lab.interop import wait_for
from tests.lab.programs import FAST, Program
from tests.lab.scenarios.world import Device, Namespace, ping, tcp, udp, udp_socket

pytestmark = pytest.mark.lab

OFFLOADS = ["", "-vnet_header", "-tso", "-uso", "-gso", "-gro", "-tso,-gro", "none"]
NOT_CAPABLE, ECT1, ECT0, CE = 0, 1, 2, 3


@pytest.fixture(params=OFFLOADS)
def program(request: pytest.FixtureRequest) -> Program:
    """Ours, leaving this much of the kernel's help unused."""
    return programs.ours(FAST, f"import os; os.environ['WGNODE_OFFLOADS'] = {request.param!r}; ")


def test_each_offload_may_be_missing(pair: tuple[Device, Device]) -> None:
    one, two = pair
    assert ping(one.space, "10.9.0.2")
    for near, far in (("10.9.0.1", "10.9.0.2"), ("fd09::1", "fd09::2")):
        tcp(one.space, two.space, far)
        tcp(two.space, one.space, near)
        udp(one.space, near, two.space, far, [1, 1200, 1392, 1300, 9000])
        trains(one.space, near, two.space, far)


def trains(one: Namespace, source: str, two: Namespace, target: str) -> None:
    """Datagrams that an application gives as one (UDP_SEGMENT) arrive as many, in order, unchanged."""
    with udp_socket(one, source) as near, udp_socket(two, target) as far:
        near.setsockopt(socket.IPPROTO_UDP, 103, 500)
        data = bytes(number % 251 for number in range(500 * 40 + 77))
        near.sendto(data, far.getsockname()[:2])
        received = [far.recv(2000) for _ in range(41)]
        assert b"".join(received) == data
        assert {len(each) for each in received[:-1]} == {500}


@pytest.mark.parametrize("program", [""], indirect=True)
@pytest.mark.parametrize(
    ("inner", "outer", "arrives"), [(ECT0, None, ECT0), (ECT0, CE, CE), (ECT0, ECT1, ECT1), (NOT_CAPABLE, CE, None)]
)
@pytest.mark.parametrize("target", ["10.9.0.2", "fd09::2"])
def test_ecn_of_both_packets_is_joined_as_rfc_6040_says(
    pair: tuple[Device, Device], tmp_path: Path, inner: int, outer: int | None, arrives: int | None, target: str
) -> None:
    one, two = pair
    wait_for(lambda: ping(one.space, target), "no traffic")
    if outer is not None:
        mark = f"udp dport 51820 ip ecn set {('not-ect', 'ect1', 'ect0', 'ce')[outer]}"
        rules = f"table ip t {{ chain c {{ type filter hook prerouting priority -200; {mark}; }}; }}"
        two.space.run("nft", "-f", "-", text=rules)
    six = ":" in target
    with udp_socket(one.space, "fd09::1" if six else "10.9.0.1") as near, udp_socket(two.space, target) as far:
        level, wish, tos = (
            (socket.IPPROTO_IPV6, socket.IPV6_RECVTCLASS, socket.IPV6_TCLASS)
            if six
            else (socket.IPPROTO_IP, socket.IP_RECVTOS, socket.IP_TOS)
        )
        far.setsockopt(level, wish, 1)
        near.setsockopt(level, tos, inner)
        near.sendto(b"hello", far.getsockname()[:2])
        if arrives is None:
            far.settimeout(0.5)
            with pytest.raises(TimeoutError):
                far.recv(100)
            return
        data, beside, _, _ = far.recvmsg(100, 100)
        assert data == b"hello"
        assert [value[0] & 3 for _, kind, value in beside if kind == tos] == [arrives]


@pytest.mark.parametrize("program", [""], indirect=True)
def test_the_outer_packet_takes_over_the_inner_ones_ecn(pair: tuple[Device, Device]) -> None:
    one, two = pair
    wait_for(lambda: ping(one.space, "10.9.0.2"), "no traffic")
    count = "ip ecn ect0 udp dport 51820 counter"
    rules = f"table ip t {{ chain c {{ type filter hook input priority 0; {count}; }}; }}"
    two.space.run("nft", "-f", "-", text=rules)
    assert "packets 0 " in two.space.run("nft", "list", "table", "ip", "t")
    assert ping(one.space, "10.9.0.2", "-Q", "2")
    assert "packets 0 " not in two.space.run("nft", "list", "table", "ip", "t")


@pytest.mark.parametrize("program", [""], indirect=True)
def test_a_queue_that_stands_at_the_socket_is_marked_or_else_cut(pair: tuple[Device, Device]) -> None:
    """B sleeps most of the time while A floods it, so that everything waits for longer than CoDel lets a queue."""
    one, two = pair
    wait_for(lambda: ping(one.space, "10.9.0.2"), "no traffic")
    with udp_socket(one.space, "10.9.0.1") as near, udp_socket(two.space, "10.9.0.2") as far:
        far.setsockopt(socket.IPPROTO_IP, socket.IP_RECVTOS, 1)
        far.setblocking(False)
        fields = set()
        for inner in (ECT0, NOT_CAPABLE):
            near.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, inner)
            with flooded(near, far.getsockname()):
                for _ in range(50):
                    with asleep(two):
                        time.sleep(0.02)
                    time.sleep(0.001)
                    with contextlib.suppress(BlockingIOError):
                        while True:
                            _, beside, _, _ = far.recvmsg(100, 100)
                            fields |= {value[0] & 3 for _, kind, value in beside if kind == socket.IP_TOS}
    assert fields == {ECT0, CE, NOT_CAPABLE}
    assert two.dropped()["not_ecn_capable"] > 0


@pytest.mark.parametrize("program", [""], indirect=True)
def test_what_is_late_because_the_node_slept_is_no_queue(pair: tuple[Device, Device]) -> None:
    one, two = pair
    wait_for(lambda: ping(one.space, "10.9.0.2"), "no traffic")
    with udp_socket(one.space, "10.9.0.1") as near, udp_socket(two.space, "10.9.0.2") as far:
        for number in range(20):
            with asleep(two):
                near.sendto(bytes([number]), far.getsockname())
                time.sleep(0.01)
            assert far.recv(100) == bytes([number])


@contextlib.contextmanager
def flooded(near: socket.socket, to: tuple[str, int]) -> Iterator[None]:
    """Datagrams from `near` as fast as they go while the body runs."""
    ended = threading.Event()

    def send() -> None:
        while not ended.is_set():
            near.sendto(b"x", to)

    thread = threading.Thread(target=send)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


@contextlib.contextmanager
def asleep(device: Device) -> Iterator[None]:
    os.kill(device.process.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(device.process.pid, signal.SIGCONT)


ALL_AND_NONE = pytest.mark.parametrize("program", ["", "none"], indirect=True)


@ALL_AND_NONE
def test_messages_longer_than_the_path_are_fragmented(pair: tuple[Device, Device]) -> None:
    """The kernel refuses to split a train into messages that it would have to fragment (EMSGSIZE)."""
    one, two = pair
    assert ping(one.space, "10.9.0.2")
    for each in pair:
        each.space.run("ip", "link", "set", "eth1", "mtu", "1300")
    assert ping(one.space, "10.9.0.2", "-s", "1392")
    tcp(one.space, two.space, "10.9.0.2")
    tcp(two.space, one.space, "10.9.0.1")


@ALL_AND_NONE
def test_a_slow_uplink_holds_back_who_sends(pair: tuple[Device, Device]) -> None:
    """The socket's buffer is full most of the time (EAGAIN), and nothing is lost between TUN and socket."""
    one, two = pair
    assert ping(one.space, "10.9.0.2")
    one.space.run("tc", "qdisc", "add", "dev", "eth1", "root", "tbf",
                  "rate", "40mbit", "burst", "100kb", "limit", "20mb")  # fmt: skip
    tcp(one.space, two.space, "10.9.0.2", mebibytes=8)
    assert ping(one.space, "10.9.0.2")
    assert not [kind for kind in one.dropped() if kind.startswith("udp ")]


@ALL_AND_NONE
def test_garbage_at_full_speed_leaves_the_session_alone(pair: tuple[Device, Device]) -> None:
    one, two = pair
    assert ping(one.space, "10.9.0.2")
    with udp_socket(one.space, "192.0.2.1") as source:
        source.setsockopt(socket.IPPROTO_UDP, 103, 1400)
        source.setblocking(False)
        until, sent, answered = time.monotonic() + 3, 0, 0
        while time.monotonic() < until:
            for kind in (4, 1, 2, 3, 0x04000004, 77):
                with contextlib.suppress(BlockingIOError):
                    source.sendto(kind.to_bytes(4, "little") + os.urandom(1396 + 1400 * 44), ("192.0.2.2", 51820))
                    sent += 45
            answered += ping(one.space, "10.9.0.2", tries=1)
    assert answered
    assert sent > 1000
    assert ping(one.space, "10.9.0.2")
    assert "malformed" in two.dropped()
