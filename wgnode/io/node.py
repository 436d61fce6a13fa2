"""Devices as this machine runs them: with its randomness and its wall clock, and from a gateway's configuration."""

from __future__ import annotations

import os
import struct
import time
from collections.abc import Callable, Iterable, Mapping
from ipaddress import ip_address, ip_network

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from wgnode import nodeconfig
from wgnode.io.endpoints import parse_endpoint
from wgnode.nodeconfig import LivePeer, NodeConfig, NodeSecrets, PeerConfig
from wgnode.protocol.allowed_ips import Network
from wgnode.protocol.device import Device
from wgnode.protocol.endpoint import Endpoint
from wgnode.protocol.noise import public_bytes
from wgnode.protocol.peer import Peer
from wgnode.protocol.plane import Plane
from wgnode.work import Work, at_once

TAI64_EPOCH = 0x400000000000000A
"""TAI64 label of 1970, with the ten leap seconds of then, as every WireGuard has it."""
WHITENING = 1 << 24
"""Nanoseconds (16.8 ms) that a time stamp is rounded down to, so as not to reveal the clock."""


class Tai64n:
    """Time stamps of handshake initiations: 12 bytes, each later than the one before, even if the clock steps back.

    `floor` is a wall clock time in nanoseconds that none may fall below: what a former run may have used.
    """

    def __init__(self, clock: Callable[[], int] = time.time_ns, floor: int = 0) -> None:
        self._clock = clock
        self.last = floor
        """The clock time in nanoseconds of the newest one, or the floor."""

    def raise_floor(self, floor: int) -> None:
        """None below this clock time, either; one that is lower than what was used changes nothing."""
        self.last = max(self.last, floor)

    def __call__(self) -> bytes:
        self.last = max(self._clock(), self.last + WHITENING)
        seconds, nanoseconds = divmod(self.last, 10**9)
        return struct.pack(">QI", TAI64_EPOCH + seconds, nanoseconds & ~(WHITENING - 1))


def new_device(plane: Plane, *, mtu: int = nodeconfig.DEFAULT_MTU, tai64n: Callable[[], bytes] | None = None) -> Device:
    """An unconfigured device with the machine's randomness and clock."""
    return Device(plane=plane, random=os.urandom, tai64n=tai64n or Tai64n(), mtu=mtu)


def from_config(
    plane: Plane,
    config: NodeConfig,
    secrets: NodeSecrets,
    now: float,
    *,
    tai64n: Callable[[], bytes] | None = None,
) -> Device:
    """The device that a gateway boots with, not started. Raises ValueError when keys and configuration differ."""
    device = new_device(plane, tai64n=tai64n)
    device.listen_port = config.listen_port
    reconfigure(device, config, secrets, now)
    return device


def reconfigure(
    device: Device, config: NodeConfig, secrets: NodeSecrets, now: float, *, former: NodeConfig | None = None
) -> None:
    """As `reconfiguring`, at once."""
    at_once(reconfiguring(device, config, secrets, lambda: now, former=former))


def reconfiguring(
    device: Device,
    config: NodeConfig,
    secrets: NodeSecrets,
    clock: Callable[[], float],
    *,
    former: NodeConfig | None = None,
) -> Work[None]:
    """Make the device have these keys, peers and MTU, whatever it has now, and touch nothing that is so already.

    Sessions under keys that stay go on, and so does where a peer has roamed to, unless the endpoint that is configured
    for it is another one than in `former`. Endpoints given as names stay empty: the host resolves them and sets them
    by UAPI. Raises ValueError, with nothing changed, when keys and configuration differ.

    A step is a peer or a network; after each, every peer has all of its keys, and every address belongs to whom it did
    before or to whom it will.
    """
    if tuple(map(_public, secrets.private_keys)) != config.public_keys:
        raise ValueError("the secrets' private keys do not belong to the configuration's public keys")
    device.mtu = config.mtu
    device.route_mtus = tuple(sorted({peer.mtu for peer in config.everybody if peer.mtu is not None}))
    if device.public_keys != config.public_keys:
        device.set_private_keys(secrets.private_keys, clock())
    wanted = {key for each in config.everybody for key in each.public_keys}
    gone = [peer for peer in device.peers if wanted.isdisjoint(peer.public_keys)]
    before = {} if former is None else {each.public_keys[0]: each.endpoint for each in former.everybody}
    peers = []
    for each in config.everybody:
        yield True
        peers.append(_peer(device, each, before, secrets.preshared_keys.get(each.public_keys[0], ()), clock()))
    for peer in filter(device.access.judges, gone):
        device.set_closed(peer, True)  # the new policy does not know it, so until it is removed nobody would judge it
    device.access.set_policy(
        config.policy, {each.public_keys[0]: each.access for each in config.devices if each.access is not None}
    )
    networks = {peer: each.allowed_ips for peer, each in zip(peers, config.everybody, strict=True)}
    yield from _route(device, networks | dict.fromkeys(gone, ()))
    for peer in gone:
        yield True
        device.remove_peer(peer.public_key)


class LiveDigest:
    """wgnode.nodeconfig.live_digest of a device's configuration at each call; computes what has changed since."""

    def __init__(self, device: Device) -> None:
        self._device = device
        self._known: dict[int, tuple[tuple[int, int], bytes]] = {}

    def look(self, peer: Peer) -> None:
        """Do now what the next call would have to."""
        self._known[peer.number] = self._described(peer)

    def __call__(self) -> str:
        peers = self._device.peers
        self._known = {peer.number: self._described(peer) for peer in peers}
        described = {peer.public_keys: self._known[peer.number][1] for peer in peers}
        return nodeconfig.live_digest(self._device.public_keys, self._device.listen_port, described)

    def _described(self, peer: Peer) -> tuple[tuple[int, int], bytes]:
        revision, known = self._device.revision(peer), self._known.get(peer.number)
        if known is not None and known[0] == revision:
            return known
        text = self._device.networks_text(peer)
        networks = tuple(text.split(",")) if text else ()
        live = LivePeer(peer.public_keys, peer.preshared_keys, networks, peer.persistent_keepalive)
        return revision, live.canonical()


def _peer(
    device: Device, wanted: PeerConfig, before: Mapping[bytes, str | None], preshared: tuple[bytes, ...], now: float
) -> Peer:
    """The peer with these keys, made where there is none. `before` has the former endpoints by public key."""
    known = next((peer for key in wanted.public_keys if (peer := device.peer(key)) is not None), None)
    peer = known or device.add_peer(wanted.public_keys)
    peer.name = wanted.name
    if peer.public_keys != wanted.public_keys:
        device.set_public_keys(peer, wanted.public_keys)
    if peer.preshared_keys != preshared:
        device.set_preshared_keys(peer, preshared)
    if known is None or before.get(wanted.public_keys[0], wanted.endpoint) != wanted.endpoint:
        device.set_endpoint(peer, literal_endpoint(wanted.endpoint))
    if peer.persistent_keepalive != wanted.persistent_keepalive:
        device.set_keepalive(peer, wanted.persistent_keepalive, now)
    device.set_probe(peer, None if wanted.probe is None else ip_address(wanted.probe).packed)
    return peer


def _route(device: Device, wanted: Mapping[Peer, Iterable[str]]) -> Work[None]:
    """Longer prefixes are given before shorter ones, and taken after them: so an address goes from the one whose it was
    to the one whose it will be, and never between that to a third, or to none, that has a shorter one."""
    come: list[tuple[Network, Peer]] = []
    go: list[tuple[Network, Peer]] = []
    for peer, texts in wanted.items():
        yield True
        if set(device.networks_text(peer).split(",")) != set(texts or ("",)):
            had, has = set(peer.allowed_ips), set(map(ip_network, texts))
            come += [(network, peer) for network in has - had]
            go += [(network, peer) for network in had - has]
    for network, peer in sorted(come, key=_length, reverse=True):
        yield True
        device.add_allowed_ip(peer, network)
    for network, peer in sorted(go, key=_length):
        yield True
        device.remove_allowed_ip(peer, network)


def _length(of: tuple[Network, Peer]) -> int:
    return of[0].prefixlen


def _public(private_key: bytes) -> bytes:
    return public_bytes(X25519PrivateKey.from_private_bytes(private_key))


def literal_endpoint(text: str | None) -> Endpoint | None:
    """None for no endpoint, and for one whose address is a name."""
    try:
        return None if text is None else parse_endpoint(text)
    except ValueError:
        return None
