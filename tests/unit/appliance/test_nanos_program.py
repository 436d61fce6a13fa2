"""The gateway's whole program on a Nanos of the test's making: configuration from a folder, control over TCP on
loopback, a peer by real UDP, and hosts of a LAN behind lwIP."""

from __future__ import annotations

import gc
import json
import os
import select
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Interface
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from tests.fake_nanos import Ended, FakeNanos
from wgnode.appliance import nanos as program
from wgnode.appliance import serve as serve_module
from wgnode.appliance.log import Log
from wgnode.dataplane.choose import FAST, PYTHON, Unavailable, choose
from wgnode.dataplane.plain import PlainPlane
from wgnode.io.control import Decoder, Message, encode
from wgnode.io.loop import Loop
from wgnode.io.node import new_device
from wgnode.nodeconfig import LinkConfig, NodeConfig, NodeSecrets, PeerConfig, encode_key
from wgnode.pathmtu.checksum import checksum
from wgnode.platform import nanos as platform_module
from wgnode.platform.nanos import Unikernel
from wgnode.platform.nanos.words import Environment
from wgnode.protocol.endpoint import Endpoint

PATIENCE = 20.0
NODE, PEER = bytes([8] + [7] * 30 + [71]), bytes([8] + [9] * 30 + [73])
TUNNELED, AT_HOME = IPv4Address("10.2.0.9"), IPv4Address("192.168.7.9")
TCP_SYN = 2


def public(private: bytes) -> bytes:
    return X25519PrivateKey.from_private_bytes(private).public_key().public_bytes_raw()


def packet(source: IPv4Address, to: IPv4Address, protocol: int, body: bytes, *, dont_fragment: bool = False) -> bytes:
    flags = 0x4000 if dont_fragment else 0
    header = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(body), 7, flags, 64, protocol, 0, source.packed, to.packed)
    return header[:10] + checksum(header).to_bytes(2, "big") + header[12:] + body


class Program:
    """Runs from its making to `close`; `told` is what it has said to the host, who comes from 127.0.0.2."""

    def __init__(self, fake: FakeNanos, folder: Path, monkeypatch: pytest.MonkeyPatch, plane: str) -> None:
        self.fake, self.folder = fake, folder
        self.peer = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.peer.bind(("127.0.0.1", 0))
        self.peer.setblocking(False)
        self.device = new_device(PlainPlane())
        self.device.set_private_keys([PEER], time.monotonic())
        self.told: list[Message] = []
        self.got: list[bytes] = []
        """What came out of the tunnel at the peer's."""
        self._decoder = Decoder()
        self.config = NodeConfig(
            mesh="dev",
            name="berlin",
            public_keys=(public(NODE),),
            listen_port=0,
            addresses=("10.2.1.1/32",),
            transit=LinkConfig("52:54:00:77:67:00", ("127.0.0.1/30",), ("127.0.0.2",)),
            lan=LinkConfig("52:54:00:00:00:02", ("192.168.7.1/24",)),
            peers=(PeerConfig("cabin", (public(PEER),), ("10.2.0.0/24",), f"127.0.0.1:{self.peer.getsockname()[1]}"),),
            interface="wgnode0",
            mtu=1420,
        )
        environment = Environment(
            IPv4Interface("127.0.0.1/30"), IPv4Address("127.0.0.2"), IPv4Interface("192.168.7.1/24"), 0, str(folder)
        )
        for name, value in environment.to_dict().items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("WGNODE_DATAPLANE", plane)
        self.console = os.open(folder / "console", os.O_RDWR | os.O_CREAT)
        monkeypatch.setattr(serve_module, "Log", lambda now: Log(self.console, now))
        loops, platforms = list[Loop](), list[Unikernel]()

        def loop(now: Callable[[], float]) -> Loop:
            loops.append(Loop(now))
            return loops[0]

        def platform() -> Unikernel:
            platforms.append(Unikernel())
            return platforms[0]

        monkeypatch.setattr(serve_module, "Loop", loop)
        monkeypatch.setattr(platform_module, "Unikernel", platform)
        self.loops, self.platforms = loops, platforms
        self.ended: list[BaseException] = []
        self.host: socket.socket | None = None
        self._thread = threading.Thread(target=self._main, daemon=True)

    def start(self, secrets: NodeSecrets | None = None) -> Message:
        """Its greeting."""
        (self.folder / "config.json").write_bytes(self.config.to_json())
        (self.folder / "secrets.json").write_bytes((secrets or NodeSecrets((NODE,))).to_json())
        self._thread.start()
        self.until(lambda: self.platforms and self.platforms[0].line)
        line = self.platforms[0].line
        assert line is not None
        self.host = socket.create_connection(line.address, source_address=("127.0.0.2", 0))
        self.host.setblocking(False)
        return self.hear("hello")

    def say(self, **message: Any) -> None:
        assert self.host is not None
        self.host.sendall(encode(message))

    def hear(self, kind: str, number: int | None = None) -> Message:
        def found() -> Message | None:
            return next((one for one in self.told if one["type"] == kind and one.get("id") == number), None)

        self.until(found)
        message = found()
        assert message is not None
        self.told.remove(message)
        return message

    def until(self, what: Callable[[], Any]) -> None:
        """Both ends' datagrams and the host's messages move meanwhile."""
        deadline = time.monotonic() + PATIENCE
        while not what():
            assert time.monotonic() < deadline, (self.folder / "console").read_text()
            assert not self.ended, self.ended
            readers = [self.peer, *([self.host] if self.host is not None else [])]
            for ready in select.select(readers, [], [], 0.02)[0]:
                if ready is self.peer:
                    data, (host, port) = self.peer.recvfrom(65535)
                    self.device.receive_datagram(data, Endpoint(host, port), time.monotonic())
                else:
                    self.told += self._decoder.feed(ready.recv(65536))
            self.send()
            self.got += self.device.packets_to_deliver()

    def send(self) -> None:
        for data, endpoint in self.device.datagrams_to_send():
            self.peer.sendto(data, (endpoint.address, endpoint.port))

    def connect_peer(self) -> None:
        """To the node, which begins now; its port hostd would ask for as well."""
        self.say(type="resume", unix_ns=time.time_ns(), tai64n=5)
        self.say(type="uapi", id=1, text="get=1\n\n")
        text = self.hear("reply", 1)["text"]
        port = next(int(line.partition("=")[2]) for line in text.splitlines() if line.startswith("listen_port="))
        berlin = self.device.add_peer([public(NODE)], "berlin")
        self.device.set_endpoint(berlin, Endpoint("127.0.0.1", port))
        self.device.replace_allowed_ips(berlin, ["192.168.7.0/24", "10.2.1.1/32"])
        self.device.start(time.monotonic())

    def from_cabin(self, inner: bytes) -> None:
        self.device.send_packet(inner, time.monotonic())
        self.send()

    def close(self) -> None:
        if self.loops:
            self.loops[0].stop()
        if self._thread.ident is not None:
            self._thread.join(PATIENCE)
            assert not self._thread.is_alive()
        for line in [each.line for each in self.platforms if each.line is not None]:
            line.close()
        if self.host is not None:
            self.host.close()
        self.peer.close()
        os.close(self.console)

    def _main(self) -> None:
        try:
            program.main()
        except BaseException as error:
            self.ended.append(error)


@pytest.fixture(params=[PYTHON, FAST])
def running(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Program]:
    try:
        choose(request.param)
    except Unavailable as missing:
        pytest.skip(str(missing))
    fake = FakeNanos()
    with monkeypatch.context() as patch:
        fake.install(patch)
        made = Program(fake, tmp_path, patch, request.param)
        yield made
        made.close()
    fake.close()
    gc.unfreeze()
    gc.enable()


def test_it_reads_its_share_greets_the_host_shakes_hands_and_carries_packets_both_ways(running: Program) -> None:
    """Row: tun-flags, share, control-tcp, single-process."""
    hello = running.start()
    assert (hello["error"], hello["name"], hello["applied"]) == (None, "berlin", running.config.digest)
    running.connect_peer()
    to_lan = packet(TUNNELED, AT_HOME, socket.IPPROTO_UDP, struct.pack("!HHHH", 1, 2, 12, 0) + b"ping")
    running.from_cabin(to_lan)
    running.until(lambda: running.fake.netif("en2").out)
    (arrived,) = running.fake.netif("en2").out
    assert (arrived[12:], arrived[8]) == (to_lan[12:], 63)
    to_cabin = packet(AT_HOME, TUNNELED, socket.IPPROTO_UDP, struct.pack("!HHHH", 2, 1, 12, 0) + b"pong")
    running.fake.from_lan(to_cabin)
    running.until(lambda: running.got)
    assert [(each[12:], each[8]) for each in running.got] == [(to_cabin[12:], 63)]
    running.say(type="health", id=2)
    health = running.hear("reply", 2)["health"]
    assert health["offloads"] == []
    assert health["confinement"] == {"system": "nanos"}
    assert "seccomp" in health["unconfined"]
    (peer,) = health["peers"]
    assert peer["last_handshake"] is not None
    assert peer["path_mtu"] is None or peer["path_mtu"].get("size") is None
    assert not running.fake.asked_files
    assert json.loads((running.folder / "secrets.json").read_bytes())["privateKeys"] == [encode_key(NODE)]


def test_segments_are_clamped_and_what_is_too_long_is_told_with_an_mtu(running: Program) -> None:
    """Row: frag-needed, mss."""
    cabin = replace(running.config.peers[0], mtu=1300)
    running.config = replace(running.config, peers=(cabin,))
    running.start()
    running.connect_peer()
    syn = struct.pack("!HHIIBBHHH", 1, 80, 1, 0, 6 << 4, TCP_SYN, 1000, 0, 0) + struct.pack("!BBH", 2, 4, 1460)
    running.from_cabin(packet(TUNNELED, AT_HOME, socket.IPPROTO_TCP, syn))
    running.until(lambda: running.fake.netif("en2").out)
    assert struct.unpack("!BBH", running.fake.netif("en2").out.pop()[-4:]) == (2, 4, 1260)
    long = packet(AT_HOME, TUNNELED, socket.IPPROTO_UDP, bytes(1350), dont_fragment=True)
    running.fake.from_lan(long)
    running.until(lambda: running.fake.netif("en2").out)
    (told,) = running.fake.netif("en2").out
    assert (told[9], told[20], told[21], int.from_bytes(told[26:28], "big")) == (1, 3, 4, 1300)


def test_a_peer_and_its_networks_come_live_and_what_can_not_is_answered(running: Program) -> None:
    """Row: live-changes."""
    running.start()
    running.connect_peer()
    other = PeerConfig("lodge", (public(bytes([8] + [3] * 30 + [67])),), ("10.3.0.0/24",))
    new = replace(running.config, peers=(*running.config.peers, other))
    secrets = NodeSecrets((NODE,)).to_json().decode()
    running.say(type="configure", id=2, config=new.to_json().decode(), secrets=secrets)
    answer = running.hear("reply", 2)
    assert answer["applied"] == new.digest
    assert running.fake.tun.address == IPv4Interface("10.2.1.1/15")
    six = replace(new, peers=(replace(other, allowed_ips=("fd03::/64",)),))
    running.say(type="configure", id=3, config=six.to_json().decode(), secrets=secrets)
    assert "Nanos forwards IPv4 only" in running.hear("reply", 3)["error"]


def test_without_forwarding_the_host_hears_why_no_node_runs(running: Program) -> None:
    """Row: ip-forward."""
    running.fake.forwards = False
    assert "build Nanos with IP_FORWARD 1" in running.start()["error"]


def test_the_end_of_the_program_is_the_end_of_the_machine(running: Program) -> None:
    """Row: single-process."""
    running.start()
    running.loops[0].stop()
    running._thread.join(PATIENCE)
    assert [type(each) for each in running.ended] == [Ended]
