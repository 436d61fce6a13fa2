"""Numbered packets of many flows, both ways as fast as they go, while sessions are renewed, a node roams, and several
threads seal and open: no packet is overtaken by one of its flow, unless messages were on the wire.

[a] 192.0.2.1 ---- 192.0.2.2 [b], nodes 10.9.0.1 and 10.9.0.2
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections import Counter
from pathlib import Path

import pytest

from tests.lab import programs
from tests.lab.interop import Namespace
from tests.lab.programs import Program
from tests.lab.scenarios.world import ETH_P_ALL, TRANSPORT, Device, ping, udp_socket
from wgnode.dataplane.choose import FAST

pytestmark = pytest.mark.lab

RENEWING = (
    "import wgnode.protocol.handshake as h, wgnode.protocol.session as s, wgnode.protocol.timers as t; "
    "s.REKEY_AFTER_TIME = 0.5; h.REKEY_TIMEOUT = t.REKEY_TIMEOUT = 0.4; "
)
UDP_SEGMENT, UDP_GRO = 103, 104
FLOWS, SIZE, AT_ONCE = 8, 1300, 20
"""Of each way; bytes of a packet, and how many the kernel is given as one."""
SECONDS = 3.0


@pytest.fixture
def program() -> Program:
    return programs.ours(FAST, RENEWING, "--threads", "2")


class Flows:
    """Packets from one node's namespace to the other's. `overtaken` counts those that came after a later one."""

    def __init__(self, one: Namespace, source: str, two: Namespace, target: str) -> None:
        self.arrived, self.overtaken = 0, 0
        self._far = udp_socket(two, target, 7000)
        self._far.setsockopt(socket.IPPROTO_UDP, UDP_GRO, 1)
        self._far.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        self._near = [udp_socket(one, source) for _ in range(FLOWS)]
        for each in self._near:
            each.connect((target, 7000))
            each.setsockopt(socket.IPPROTO_UDP, UDP_SEGMENT, SIZE)

    def send(self, until: float) -> None:
        number = 0
        while time.monotonic() < until:
            packets = [(number + at).to_bytes(8, "big") + bytes(SIZE - 8) for at in range(AT_ONCE)]
            for each in self._near:
                with contextlib.suppress(OSError):  # what the interface has no room for
                    each.send(b"".join(packets))
            number += AT_ONCE
            time.sleep(0.0005)

    def receive(self, until: float) -> None:
        newest: dict[int, int] = {}
        self._far.settimeout(0.2)
        while time.monotonic() < until:
            with contextlib.suppress(TimeoutError):
                data, (_, port) = self._far.recvfrom(65535)
                for at in range(0, len(data), SIZE):
                    number = int.from_bytes(data[at : at + 8], "big")
                    self.overtaken += number < newest.get(port, 0)
                    newest[port] = max(number, newest.get(port, 0))
                    self.arrived += 1

    def close(self) -> None:
        for each in (self._far, *self._near):
            each.close()


class Wire:
    """Transport messages that come in at an interface: how many of each session were overtaken."""

    def __init__(self, space: Namespace, interface: str) -> None:
        self.overtaken = 0
        self.newest: dict[bytes, int] = {}
        self._socket = space.call(lambda: socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(ETH_P_ALL)))
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16 << 20)
        self._socket.bind((interface, ETH_P_ALL))
        self._socket.settimeout(0.2)

    def watch(self, until: float) -> None:
        while time.monotonic() < until:
            with contextlib.suppress(TimeoutError):
                data, address = self._socket.recvfrom(64)
                if address[2] == socket.PACKET_HOST and data[9] == socket.IPPROTO_UDP and data[28] == TRANSPORT:
                    self._seen(data[32:36], int.from_bytes(data[36:44], "little"))

    def _seen(self, index: bytes, counter: int) -> None:
        self.overtaken += counter < self.newest.get(index, 0)
        self.newest[index] = max(counter, self.newest.get(index, 0))

    def close(self) -> None:
        self._socket.close()


def busy(device: Device) -> int:
    """Threads of a node that have moved packets for 50 ms and more."""
    tasks = Path(f"/proc/{device.process.pid}/task").glob("*/stat")
    found = Counter[str]()
    for stat in tasks:
        name, _, rest = stat.read_text().rpartition(")")
        used = sum(map(int, rest.split()[11:13]))
        found[name.partition("(")[2]] += used >= 5
    return found["wgnode-packets"]


def test_no_packet_overtakes_one_of_its_flow(pair: tuple[Device, Device]) -> None:
    one, two = pair
    assert ping(one.space, "10.9.0.2")
    there = Flows(one.space, "10.9.0.1", two.space, "10.9.0.2")
    back = Flows(two.space, "10.9.0.2", one.space, "10.9.0.1")
    wires = [Wire(two.space, "eth1"), Wire(one.space, "eth1")]
    until = time.monotonic() + SECONDS
    work = [threading.Thread(target=each.send, args=(until,)) for each in (there, back)]
    work += [threading.Thread(target=each.receive, args=(until + 0.5,)) for each in (there, back)]
    work += [threading.Thread(target=each.watch, args=(until + 0.5,)) for each in wires]
    for each in work:
        each.start()
    for port in (40000, 40001):
        time.sleep(SECONDS / 4)
        one.set("listen-port", str(port))
    for each in work:
        each.join()
    for flows, wire in ((there, wires[0]), (back, wires[1])):
        assert flows.arrived > 10_000
        assert len(wire.newest) >= 3, "sessions were not renewed"
        assert not flows.overtaken or wire.overtaken
        flows.close()
        wire.close()
    assert two.endpoint(one) == "192.0.2.1:40001"
    assert (busy(one), busy(two)) == (2, 2)
