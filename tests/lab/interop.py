"""Two nodes of any make in two network namespaces that a cable joins, for the interoperability tests.

    [wgi-XXXXXX-a] veth0 192.0.2.1 2001:db8::1  ----------  veth0 192.0.2.2 2001:db8::2 [wgi-XXXXXX-b]
      node, 10.9.0.1 fd09::1                                       node, 10.9.0.2 fd09::2

Interface names are unique on the machine, because UAPI sockets are named after them.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import secrets
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from tests.lab.programs import OURS, Program

CLONE_NEWNET = 0x40000000
SOCKETS = Path("/var/run/wireguard")
PATIENCE = 10.0
"""Seconds that anything local may take on a busy machine."""
OUTER_PREFIX = {4: ("192.0.2.", 24), 6: ("2001:db8::", 64)}

T = TypeVar("T")


def run(*command: str | Path, check: bool = True, text: str | None = None, timeout: float = 60) -> str:
    """Standard output. The error of a failed command shows what it wrote."""
    done = subprocess.run(
        [str(word) for word in command], input=text, capture_output=True, text=True, timeout=timeout, check=False
    )
    if check and done.returncode:
        raise AssertionError(f"{command} exited with {done.returncode}:\n{done.stdout}{done.stderr}")
    return done.stdout


def wait_for(condition: Callable[[], T], what: str, patience: float = PATIENCE) -> T:
    """The first true value of `condition`."""
    deadline = time.monotonic() + patience
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < deadline, f"waited {patience} s in vain: {what}"
        time.sleep(0.05)


@dataclass
class Namespace:
    """A network namespace and the processes that we started in it."""

    name: str
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def __post_init__(self) -> None:
        run("ip", "netns", "add", self.name)
        self.run("ip", "link", "set", "lo", "up")

    def run(self, *command: str | Path, check: bool = True, text: str | None = None, timeout: float = 60) -> str:
        return run("ip", "netns", "exec", self.name, *command, check=check, text=text, timeout=timeout)

    def spawn(self, *command: str | Path, log: Path | None = None, **environment: str) -> subprocess.Popen[bytes]:
        words = ["ip", "netns", "exec", self.name, *(str(word) for word in command)]
        with open(log or os.devnull, "ab") as output:
            process = subprocess.Popen(words, stdout=output, stderr=output, env={**os.environ, **environment})
        self.processes.append(process)
        return process

    def call(self, function: Callable[[], T]) -> T:
        """Run a function of this process in a thread whose sockets are this namespace's."""
        results: list[T] = []
        errors: list[BaseException] = []

        def enter() -> None:
            try:
                with open(f"/run/netns/{self.name}") as handle:
                    if ctypes.CDLL(None, use_errno=True).setns(handle.fileno(), CLONE_NEWNET):
                        raise OSError(ctypes.get_errno(), "setns")
                results.append(function())
            except BaseException as error:
                errors.append(error)

        thread = threading.Thread(target=enter)
        thread.start()
        thread.join()
        if errors:
            raise errors[0]
        return results[0]

    def close(self) -> None:
        for process in self.processes:
            stop(process)
        for pid in run("ip", "netns", "pids", self.name, check=False).split():  # daemons
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGKILL)
        run("ip", "netns", "del", self.name, check=False)


def stop(process: subprocess.Popen[bytes], number: int = signal.SIGTERM) -> int:
    """End a process, by force if it won't go. Its exit status."""
    if process.poll() is None:
        process.send_signal(number)
    try:
        return process.wait(5)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait()


@dataclass
class Node:
    """A WireGuard node of any make. `number` is 1 or 2 and ends its addresses."""

    namespace: Namespace
    interface: str
    number: int
    program: Program
    directory: Path
    process: subprocess.Popen[bytes] = field(init=False)

    def __post_init__(self) -> None:
        self.private_key = run("wg", "genkey").strip()
        self.public_key = run("wg", "pubkey", text=self.private_key).strip()
        self.start()

    @property
    def name(self) -> str:
        """Of what runs."""
        return self.program.name

    @property
    def log(self) -> Path:
        return self.directory / f"{self.interface}.log"

    def start(self) -> None:
        """The process, its addresses, its private key and port 51820; no peer yet."""
        self.process = self.namespace.spawn(
            *self.program.command(self.interface), log=self.log, **self.program.environment
        )
        wait_for(self._answers, f"{self.interface} does not serve its socket; see {self.log}", 9 * PATIENCE)
        self.set("listen-port", "51820", "private-key", self.file("private", self.private_key))
        for address in (f"10.9.0.{self.number}/24", f"fd09::{self.number}/64"):
            options = ("nodad",) if ":" in address else ()
            self.namespace.run("ip", "address", "add", address, "dev", self.interface, *options)
        self.namespace.run("ip", "link", "set", self.interface, "up")

    def _answers(self) -> bool:
        assert self.process.poll() is None, self.log.read_text()
        return (SOCKETS / f"{self.interface}.sock").exists() and bool(self.wg("show", self.interface, check=False))

    def stop(self, number: int = signal.SIGTERM) -> int:
        status = stop(self.process, number)
        (SOCKETS / f"{self.interface}.sock").unlink(missing_ok=True)
        return status

    def file(self, name: str, content: str) -> str:
        """A private file for `wg`."""
        path = self.directory / f"{self.interface}.{name}"
        path.touch(0o600)
        path.write_text(content + "\n")
        return str(path)

    def wg(self, *words: str, check: bool = True) -> str:
        return self.namespace.run("wg", *words, check=check)

    def set(self, *words: str) -> None:
        self.wg("set", self.interface, *words)

    def show(self, what: str) -> str:
        """The only peer's value of `wg show INTERFACE what`."""
        return self.wg("show", self.interface, what).split("\t", 1)[-1].strip()

    def handshake(self) -> int:
        """When the last one was, seconds since 1970; 0 for never."""
        return int(self.show("latest-handshakes") or 0)

    def add_peer(self, other: Node, *, outer: int | None = None, psk: str | None = None, **settings: str) -> None:
        """`outer` is the address family of the endpoint to set, None for none."""
        words = ["peer", other.public_key, "allowed-ips", f"10.9.0.{other.number}/32,fd09::{other.number}/128"]
        if outer is not None:
            words += ["endpoint", other.endpoint(outer)]
        if psk is not None:
            words += ["preshared-key", self.file("psk", psk)]
        for name, value in settings.items():
            words += [name.replace("_", "-"), value]
        self.set(*words)

    def endpoint(self, outer: int, port: int = 51820) -> str:
        address = f"{OUTER_PREFIX[outer][0]}{self.number}"
        return f"[{address}]:{port}" if outer == 6 else f"{address}:{port}"

    def inner(self, family: int) -> str:
        """Our address inside the tunnel."""
        return f"10.9.0.{self.number}" if family == 4 else f"fd09::{self.number}"

    def ping(self, other: Node, family: int = 4, *options: str) -> bool:
        """Whether one of two pings through the tunnel is answered."""
        words = ["ping", "-n", "-c", "2", "-i", "0.2", "-W", "2", *options, other.inner(family)]
        return "bytes from" in self.namespace.run(*words, check=False)

    def pings(self, other: Node, family: int, count: int, interval: float, size: int = 56) -> int:
        """How many of `count` pings through the tunnel, one every `interval` seconds, are answered."""
        words = ["ping", "-n", "-q", "-c", str(count), "-i", str(interval), "-W", "2", "-s", str(size)]
        answer = self.namespace.run(*words, other.inner(family), check=False, timeout=60 + count * interval)
        return int(answer.split(" received")[0].rpartition(" ")[2])

    def change_outer(self, old: str, new: str) -> None:
        """Replace an IPv4 address of the cable."""
        self.namespace.run("ip", "address", "del", f"{old}/24", "dev", "veth0")
        self.namespace.run("ip", "address", "add", f"{new}/24", "dev", "veth0")

    def send_datagrams(self, other: Node, count: int, interval: float) -> None:
        """Numbered ones, to port 5002 inside the tunnel."""
        words = (sys.executable, "-c", SEND_DATAGRAMS, other.inner(4), str(count), str(interval))
        self.namespace.run(*words, timeout=60 + count * interval)

    def send_bytes(self, other: Node, family: int, mebibytes: int) -> str:
        """ "same" when the digest that comes back is that of what was sent."""
        words = (sys.executable, "-c", SEND, other.inner(family), "5001", str(mebibytes))
        return self.namespace.run(*words).strip()

    def receive_bytes(self, family: int) -> Iterator[str]:
        """Listens, up to the first `yield`; then answers with the digest of what came."""
        ready = self.directory / f"ready-{secrets.token_hex(4)}"
        receiver = self.namespace.spawn(sys.executable, "-c", RECEIVE, self.inner(family), "5001", ready, log=self.log)
        wait_for(ready.exists, "the receiver does not listen")
        yield ""
        receiver.wait(10)
        yield ""


@dataclass
class Bench:
    """The cable, and a maker of nodes at its two ends."""

    directory: Path
    name: str = field(default_factory=lambda: secrets.token_hex(3))
    nodes: list[Node] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.namespaces: list[Namespace] = []
        self.spaces = [self.namespace(end) for end in "ab"]
        run("ip", "link", "add", "veth0", "netns", self.spaces[0].name, "type", "veth",
            "peer", "name", "veth0", "netns", self.spaces[1].name)  # fmt: skip
        for number, space in enumerate(self.spaces, 1):
            for prefix, length in OUTER_PREFIX.values():
                options = ("nodad",) if ":" in prefix else ()
                space.run("ip", "address", "add", f"{prefix}{number}/{length}", "dev", "veth0", *options)
            space.run("ip", "link", "set", "veth0", "up")

    def namespace(self, end: str) -> Namespace:
        """One more, closed with the others."""
        made = Namespace(f"wgi-{self.name}-{end}")
        self.namespaces.append(made)
        return made

    def node(self, number: int, program: Program = OURS) -> Node:
        space = self.spaces[number - 1]
        made = Node(space, f"wi{self.name}{'ab'[number - 1]}", number, program, self.directory)
        self.nodes.append(made)
        return made

    def close(self) -> None:
        for node in self.nodes:
            node.stop()
        for space in self.namespaces:
            space.close()
        for end in "ab":  # of nodes that failed to start
            (SOCKETS / f"wi{self.name}{end}.sock").unlink(missing_ok=True)


@contextlib.contextmanager
def bench(directory: Path) -> Iterator[Bench]:
    """Cleans up whatever happens, even half-way through its making."""
    made = Bench.__new__(Bench)
    made.namespaces = []
    try:
        made.__init__(directory)  # type: ignore[misc]
        yield made
    finally:
        made.close()


SEND = """
import hashlib, os, socket, sys
data = os.urandom(1 << 20) * int(sys.argv[3])
with socket.create_connection((sys.argv[1], int(sys.argv[2])), 20) as s:
    s.sendall(data); s.shutdown(socket.SHUT_WR)
    answer = s.recv(64)
print("same" if answer == hashlib.sha256(data).hexdigest().encode() else "different")
"""
RECEIVE = """
import hashlib, socket, sys
listener = socket.create_server((sys.argv[1], int(sys.argv[2])), family=socket.AF_INET6 if ":" in sys.argv[1] else 2)
open(sys.argv[3], "w").close()
s, _ = listener.accept()
digest = hashlib.sha256()
while piece := s.recv(1 << 16):
    digest.update(piece)
s.sendall(digest.hexdigest().encode())
"""


SEND_DATAGRAMS = """
import socket, struct, sys, time
address, count, interval = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
start = time.monotonic()
for number in range(count):
    time.sleep(max(0.0, start + number * interval - time.monotonic()))
    s.sendto(struct.pack(">I", number), (address, 5002))
"""


def transfer(source: Node, target: Node, family: int = 4, mebibytes: int = 8) -> None:
    """A TCP transfer through the tunnel arrives unchanged. Raises AssertionError."""
    receiving = target.receive_bytes(family)
    next(receiving)
    answer = source.send_bytes(target, family, mebibytes)
    next(receiving)
    assert answer == "same"
