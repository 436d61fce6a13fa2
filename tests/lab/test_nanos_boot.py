"""A gateway on a real kernel of Nanos under QEMU, where its parts are brought: greeting, handshake, packets both ways.

No namespaces and no taps: the transit link is QEMU's user network, and the LAN's wire is a UDP socket of the test's.
"""

from __future__ import annotations

import os
import socket
import struct
import subprocess
import time
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Interface
from pathlib import Path

import pytest

from tests.nanos_ends import AT_HOME, NODE, PEER, TUNNELED, Ends, public, udp
from wgnode.image import best
from wgnode.image.machine import Nic
from wgnode.image.nanos.appliance import appliance_files
from wgnode.image.nanos.build import build
from wgnode.image.nanos.machine import LAN, TRANSIT, NanosMachine, command
from wgnode.image.nanos.parts import DIRECTORY, VARIABLES, checked, located
from wgnode.nanos.words import CONTROL_PORT, Environment
from wgnode.nodeconfig import LinkConfig, NodeConfig, NodeSecrets, PeerConfig

pytestmark = pytest.mark.lab
PATIENCE = 180.0
OUTSIDE, NEXT_HOP, HOME = IPv4Interface("10.0.2.15/24"), IPv4Address("10.0.2.2"), IPv4Interface("192.168.7.1/24")
"""As QEMU's user network has it: its own address is the host's."""
MACS = ("52:54:00:77:67:00", "52:54:00:00:00:02")
OUR_MAC = bytes.fromhex("52540000aaaa")
ARP, IPV4 = 0x0806, 0x0800


class Wire:
    """The LAN's: a host at AT_HOME that answers ARP. `heard` are IPv4 packets."""

    def __init__(self) -> None:
        self.socket, other = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2))
        for each in (self.socket, other):
            each.bind(("127.0.0.1", 0))
        self.guest = other.getsockname()
        other.close()
        self.netdev = f"udp=127.0.0.1:{self.socket.getsockname()[1]},localaddr=127.0.0.1:{self.guest[1]}"
        self.heard: list[bytes] = []

    def frame(self, data: bytes) -> None:
        kind, body = int.from_bytes(data[12:14], "big"), data[14:]
        if kind == IPV4:
            self.heard.append(body[: int.from_bytes(body[2:4], "big")])
        elif kind == ARP and body[6:8] == b"\0\1" and body[24:28] == AT_HOME.packed:
            answer = body[:6] + b"\0\2" + OUR_MAC + AT_HOME.packed + body[8:18]
            self.socket.sendto(data[6:12] + OUR_MAC + struct.pack("!H", ARP) + answer, self.guest)

    def send(self, packet: bytes) -> None:
        mac = bytes.fromhex(MACS[1].replace(":", ""))
        self.socket.sendto(mac + OUR_MAC + struct.pack("!H", IPV4) + packet, self.guest)


def free_port(kind: socket.SocketKind) -> int:
    with socket.socket(socket.AF_INET, kind) as tried:
        tried.bind(("127.0.0.1", 0))
        return int(tried.getsockname()[1])


def without_taps(arguments: list[str], wire: Wire, forwarded: dict[str, str]) -> list[str]:
    """The same machine with other wires."""
    ends = "".join(f",hostfwd={here}-{OUTSIDE.ip}:{there}" for here, there in forwarded.items())
    other = {f"id=net{TRANSIT}": f"user,id=net{TRANSIT}{ends}", f"id=net{LAN}": f"socket,id=net{LAN},{wire.netdev}"}
    return [other[each.split(",")[1]] if each.startswith("tap,id=") else each for each in arguments]


@pytest.fixture
def image(tmp_path: Path) -> Path:
    if not any(os.environ.get(name) for name in (DIRECTORY, *VARIABLES.values())):
        pytest.skip(f"no parts of Nanos to boot: {DIRECTORY}, {', '.join(VARIABLES.values())} are unset")
    wrong = [each for each in checked(located()) if each.stops]
    assert not wrong, wrong
    told = Environment(OUTSIDE, NEXT_HOP, HOME)
    build(told, appliance_files(best.find()), located(), tmp_path / "nanos.img")
    return tmp_path / "nanos.img"


@pytest.fixture
def booted(image: Path, tmp_path: Path) -> Iterator[tuple[Ends, Wire, int]]:
    console, wire = tmp_path / "console", Wire()
    ports = free_port(socket.SOCK_STREAM), free_port(socket.SOCK_DGRAM)
    process: subprocess.Popen[bytes] | None = None

    def over() -> str | None:
        told = console.read_text(errors="replace") if console.exists() else ""
        return told[-4000:] if process is not None and process.poll() is not None else None

    ends = Ends(PATIENCE, over)
    ends.also[wire.socket] = wire.frame
    share = tmp_path / "share"
    share.mkdir()
    peer = PeerConfig("cabin", (public(PEER),), ("10.2.0.0/24",), f"{NEXT_HOP}:{ends.peer.getsockname()[1]}")
    config = NodeConfig(
        mesh="dev",
        name="berlin",
        public_keys=(public(NODE),),
        listen_port=51820,
        addresses=("10.2.1.1/32",),
        transit=LinkConfig(MACS[0], (str(OUTSIDE),), (str(NEXT_HOP),)),
        lan=LinkConfig(MACS[1], (str(HOME),)),
        peers=(peer,),
    )
    (share / "config.json").write_bytes(config.to_json())
    (share / "secrets.json").write_bytes(NodeSecrets((NODE,)).to_json())
    nics = Nic("none", MACS[0]), Nic("none", MACS[1])
    machine = NanosMachine("berlin", str(image), str(share), nics, console=str(console))
    here = {f"tcp:127.0.0.1:{ports[0]}": str(CONTROL_PORT), f"udp:127.0.0.1:{ports[1]}": "51820"}
    process = subprocess.Popen(without_taps(command(machine), wire, here), stdin=subprocess.DEVNULL)
    try:
        ends.host = connected(ports[0])
        yield ends, wire, ports[1]
    finally:
        process.kill()
        process.wait()
        ends.close()
        wire.socket.close()


def connected(port: int) -> socket.socket:
    """QEMU takes the connection before the guest is there, and hangs up then."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        end = socket.create_connection(("127.0.0.1", port))
        end.settimeout(5)
        try:
            if end.recv(1, socket.MSG_PEEK):
                end.setblocking(False)
                return end
        except OSError:
            pass
        end.close()
        time.sleep(0.5)
    raise AssertionError("the guest does not answer on its control port")


def test_a_gateway_boots_on_nanos_shakes_hands_and_forwards(booted: tuple[Ends, Wire, int]) -> None:
    ends, wire, port = booted
    assert ends.hear("hello")["error"] is None
    ends.say(type="resume", unix_ns=time.time_ns(), tai64n=5)
    ends.meet(port)
    ends.from_peer(udp(TUNNELED, AT_HOME, b"ping"))
    ends.until(lambda: [each for each in wire.heard if each.endswith(b"ping")])
    wire.send(udp(AT_HOME, TUNNELED, b"pong"))
    ends.until(lambda: [each for each in ends.got if each.endswith(b"pong")])
    ends.say(type="health", id=1)
    health = ends.hear("reply", 1)["health"]
    assert health["confinement"] == {"system": "nanos"}
    assert health["peers"][0]["last_handshake"] is not None
