"""Two shells with real devices and real sockets on the loopback interface, over TUNs that are socket pairs."""

from __future__ import annotations

import errno
import os
import socket
from collections import Counter
from collections.abc import Callable, Iterator

import pytest

from tests.fake_platform import FakePlatform
from wgnode.dataplane.plain import PlainPlane
from wgnode.dataplane.plain_io import PlainIO
from wgnode.io.loop import Loop
from wgnode.io.node import new_device
from wgnode.io.paced import REST
from wgnode.io.shell import Shell
from wgnode.io.tun import Tun, TunGone
from wgnode.io.udp import UdpSockets
from wgnode.platform import Platform
from wgnode.platform.linux import Process
from wgnode.protocol.endpoint import Endpoint

KEYS = {1: bytes([8] + [1] * 30 + [64]), 2: bytes([8] + [2] * 30 + [64])}


class FakeTun(Tun):
    """Packets for the node go in at `far`, and what it delivers comes out there."""

    def __init__(self) -> None:
        self.near, self.far = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.far.setblocking(False)
        self.near.setblocking(False)
        self.fd = self.near.fileno()
        self.name, self.gone = "fake", False
        self.counters = Counter()

    def read(self, limit: int = 64) -> list[bytes]:
        if self.gone:
            raise TunGone(errno.EBADFD, "gone")
        packets: list[bytes] = []
        while len(packets) < limit:
            try:
                packets.append(self.near.recv(65535))
            except BlockingIOError:
                break
        return packets

    def write(self, packet: bytes) -> None:
        if self.gone:
            raise TunGone(errno.EBADFD, "gone")
        self.near.send(packet)

    def close(self) -> None:
        self.near.close()
        self.far.close()


class Pair:
    """Shell 1 (10.9.0.1) and shell 2 (10.9.0.2) know each other; only 1 knows where the other is."""

    def __init__(self, platform: Platform | None = None) -> None:
        self.loop, self.platform = Loop(), platform or Process()
        self.gone: list[int] = []
        self.said: list[str] = []
        self.tuns = {number: FakeTun() for number in KEYS}
        self.shells = {number: self._shell(number) for number in KEYS}
        for one, two in ((1, 2), (2, 1)):
            shell = self.shells[one]
            shell.start()
            public = self.shells[two].device.public_keys[0].hex()
            assert ask(shell, f"set=1\npublic_key={public}\nallowed_ip=10.9.0.{two}/32\n\n") == "errno=0\n\n"
        public = self.shells[2].device.public_keys[0].hex()
        ask(self.shells[1], f"set=1\npublic_key={public}\nendpoint=127.0.0.1:{self.port(2)}\n\n")

    def _shell(self, number: int) -> Shell:
        device = new_device(PlainPlane())
        device.set_private_keys([KEYS[number]], 0.0)
        return Shell(
            self.loop,
            device,
            self.tuns[number],
            self.platform,
            packet_io=PlainIO,
            on_gone=lambda: self.gone.append(number),
            log=self.said.append,
        )

    def port(self, number: int) -> int:
        return self.shells[number].device.listen_port

    def until(self, condition: Callable[[], object]) -> None:
        deadline = self.loop.now() + 5
        while not condition():
            assert self.loop.now() < deadline
            self.loop.run_once(0.05)

    def delivered(self, number: int) -> bytes:
        found: list[bytes] = []

        def arrived() -> bool:
            try:
                found.append(self.tuns[number].far.recv(65535))
            except BlockingIOError:
                return False
            return True

        self.until(arrived)
        return found[0]

    def close(self) -> None:
        for shell in self.shells.values():
            shell.close()
        self.loop.close()


def ask(shell: Shell, request: str) -> str:
    """One slice is enough."""
    answers: list[str] = []
    shell.uapi(request, answers.append)
    (answer,) = answers
    return answer


def packet(source: int, target: int, content: bytes = b"hello") -> bytes:
    length = (20 + len(content)).to_bytes(2, "big")
    return b"\x45\0" + length + bytes(8) + bytes([10, 9, 0, source, 10, 9, 0, target]) + content


@pytest.fixture
def pair() -> Iterator[Pair]:
    made = Pair()
    yield made
    made.close()


def test_packets_go_from_tun_to_tun(pair: Pair) -> None:
    pair.tuns[1].far.send(packet(1, 2))
    assert pair.delivered(2) == packet(1, 2)
    pair.tuns[2].far.send(packet(2, 1, b"answer"))
    assert pair.delivered(1) == packet(2, 1, b"answer")
    told = ask(pair.shells[2], "get=1\n\n")
    assert f"endpoint=127.0.0.1:{pair.port(1)}\n" in told
    assert "last_handshake_time_sec=0\n" not in told


def test_the_devices_own_deadlines_are_kept(pair: Pair) -> None:
    """A handshake by persistent keepalive needs nothing but the timer that a UAPI request armed."""
    public = pair.shells[2].device.public_keys[0].hex()
    ask(pair.shells[1], f"set=1\npublic_key={public}\npersistent_keepalive_interval=1\n\n")
    (peer,) = pair.shells[2].device.peers
    pair.until(lambda: peer.last_handshake is not None)
    before = peer.rx_bytes
    pair.until(lambda: peer.rx_bytes > before)


def test_a_deadline_that_comes_nearer_is_kept(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    shell, called = pair.shells[1], list[float]()
    deadline = pair.loop.now() + 100
    monkeypatch.setattr(shell.device, "next_deadline", lambda *_: None if called else deadline)
    monkeypatch.setattr(shell.device, "handle_timer", called.append)
    shell.flush()
    deadline = pair.loop.now() + 0.01
    shell.flush()
    pair.until(lambda: called)
    assert called[0] >= deadline


def test_the_port_moves_live(pair: Pair) -> None:
    before = pair.port(1)
    pair.tuns[1].far.send(packet(1, 2))
    pair.delivered(2)
    assert ask(pair.shells[1], "set=1\nlisten_port=0\n\n") == "errno=0\n\n"
    assert pair.port(1) != before
    UdpSockets(before).close()
    pair.tuns[1].far.send(packet(1, 2))
    pair.delivered(2)
    assert f":{pair.port(1)}\n" in ask(pair.shells[2], "get=1\n\n")


def test_a_port_in_use_is_refused_and_the_old_one_stays(pair: Pair) -> None:
    before = pair.port(1)
    assert ask(pair.shells[1], f"set=1\nlisten_port={pair.port(2)}\n\n") == f"errno=-{errno.EADDRINUSE}\n\n"
    assert pair.port(1) == before
    pair.tuns[1].far.send(packet(1, 2))
    assert pair.delivered(2) == packet(1, 2)


def test_a_link_that_could_not_start_does_when_its_port_is_changed(pair: Pair) -> None:
    shell = pair.shells[1]
    shell.stop()
    shell.set_listen_port(pair.port(2))
    with pytest.raises(OSError, match="in use"):
        shell.start()
    assert not shell.device.running
    assert ask(shell, "set=1\nlisten_port=0\n\n") == "errno=0\n\n"
    assert shell.device.running


def test_a_stopped_shell_holds_no_port_and_starts_again(pair: Pair) -> None:
    port = pair.port(2)
    pair.shells[2].stop()
    UdpSockets(port).close()
    assert f"listen_port={port}\n" in ask(pair.shells[2], "get=1\n\n")
    pair.shells[2].start()
    pair.tuns[1].far.send(packet(1, 2))
    assert pair.delivered(2) == packet(1, 2)


def test_a_packet_proves_that_the_link_is_up_and_is_not_lost_by_that(pair: Pair) -> None:
    """It may be read before the message that says so, or no such message may come."""
    shell, looked = pair.shells[1], list[bool]()
    shell.stop()

    def look() -> None:
        looked.append(shell.device.running)
        shell.start()

    shell.on_sign_of_life = look
    pair.tuns[1].far.send(packet(1, 2))
    assert pair.delivered(2) == packet(1, 2)
    pair.tuns[1].far.send(packet(1, 2, b"second"))
    assert pair.delivered(2) == packet(1, 2, b"second")
    assert looked == [False]


def test_a_full_outer_socket_pauses_the_tun_and_loses_nothing(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    pair.tuns[1].far.send(packet(1, 2))
    pair.delivered(2)
    really, full = UdpSockets._try, [True]
    monkeypatch.setattr(UdpSockets, "_try", lambda self, *what: False if full[0] else really(self, *what))
    pair.tuns[1].far.send(packet(1, 2, b"first"))
    pair.until(lambda: pair.shells[1].udp is not None and pair.shells[1].udp.blocked)
    pair.tuns[1].far.send(packet(1, 2, b"second"))
    for _ in range(5):
        pair.loop.run_once(0)
    assert pair.tuns[1].read() == [packet(1, 2, b"second")]
    full[0] = False
    assert pair.delivered(2) == packet(1, 2, b"first")
    pair.tuns[1].far.send(packet(1, 2, b"third"))
    assert pair.delivered(2) == packet(1, 2, b"third")


def test_the_end_of_the_interface_is_told_once(pair: Pair) -> None:
    pair.tuns[1].gone = True
    pair.tuns[1].far.send(packet(1, 2))
    pair.until(lambda: pair.gone)
    pair.loop.run_once(0)
    assert pair.gone == [1]


def test_the_end_of_the_interface_is_told_once_when_packets_still_arrive(pair: Pair) -> None:
    pair.tuns[1].far.send(packet(1, 2))
    pair.delivered(2)
    pair.tuns[1].gone = True
    (peer,) = pair.shells[1].device.peers
    for _ in range(2):
        before = peer.rx_bytes
        pair.tuns[2].far.send(packet(2, 1))
        pair.until(lambda before=before: peer.rx_bytes > before)  # type: ignore[misc]
    assert pair.gone == [1]


def test_drops_are_counted_by_where_they_happened(pair: Pair) -> None:
    public = pair.shells[2].device.public_keys[0].hex()
    ask(pair.shells[1], f"set=1\npublic_key={public}\nendpoint=255.255.255.255:1\n\n")
    pair.tuns[1].far.send(packet(1, 9))
    pair.tuns[1].far.send(packet(1, 2))
    pair.until(lambda: len(pair.shells[1].counters) == 2)
    assert "udp EACCES" in pair.shells[1].counters


class Watch:
    """Routing that changes whenever the test says so."""

    def __init__(self) -> None:
        self.fd, self.told = os.pipe2(os.O_NONBLOCK)

    def read(self) -> bool:
        return bool(os.read(self.fd, 65536))

    def close(self) -> None:
        os.close(self.fd)
        os.close(self.told)

    def interface(self, endpoint: Endpoint, fwmark: int) -> int:
        return 1

    def tunnels(self) -> dict[int, int]:
        return {}


def test_routing_that_changes_all_the_time_is_followed_at_a_bounded_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    pair = Pair(FakePlatform(routing=Watch))
    times: list[float] = []
    really = UdpSockets.routing_changed
    monkeypatch.setattr(UdpSockets, "routing_changed", lambda self: (times.append(pair.loop.now()), really(self))[1])
    watch = pair.shells[1]._watch
    assert isinstance(watch, Watch)
    begin = pair.loop.now()
    while pair.loop.now() < begin + 0.5:
        os.write(watch.told, b"x")
        pair.loop.run_once(0.001)
    last = pair.loop.now()
    os.write(watch.told, b"x")
    pair.until(lambda: times[-1] >= last)
    assert times[0] - begin < REST, "the first at once"
    assert times[-1] - last < 5 * REST, "the last soon"
    assert len(times) <= 0.5 / REST + 3
    pair.close()


def test_refused_requests_are_logged(pair: Pair) -> None:
    ask(pair.shells[1], "set=1\nnonsense=1\n\n")
    assert pair.said == ["refused: 'nonsense' is no key of a device"]


def test_packets_pass_on_a_platform_that_has_nothing() -> None:
    """No routing to ask or watch, no options: replies then name no source, and go wherever the route says."""
    pair = Pair(FakePlatform())
    pair.tuns[1].far.send(packet(1, 2))
    assert pair.delivered(2) == packet(1, 2)
    pair.tuns[2].far.send(packet(2, 1, b"answer"))
    assert pair.delivered(1) == packet(2, 1, b"answer")
    (peer,) = pair.shells[2].device.peers
    assert peer.endpoint == Endpoint("127.0.0.1", pair.port(1))
    pair.close()


@pytest.mark.parametrize("up", [True, False])
def test_a_mark_that_nothing_would_come_of_is_refused(up: bool) -> None:
    pair = Pair(FakePlatform())
    shell = pair.shells[1]
    if not up:
        shell.stop()
    assert ask(shell, "set=1\nfwmark=51820\n\n") == f"errno={-errno.EOPNOTSUPP}\n\n"
    assert pair.said == ["refused: [Errno 95] fwmark 0xca6c: this platform marks no datagrams; set it to 0"]
    assert ask(shell, "set=1\nfwmark=0\n\n") == "errno=0\n\n"
    assert shell.device.fwmark == 0
    pair.close()


class Ignorant:
    """Options that are taken and come to nothing, as some kernels have them."""

    def __init__(self) -> None:
        self.asked: list[tuple[int, int]] = []

    def prepare(self, made: socket.socket) -> None:
        self.asked.append((made.family, made.getsockname()[1]))

    def mark(self, made: socket.socket, fwmark: int) -> None:
        raise OSError(errno.EOPNOTSUPP, "ignored")


def test_the_platform_has_its_way_with_each_socket_before_it_is_bound() -> None:
    options = Ignorant()
    pair = Pair(FakePlatform(sockets=options))
    assert set(options.asked) == {(socket.AF_INET, 0), (socket.AF_INET6, 0)}
    pair.tuns[1].far.send(packet(1, 2))
    assert pair.delivered(2) == packet(1, 2)
    pair.close()
