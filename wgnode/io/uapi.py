"""WireGuard's cross-platform userspace interface: the text protocol that `wg` speaks with a device.

https://www.wireguard.com/xplatform/ . Lines take effect one by one, as in wireguard-go: those before a bad one stay.
One request is handled at a time, so clients never see each other's half-done sets; a long one rests between peers.
"""

from __future__ import annotations

import errno
import time
from collections.abc import Callable, Iterator
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import ClassVar, Protocol

from wgnode.io.endpoints import parse_endpoint
from wgnode.protocol.device import Device
from wgnode.protocol.peer import Peer
from wgnode.work import Work, at_once

NO_KEY = bytes(32)
LARGEST_PORT = LARGEST_KEEPALIVE = 0xFFFF
LARGEST_FWMARK = 0xFFFFFFFF
LONGEST_REASON = 300
"""Characters of a refusal in the log: a request may be one word of 16 MiB."""


class Sockets(Protocol):
    """Who owns the sockets while the device is up, and may refuse (OSError)."""

    def set_listen_port(self, port: int) -> None: ...

    def set_fwmark(self, mark: int) -> None: ...


class UapiError(ValueError):
    """A request that is refused with `errno`; its text never quotes a key."""

    def __init__(self, number: int, message: str) -> None:
        super().__init__(message)
        self.errno = number


def handle(
    device: Device,
    text: str,
    now: float,
    *,
    wall: float | None = None,
    sockets: Sockets | None = None,
    log: Callable[[str], None] | None = None,
) -> str:
    """As `answer`, at once."""
    return at_once(answer(device, text, lambda: now, wall=wall, sockets=sockets, log=log))


def answer(
    device: Device,
    text: str,
    clock: Callable[[], float],
    *,
    wall: float | None = None,
    sockets: Sockets | None = None,
    log: Callable[[str], None] | None = None,
) -> Work[str]:
    """The reply to one whole request ("get=1\\n\\n" or "set=1\\n...\\n\\n"); "" for an operation that doesn't exist.

    `clock` is the device's, `wall` the time of day in seconds since 1970 (default: the machine's), with which
    handshake times are told. Without `sockets`, ports and marks are only noted in the device. Never raises for what
    a client sent: errors come back as a negative errno, and their text goes to `log`.
    """
    operation, _, lines = text.partition("\n")
    try:
        if operation == "get=1":
            if lines.strip("\n"):
                raise UapiError(errno.EINVAL, "get takes no further lines")
            return (yield from _told(device, clock(), time.time() if wall is None else wall)) + "errno=0\n\n"
        if operation == "set=1":
            yield from Setter(device, clock, sockets).apply(lines)
            return "errno=0\n\n"
    except (UapiError, OSError) as error:
        if log is not None:
            log(f"refused: {_in_short(str(error))}")
        return f"errno={-(error.errno or errno.EINVAL)}\n\n"
    return ""


def _in_short(reason: str) -> str:
    return reason if len(reason) <= LONGEST_REASON else reason[:LONGEST_REASON] + "…"


def _told(device: Device, now: float, wall: float) -> Work[str]:
    """What get answers, a step a peer."""
    texts = ["".join(_describe_device(device))]
    for peer in device.peers:
        yield True
        texts += _describe_peer(device, peer, now, wall)
    return "".join(texts)


def _describe_device(device: Device) -> Iterator[str]:
    for private_key in device.private_keys[:1]:
        yield f"private_key={private_key.hex()}\n"
    if device.listen_port:
        yield f"listen_port={device.listen_port}\n"
    if device.fwmark:
        yield f"fwmark={device.fwmark}\n"


def _describe_peer(device: Device, peer: Peer, now: float, wall: float) -> Iterator[str]:
    yield f"public_key={peer.public_key.hex()}\n"
    yield f"preshared_key={(peer.preshared_keys[0] if peer.preshared_keys else NO_KEY).hex()}\n"
    yield "protocol_version=1\n"
    if peer.endpoint is not None:
        yield f"endpoint={peer.endpoint}\n"
    seconds, nanoseconds = 0, 0
    if peer.last_handshake is not None:
        seconds, nanoseconds = divmod(int((wall - now + peer.last_handshake) * 1e9), 10**9)
    yield f"last_handshake_time_sec={seconds}\nlast_handshake_time_nsec={nanoseconds}\n"
    yield f"tx_bytes={peer.tx_bytes}\nrx_bytes={peer.rx_bytes}\n"
    yield f"persistent_keepalive_interval={peer.persistent_keepalive}\n"
    if networks := device.networks_text(peer):
        yield f"allowed_ip={networks.replace(',', f'{chr(10)}allowed_ip=')}\n"


class Setter:
    """One set operation. `peer` is the one that lines are about: None when they are only checked, not applied."""

    def __init__(self, device: Device, clock: Callable[[], float], sockets: Sockets | None = None) -> None:
        self.device, self.clock, self.sockets = device, clock, sockets
        self.peer: Peer | None = None
        self.created = False
        self._keys = self._device_keys

    def apply(self, lines: str) -> Work[None]:
        """A step a line; it may rest where a peer is finished. Raises UapiError or OSError at the first line that can't
        be applied."""
        for line in _lines(lines):
            if not line:
                return
            key, equals, value = line.partition("=")
            yield key == "public_key"
            if not equals:
                raise UapiError(errno.EPROTO, "a line without an equals sign")
            if key == "public_key":
                self._begin_peer(value)
            elif (more := self._line(key, value)) is not None:
                yield from more

    def _line(self, key: str, value: str) -> Work[None] | None:
        action = self._keys.get(key)
        if action is None:
            where = "device" if self._keys is self._device_keys else "peer"
            raise UapiError(errno.EINVAL, f"{key!r} is no key of a {where}")
        try:
            return action(self, value)
        except UapiError:
            raise
        except ValueError as error:
            raise UapiError(errno.EINVAL, str(error)) from None

    # The device's lines

    def _private_key(self, value: str) -> None:
        key = _key(value)
        self.device.set_private_keys([] if key == NO_KEY else [key], self.clock())

    def _listen_port(self, value: str) -> None:
        port = _number(value, LARGEST_PORT, "listen_port")
        if self.sockets is not None:
            self.sockets.set_listen_port(port)
        else:
            self.device.listen_port = port

    def _fwmark(self, value: str) -> None:
        mark = _number(value, LARGEST_FWMARK, "fwmark")
        if self.sockets is not None:
            self.sockets.set_fwmark(mark)
        else:
            self.device.fwmark = mark

    def _replace_peers(self, value: str) -> Work[None]:
        _true(value, "replace_peers")
        return self._forget_all()

    def _forget_all(self) -> Work[None]:
        for peer in self.device.peers:
            yield True
            self.device.remove_peer(peer.public_key)

    # A peer's lines

    def _begin_peer(self, value: str) -> None:
        self._keys = self._peer_keys
        key = _key(value)
        self.peer = self.device.peer(key)
        self.created = self.peer is None and key not in self.device.public_keys
        if self.created:
            try:
                self.peer = self.device.add_peer([key])
            except ValueError as error:
                raise UapiError(errno.EINVAL, str(error)) from None

    def _update_only(self, value: str) -> None:
        _true(value, "update_only")
        if self.created:
            self._forget_peer()

    def _remove(self, value: str) -> None:
        _true(value, "remove")
        self._forget_peer()

    def _forget_peer(self) -> None:
        if self.peer is not None:
            self.device.remove_peer(self.peer.public_key)
        self.peer, self.created = None, False

    def _preshared_key(self, value: str) -> None:
        key = _key(value)
        if self.peer is not None:
            self.device.set_preshared_keys(self.peer, [] if key == NO_KEY else [key])

    def _endpoint(self, value: str) -> None:
        endpoint = parse_endpoint(value)
        if self.peer is not None:
            self.device.set_endpoint(self.peer, endpoint)

    def _keepalive(self, value: str) -> None:
        seconds = _number(value, LARGEST_KEEPALIVE, "persistent_keepalive_interval")
        if self.peer is not None:
            self.device.set_keepalive(self.peer, seconds, self.clock())

    def _replace_allowed_ips(self, value: str) -> None:
        _true(value, "replace_allowed_ips")
        if self.peer is not None:
            self.device.replace_allowed_ips(self.peer, [])

    def _allowed_ip(self, value: str) -> None:
        removing = value.startswith("-")
        network = _network(value[1:] if removing or value.startswith("+") else value)
        if self.peer is None:
            return
        if removing:
            self.device.remove_allowed_ip(self.peer, network)
        else:
            self.device.add_allowed_ip(self.peer, network)

    def _protocol_version(self, value: str) -> None:
        if value != "1":
            raise UapiError(errno.EINVAL, f"protocol version {value!r}; this is 1")

    _device_keys: ClassVar[dict[str, Action]] = {
        "private_key": _private_key,
        "listen_port": _listen_port,
        "fwmark": _fwmark,
        "replace_peers": _replace_peers,
    }
    _peer_keys: ClassVar[dict[str, Action]] = {
        "update_only": _update_only,
        "remove": _remove,
        "preshared_key": _preshared_key,
        "endpoint": _endpoint,
        "persistent_keepalive_interval": _keepalive,
        "replace_allowed_ips": _replace_allowed_ips,
        "allowed_ip": _allowed_ip,
        "protocol_version": _protocol_version,
    }


Action = Callable[[Setter, str], "Work[None] | None"]


def _lines(text: str) -> Iterator[str]:
    """One at a time: those of 16 MiB would fill a gateway's memory."""
    start = 0
    while (end := text.find("\n", start)) >= 0:
        yield text[start:end]
        start = end + 1
    yield text[start:]


def _key(value: str) -> bytes:
    try:
        key = bytes.fromhex(value)
    except ValueError:
        key = b""
    if len(value) != 64 or len(key) != 32:
        raise UapiError(errno.EINVAL, "a key is 64 hexadecimal digits")
    return key


def _number(value: str, largest: int, what: str) -> int:
    if not (value.isascii() and value.isdigit()) or int(value) > largest:
        raise UapiError(errno.EINVAL, f"{what}={value!r}: a number from 0 to {largest}, please")
    return int(value)


def _true(value: str, what: str) -> None:
    if value != "true":
        raise UapiError(errno.EINVAL, f"{what} can only be true")


def _network(value: str) -> IPv4Network | IPv6Network:
    """Host bits are allowed, netmasks and scopes are not."""
    _, _, length = value.partition("/")
    if not (length.isascii() and length.isdigit()) or "%" in value:
        raise UapiError(errno.EINVAL, f"allowed_ip={value!r}: an address, a slash and a prefix length, please")
    return ip_network(value, strict=False)
