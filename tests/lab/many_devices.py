"""Devices by the dozen or the thousand: a gateway's configuration with them, and clients of the node's own protocol.

Clients need no interface and no process each; each has an address of its own in 198.18.0.0/15, as behind routers of
their own.
"""

from __future__ import annotations

import base64
import hashlib
import select
import socket
import struct
import threading
import time
from ipaddress import IPv4Address, ip_address, ip_network

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from tests.lab.interop import Namespace
from tests.lab.test_users import SECRET
from tests.unit.topology.meshes import bundle_of, topology_of, two_sites
from wgnode.dataplane.plain import PlainPlane
from wgnode.io.node import Tai64n, new_device
from wgnode.nodeconfig import NodeConfig, NodeSecrets
from wgnode.pathmtu.checksum import checksum
from wgnode.protocol.device import Device
from wgnode.protocol.endpoint import Endpoint
from wgnode.topology import users
from wgnode.topology.compile import SiteFacts, compile_site
from wgnode.topology.users import Users

GATEWAY, PORT = "172.31.255.254", 51820
DESK, ECHO = "10.1.0.7", 7000
SOURCES = "198.18.0.0/15"
PACE = 0.2
"""Seconds between two packets of one client."""
_FIRST, _SOURCE = int(ip_address("10.1.64.1")), int(ip_address("198.18.0.1"))


def private_key(number: int) -> bytes:
    return hashlib.sha256(b"device %d" % number).digest()


def public_key(number: int) -> bytes:
    return X25519PrivateKey.from_private_bytes(private_key(number)).public_key().public_bytes_raw()


def address(number: int) -> str:
    """In the tunnel and in the LAN."""
    return str(ip_address(_FIRST + number))


def compiled(devices: int) -> tuple[NodeConfig, NodeSecrets]:
    raw = two_sites()
    raw["sites"]["berlin"] |= {"endpoint": f"{GATEWAY}:{PORT}", "lans": ["10.1.0.0/16"]}
    topology = topology_of(raw)
    people = {}
    for number in range(devices):
        key = base64.b64encode(public_key(number)).decode()
        phone = {"publicKey": key, "addresses": [address(number)]}
        people[f"user{number}"] = {"groups": ["staff"], "devices": {"phone": phone}}
    known = Users.of({"v4": "10.1.64.0/18"}, people, {"staff": {"reach": "all"}})
    bundle = bundle_of(topology, "berlin")
    return compile_site(topology, "berlin", bundle, SiteFacts(("10.1.0.2",), users=known), SECRET)


def client(number: int, gateway: bytes, now: float) -> Device:
    """`gateway` is its public key."""
    device = new_device(PlainPlane(), tai64n=Tai64n())
    device.set_private_keys([private_key(number)], now)
    peer = device.add_peer([gateway])
    device.set_preshared_keys(peer, [users.preshared_key(SECRET, public_key(number))])
    device.set_endpoint(peer, Endpoint(GATEWAY, PORT))
    device.add_allowed_ip(peer, ip_network("0.0.0.0/0"))
    device.start(now)
    return device


def bound(space: Namespace, number: int) -> socket.socket:
    """A client's, at its own address."""

    def made() -> socket.socket:
        one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        one.bind((str(ip_address(_SOURCE + number)), 0))
        return one

    return space.call(made)


class Clients:
    """Each sends to the desk's echo and notes when something comes back: `heard`, by number, in monotonic seconds."""

    def __init__(self, space: Namespace, count: int, gateway: bytes) -> None:
        now = time.monotonic()
        self._devices = [client(number, gateway, now) for number in range(count)]
        self._sockets = [bound(space, number) for number in range(count)]
        self.heard: dict[int, float] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._stop.set()
        self._thread.join()
        for one in self._sockets:
            one.close()

    def _run(self) -> None:
        poll, of = select.epoll(), {one.fileno(): number for number, one in enumerate(self._sockets)}
        for one in self._sockets:
            one.setblocking(False)
            poll.register(one, select.EPOLLIN)
        due = 0.0
        while not self._stop.is_set():
            ready = {of[number] for number, _ in poll.poll(PACE / 4)}
            now = time.monotonic()
            speaking = now >= due
            due = now + PACE if speaking else due
            for number, device in enumerate(self._devices):
                if number in ready:
                    device.receive_datagram(self._sockets[number].recv(4096), Endpoint(GATEWAY, PORT), now)
                if speaking:
                    device.send_packet(_packet(address(number)), now)
                device.handle_timer(now)
                for datagram, _ in device.datagrams_to_send():
                    self._sockets[number].sendto(datagram, (GATEWAY, PORT))
                if device.packets_to_deliver():
                    self.heard[number] = now


def _packet(source: str) -> bytes:
    """UDP to the desk's echo, without a checksum of its own."""
    datagram = struct.pack(">HHHH", ECHO, ECHO, 12, 0) + b"echo"
    head = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(datagram), 0, 0, 64, socket.IPPROTO_UDP, 0)
    ends = IPv4Address(source).packed + IPv4Address(DESK).packed
    return head[:10] + checksum(head + ends).to_bytes(2, "big") + ends + datagram


def all_of(heard: dict[int, float], count: int, since: float) -> bool:
    """Whether all have heard something after that time."""
    return sum(at > since for at in list(heard.values())) == count


def own_sources(space: Namespace) -> None:
    """All addresses of clients are the namespace's own."""
    space.run("ip", "route", "add", "local", SOURCES, "dev", "lo")
