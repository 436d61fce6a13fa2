"""Who talks with a gateway on Nanos, a fake one or a real: its host over the control channel, and a peer over UDP."""

from __future__ import annotations

import select
import socket
import struct
import time
from collections.abc import Callable
from ipaddress import IPv4Address
from typing import Any

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from wgnode.dataplane.plain import PlainPlane
from wgnode.io.control import Decoder, Message, encode
from wgnode.io.node import new_device
from wgnode.pathmtu.checksum import checksum
from wgnode.protocol.endpoint import Endpoint

NODE, PEER = bytes([8] + [7] * 30 + [71]), bytes([8] + [9] * 30 + [73])
"""Private keys."""
TUNNELED, AT_HOME = IPv4Address("10.2.0.9"), IPv4Address("192.168.7.9")
"""A host behind the peer, and one of the gateway's LAN."""


def public(private: bytes) -> bytes:
    return X25519PrivateKey.from_private_bytes(private).public_key().public_bytes_raw()


def packet(source: IPv4Address, to: IPv4Address, protocol: int, body: bytes, *, dont_fragment: bool = False) -> bytes:
    flags = 0x4000 if dont_fragment else 0
    header = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(body), 7, flags, 64, protocol, 0, source.packed, to.packed)
    return header[:10] + checksum(header).to_bytes(2, "big") + header[12:] + body


def udp(source: IPv4Address, to: IPv4Address, text: bytes) -> bytes:
    return packet(source, to, socket.IPPROTO_UDP, struct.pack("!HHHH", 1, 2, 8 + len(text), 0) + text)


class Ends:
    """`told` is what the gateway has said to the host, `got` what came out of the tunnel at the peer's.

    `also` are other sockets, each with who takes what comes there; `fails` says why waiting is of no use, or None.
    """

    def __init__(self, patience: float, fails: Callable[[], str | None]) -> None:
        self.patience, self.fails = patience, fails
        self.peer = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.peer.bind(("127.0.0.1", 0))
        self.peer.setblocking(False)
        self.device = new_device(PlainPlane())
        self.device.set_private_keys([PEER], time.monotonic())
        self.host: socket.socket | None = None
        self.told: list[Message] = []
        self.got: list[bytes] = []
        self.also: dict[socket.socket, Callable[[bytes], None]] = {}
        self._decoder = Decoder()

    def close(self) -> None:
        if self.host is not None:
            self.host.close()
        self.peer.close()

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
        """Datagrams and the host's messages move meanwhile."""
        deadline = time.monotonic() + self.patience
        while not what():
            why = self.fails()
            assert why is None, why
            assert time.monotonic() < deadline, "nothing came in time"
            readers = [self.peer, *self.also, *([self.host] if self.host is not None else [])]
            for ready in select.select(readers, [], [], 0.02)[0]:
                self._read(ready)
            self.send()
            self.got += self.device.packets_to_deliver()

    def send(self) -> None:
        for data, endpoint in self.device.datagrams_to_send():
            self.peer.sendto(data, (endpoint.address, endpoint.port))

    def meet(self, port: int) -> None:
        """The peer begins, with the node at this port of loopback."""
        berlin = self.device.add_peer([public(NODE)], "berlin")
        self.device.set_endpoint(berlin, Endpoint("127.0.0.1", port))
        self.device.replace_allowed_ips(berlin, ["192.168.7.0/24", "10.2.1.1/32"])
        self.device.start(time.monotonic())

    def from_peer(self, inner: bytes) -> None:
        self.device.send_packet(inner, time.monotonic())
        self.send()

    def _read(self, ready: socket.socket) -> None:
        if ready is self.peer:
            data, (host, port) = self.peer.recvfrom(65535)
            self.device.receive_datagram(data, Endpoint(host, port), time.monotonic())
        elif ready is self.host:
            self.told += self._decoder.feed(ready.recv(65536))
        else:
            self.also[ready](ready.recv(65536))
