"""What the scenarios are built of: namespaces, cables, nodes of the program under test, and traffic.

Everything has names of its own, so that any number of worlds can be had at once, and goes away with its world.
"""

from __future__ import annotations

import ast
import contextlib
import hashlib
import secrets
import signal
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.lab.interop import PATIENCE, SOCKETS, Namespace, run, stop, wait_for
from tests.lab.programs import Program

PORT = 51820
ETH_P_ALL = 3
TRANSPORT = 4
"""First byte of a transport message (wp 5.4.6)."""
START = 90.0
"""Seconds that a program may take to start on a busy machine; it needs one."""


def public(private: str) -> str:
    return run("wg", "pubkey", text=private).strip()


@dataclass
class Device:
    """A node with its interface `name`, in a namespace."""

    space: Namespace
    name: str
    process: subprocess.Popen[bytes]
    private_key: str
    directory: Path
    public_key: str = field(init=False)

    def __post_init__(self) -> None:
        self.public_key = public(self.private_key)

    def wg(self, *words: str, check: bool = True) -> str:
        return self.space.run("wg", *words, check=check)

    def set(self, *words: str) -> None:
        self.wg("set", self.name, *words)

    def file(self, content: str) -> str:
        """A private file for `wg`."""
        path = self.directory / f"{self.name}.{secrets.token_hex(4)}"
        path.touch(0o600)
        path.write_text(content + "\n")
        return str(path)

    def peer(self, other: Device, allowed: str, endpoint: str | None = None, *more: str) -> None:
        words = ["peer", other.public_key, "allowed-ips", allowed]
        self.set(*words, *(["endpoint", endpoint] if endpoint else []), *more)

    def show(self, what: str) -> dict[str, str]:
        """`wg show NAME what`, by peer."""
        lines = self.wg("show", self.name, what).splitlines()
        return dict(line.split("\t", 1) for line in lines if line)

    def transfer(self, peer: Device) -> tuple[int, int]:
        """Bytes received and sent."""
        received, sent = self.show("transfer")[peer.public_key].split("\t")
        return int(received), int(sent)

    def handshake(self, peer: Device) -> int:
        return int(self.show("latest-handshakes")[peer.public_key])

    def dropped(self) -> dict[str, int]:
        """What our node dropped, by kind; it tells that at its end, so this ends it."""
        self.process.terminate()
        self.process.wait(PATIENCE)
        log = (self.directory / f"{self.name}.log").read_text()
        return ast.literal_eval(log.rpartition(" dropped: ")[2].partition("\n")[0])

    def endpoint(self, peer: Device) -> str:
        return self.show("endpoints")[peer.public_key]

    def ip(self, *words: str) -> str:
        return self.space.run("ip", *words)


class World:
    """`program` is what runs as a node in it."""

    def __init__(self, directory: Path, program: Program) -> None:
        self.directory, self.program = directory, program
        self.name = secrets.token_hex(3)
        self.spaces: list[Namespace] = []
        self.devices: list[Device] = []
        self._cables = 0

    def close(self) -> None:
        for device in self.devices:
            stop(device.process, signal.SIGKILL)
        for space in self.spaces:
            space.close()
        for device in self.devices:
            (SOCKETS / f"{device.name}.sock").unlink(missing_ok=True)

    def space(self, name: str, *, forwarding: bool = False) -> Namespace:
        made = Namespace(f"wgs-{self.name}-{name}")
        self.spaces.append(made)
        if forwarding:
            made.run("sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1")
        return made

    def cable(self, one: Namespace, two: Namespace, ends: Sequence[str], others: Sequence[str], mtu: int = 1500) -> str:
        """A cable named the same at both ends, with these addresses ("192.0.2.1/24"). Its name."""
        self._cables += 1
        name = f"eth{self._cables}"
        run("ip", "link", "add", name, "mtu", str(mtu), "netns", one.name, "type", "veth",
            "peer", "name", name, "mtu", str(mtu), "netns", two.name)  # fmt: skip
        for space, addresses in ((one, ends), (two, others)):
            add_addresses(space, name, addresses)
        return name

    def device(self, space: Namespace, addresses: Sequence[str], *, mtu: int | None = 1420, port: int = PORT) -> Device:
        (made,) = self.all_devices([(space, addresses)], mtu=mtu, port=port)
        return made

    def all_devices(
        self, wanted: Sequence[tuple[Namespace, Sequence[str]]], *, mtu: int | None = 1420, port: int = PORT
    ) -> list[Device]:
        """Started side by side; all with a key and a port, up, and without peers. `mtu` None: nobody sets theirs."""
        made = [self._spawn(space) for space, _ in wanted]
        for device, (_, addresses) in zip(made, wanted, strict=True):
            wait_for(lambda device=device: self._answers(device), f"{device.name} does not start", START)
            device.set("private-key", device.file(device.private_key), "listen-port", str(port))
            if mtu is not None:
                device.ip("link", "set", device.name, "mtu", str(mtu))
            add_addresses(device.space, device.name, addresses)
        return made

    def _spawn(self, space: Namespace) -> Device:
        name = f"w{self.name}{len(self.devices)}"
        log = self.directory / f"{name}.log"
        process = space.spawn(*self.program.command(name), log=log, LOG_LEVEL="verbose")
        device = Device(space, name, process, run("wg", "genkey").strip(), self.directory)
        self.devices.append(device)
        return device

    def _answers(self, device: Device) -> bool:
        assert device.process.poll() is None, (self.directory / f"{device.name}.log").read_text()
        return (SOCKETS / f"{device.name}.sock").exists() and bool(device.wg("show", device.name, check=False))


def unasked(one: Device, two: Device) -> None:
    """For tests of exact bytes: each has another address besides, so nobody says which one to ask how long packets may
    be, and nothing is probed."""
    for each, other, own in ((one, two, "2"), (two, one, "1")):
        allowed = ",".join(f"10.9.0.{host}/32,fd09::{host}/128" for host in (own, "99"))
        each.set("peer", other.public_key, "allowed-ips", allowed)


def two_uplinks(world: World) -> tuple[Device, Device]:
    """Two that talk by the first of two ways; the route of [a] decides which.

    [a] 198.51.100.1 ---- 198.51.100.2 [b] 203.0.113.2
        192.0.2.1    ---- 192.0.2.2
    """
    a, b = world.space("a"), world.space("b")
    world.cable(a, b, ["198.51.100.1/24"], ["198.51.100.2/24"])
    world.cable(a, b, ["192.0.2.1/24"], ["192.0.2.2/24"])
    b.run("ip", "address", "add", "203.0.113.2/32", "dev", "lo")
    a.run("ip", "route", "add", "203.0.113.2", "via", "198.51.100.2")
    one, two = world.all_devices([(a, ["10.9.0.1/24"]), (b, ["10.9.0.2/24"])])
    two.peer(one, "10.9.0.1/32", "198.51.100.1:51820")
    one.peer(two, "10.9.0.2/32", "203.0.113.2:51820")
    assert ping(a, "10.9.0.2")
    return one, two


def split_on_the_cable(space: Namespace, interface: str) -> None:
    """Datagrams that are sent as one cross the cable one by one, as on a real one, so that rules see their sizes."""
    space.run("ethtool", "-K", interface, "tx-udp-segmentation", "off")


def add_addresses(space: Namespace, interface: str, addresses: Sequence[str]) -> None:
    for address in addresses:
        options = ("nodad",) if ":" in address else ()
        space.run("ip", "address", "add", address, "dev", interface, *options)
    space.run("ip", "link", "set", interface, "up")


def ping(space: Namespace, address: str, *options: str, tries: int = 3) -> bool:
    """Whether one of some pings is answered."""
    words = ["ping", "-n", "-c", str(tries), "-i", "0.2", "-W", "2", *options, address]
    return "bytes from" in space.run(*words, check=False)


def no_ping(space: Namespace, address: str, *options: str) -> bool:
    """Whether none is."""
    return "bytes from" not in space.run(
        "ping", "-n", "-c", "2", "-i", "0.2", "-W", "1", *options, address, check=False
    )


@contextlib.contextmanager
def outer_wire(space: Namespace, interface: str) -> Iterator[Callable[[], set[int]]]:
    """Watch an interface: a function gives the lengths of the transport messages since its last call.

    With IP header and all. A message is on the wire before what it carries arrives, so ask after that.
    """
    kind = socket.SOCK_DGRAM | socket.SOCK_NONBLOCK
    watching = space.call(lambda: socket.socket(socket.AF_PACKET, kind, socket.htons(ETH_P_ALL)))

    def lengths() -> set[int]:
        found = set()
        with contextlib.suppress(BlockingIOError):
            while True:
                data = watching.recv(65535)
                header = 20 if data[0] >> 4 == 4 else 40
                if data[9 if header == 20 else 6] == socket.IPPROTO_UDP and data[header + 8] == TRANSPORT:
                    found.add(len(data))
        return found

    with watching:
        watching.bind((interface, ETH_P_ALL))
        lengths()
        yield lengths


def udp_socket(space: Namespace, address: str, port: int = 0) -> socket.socket:
    """Bound in a namespace; receives give up after PATIENCE."""
    made = space.call(lambda: socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM))
    made.settimeout(PATIENCE)
    made.bind((address, port))
    return made


def udp(one: Namespace, source: str, two: Namespace, target: str, sizes: Sequence[int]) -> None:
    """Datagrams of these sizes arrive unchanged, and so do their echoes. Raises AssertionError, TimeoutError."""
    with udp_socket(one, source) as near, udp_socket(two, target) as far:
        near.connect(far.getsockname()[:2])
        for size in sizes:
            data = secrets.token_bytes(size)
            near.send(data)
            received, back = far.recvfrom(65535)
            assert received == data
            far.sendto(received, back)
            assert near.recv(65535) == data


def tcp(one: Namespace, two: Namespace, target: str, mebibytes: int = 2) -> None:
    """A transfer arrives unchanged. Raises AssertionError, TimeoutError."""
    family = socket.AF_INET6 if ":" in target else socket.AF_INET
    listener = two.call(lambda: socket.create_server((target, 0), family=family))
    data = secrets.token_bytes(1 << 20) * mebibytes
    digests: list[bytes] = []

    def receive() -> None:
        connection, _ = listener.accept()
        digest = hashlib.sha256()
        while piece := connection.recv(1 << 16):
            digest.update(piece)
        digests.append(digest.digest())
        connection.close()

    thread = threading.Thread(target=receive, daemon=True)
    thread.start()
    port = listener.getsockname()[1]
    with one.call(lambda: socket.create_connection((target, port), 3 * PATIENCE)) as sender:
        sender.sendall(data)
    thread.join(6 * PATIENCE)
    listener.close()
    assert digests == [hashlib.sha256(data).digest()]
