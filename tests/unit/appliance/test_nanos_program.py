"""The gateway's whole program on a Nanos of the test's making: configuration from a folder, control over TCP on
loopback, a peer by real UDP, and hosts of a LAN behind lwIP."""

from __future__ import annotations

import gc
import json
import os
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Interface
from pathlib import Path

import pytest

from tests.fake_nanos import Ended, FakeNanos
from tests.nanos_ends import AT_HOME, NODE, PEER, TUNNELED, Ends, packet, public, udp
from wgnode.appliance import nanos as program
from wgnode.appliance import serve as serve_module
from wgnode.appliance.log import Log
from wgnode.dataplane.choose import FAST, PYTHON, Unavailable, choose
from wgnode.io.control import Message
from wgnode.io.loop import Loop
from wgnode.nanos.words import Environment
from wgnode.nodeconfig import LinkConfig, NodeConfig, NodeSecrets, PeerConfig, encode_key
from wgnode.platform import nanos as platform_module
from wgnode.platform.nanos import Unikernel

PATIENCE = 20.0
TCP_SYN = 2


class Program:
    """Runs from its making to `close`; its host comes from 127.0.0.2."""

    def __init__(self, fake: FakeNanos, folder: Path, monkeypatch: pytest.MonkeyPatch, plane: str) -> None:
        self.fake, self.folder = fake, folder
        self.ended: list[BaseException] = []
        self.ends = Ends(PATIENCE, lambda: repr(self.ended) if self.ended else None)
        self.config = NodeConfig(
            mesh="dev",
            name="berlin",
            public_keys=(public(NODE),),
            listen_port=0,
            addresses=("10.2.1.1/32",),
            transit=LinkConfig("52:54:00:77:67:00", ("127.0.0.1/30",), ("127.0.0.2",)),
            lan=LinkConfig("52:54:00:00:00:02", ("192.168.7.1/24",)),
            peers=(
                PeerConfig("cabin", (public(PEER),), ("10.2.0.0/24",), f"127.0.0.1:{self.ends.peer.getsockname()[1]}"),
            ),
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
        self._thread = threading.Thread(target=self._main, daemon=True)

    def start(self) -> Message:
        """Its greeting."""
        (self.folder / "config.json").write_bytes(self.config.to_json())
        (self.folder / "secrets.json").write_bytes(NodeSecrets((NODE,)).to_json())
        self._thread.start()
        self.ends.until(lambda: self.platforms and self.platforms[0].line)
        line = self.platforms[0].line
        assert line is not None
        self.ends.host = socket.create_connection(line.address, source_address=("127.0.0.2", 0))
        self.ends.host.setblocking(False)
        return self.ends.hear("hello")

    def connect_peer(self) -> None:
        """To the node, which begins now; its port hostd would ask for as well."""
        self.ends.say(type="resume", unix_ns=time.time_ns(), tai64n=5)
        self.ends.say(type="uapi", id=1, text="get=1\n\n")
        text = self.ends.hear("reply", 1)["text"]
        self.ends.meet(
            next(int(line.partition("=")[2]) for line in text.splitlines() if line.startswith("listen_port="))
        )

    def end(self) -> None:
        self.loops[0].stop()
        self._thread.join(PATIENCE)
        assert not self._thread.is_alive()

    def close(self) -> None:
        if self.loops:
            self.end()
        for line in [each.line for each in self.platforms if each.line is not None]:
            line.close()
        self.ends.close()
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
    to_lan = udp(TUNNELED, AT_HOME, b"ping")
    running.ends.from_peer(to_lan)
    running.ends.until(lambda: running.fake.netif("en2").out)
    (arrived,) = running.fake.netif("en2").out
    assert (arrived[12:], arrived[8]) == (to_lan[12:], 63)
    to_cabin = udp(AT_HOME, TUNNELED, b"pong")
    running.fake.from_lan(to_cabin)
    running.ends.until(lambda: running.ends.got)
    assert [(each[12:], each[8]) for each in running.ends.got] == [(to_cabin[12:], 63)]
    running.ends.say(type="health", id=2)
    health = running.ends.hear("reply", 2)["health"]
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
    running.ends.from_peer(packet(TUNNELED, AT_HOME, socket.IPPROTO_TCP, syn))
    running.ends.until(lambda: running.fake.netif("en2").out)
    assert struct.unpack("!BBH", running.fake.netif("en2").out.pop()[-4:]) == (2, 4, 1260)
    long = packet(AT_HOME, TUNNELED, socket.IPPROTO_UDP, bytes(1350), dont_fragment=True)
    running.fake.from_lan(long)
    running.ends.until(lambda: running.fake.netif("en2").out)
    (told,) = running.fake.netif("en2").out
    assert (told[9], told[20], told[21], int.from_bytes(told[26:28], "big")) == (1, 3, 4, 1300)


def test_a_peer_and_its_networks_come_live_and_what_can_not_is_answered(running: Program) -> None:
    """Row: live-changes."""
    running.start()
    running.connect_peer()
    other = PeerConfig("lodge", (public(bytes([8] + [3] * 30 + [67])),), ("10.3.0.0/24",))
    new = replace(running.config, peers=(*running.config.peers, other))
    secrets = NodeSecrets((NODE,)).to_json().decode()
    running.ends.say(type="configure", id=2, config=new.to_json().decode(), secrets=secrets)
    answer = running.ends.hear("reply", 2)
    assert answer["applied"] == new.digest
    assert running.fake.tun.address == IPv4Interface("10.2.1.1/15")
    six = replace(new, peers=(replace(other, allowed_ips=("fd03::/64",)),))
    running.ends.say(type="configure", id=3, config=six.to_json().decode(), secrets=secrets)
    assert "Nanos forwards IPv4 only" in running.ends.hear("reply", 3)["error"]


def test_without_forwarding_the_host_hears_why_no_node_runs(running: Program) -> None:
    """Row: ip-forward."""
    running.fake.forwards = False
    assert "build Nanos with IP_FORWARD 1" in running.start()["error"]


def test_the_end_of_the_program_is_the_end_of_the_machine(running: Program) -> None:
    """Row: single-process."""
    running.start()
    running.end()
    assert [type(each) for each in running.ended] == [Ended]
