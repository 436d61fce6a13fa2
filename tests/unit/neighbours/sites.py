"""A site without a machine: its node as a process (parts/guest.py), and hostd beside it, each of either version."""

from __future__ import annotations

import json
import os
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.unit.neighbours.versions import Version

BUNDLE = "import sys; from wgnode.hostd import bundle; sys.stdout.buffer.write(bundle.build())"
PATIENCE = 60.0
"""Seconds that something may take on a busy machine."""


class Site:
    """`writer` is the version of the plugin that has put hostd and the layers there; `node` that of the image."""

    def __init__(self, folder: Path, writer: Version, node: Version, plane: str) -> None:
        folder.mkdir()
        self.folder, self.writer, self.node, self.plane = folder, writer, node, plane
        self.inside, self._guests_end = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.inside.settimeout(PATIENCE)
        self.companion = folder / "hostd.pyz"
        with self.companion.open("wb") as stream:
            subprocess.run([sys.executable, "-P", "-c", BUNDLE], env=writer.environment, stdout=stream, check=True)

    def bake(self, config: dict[str, Any], secrets: dict[str, Any]) -> dict[str, str]:
        """What the node will report once it has them."""
        asked = {"folder": str(self.folder), "config": config, "secrets": secrets}
        return dict(self.writer.ask("layers", asked))

    def understood(self, by: Version) -> bool:
        """Whether a version can read what is baked."""
        program = "import sys; from wgnode.image import layers; layers.config_of(sys.stdin.buffer.read())"
        argv = [sys.executable, "-P", "-c", program]
        baked = (self.folder / "config.cpio").read_bytes()
        return subprocess.run(argv, input=baked, env=by.environment, capture_output=True, check=False).returncode == 0

    @contextmanager
    def guest(self) -> Iterator[None]:
        descriptor = self._guests_end.fileno()
        argv = self.node.part("guest", self.folder, descriptor, self.plane)
        with self._running(argv, "guest.log", env=self.node.environment, pass_fds=[descriptor]):
            yield

    @contextmanager
    def hostd(self) -> Iterator[None]:
        places = ("--run-directory", self.folder, "--state", self.folder / "state", "--baked", self.folder)
        (self.folder / "state").mkdir(exist_ok=True)
        with self._running([sys.executable, "-I", self.companion, "run", "--name", "gateway", *places], "hostd.log"):
            yield

    @contextmanager
    def _running(self, argv: list[Any], log: str, **options: Any) -> Iterator[None]:
        with (self.folder / log).open("ab") as stream:
            process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=stream, stderr=stream, **options)
        try:
            yield
        finally:
            process.terminate()
            process.wait()

    def ask(self, *words: str) -> dict[str, Any]:
        """What hostd answers to a command of its own."""
        argv = [sys.executable, "-I", self.companion, *words, "--socket", self.folder / "hostd.sock"]
        done = subprocess.run(argv, capture_output=True, text=True, timeout=PATIENCE, check=False)
        assert done.stdout, done.stderr
        answer: dict[str, Any] = json.loads(done.stdout)
        return answer

    def health(self) -> dict[str, Any]:
        return self.ask("health", "--json")

    def wait(self, **wanted: str) -> dict[str, Any]:
        """Health that has all of that."""
        pairs = [f"{name}={value}" for name, value in wanted.items()]
        health = self.ask("wait", *pairs, "--patience", str(PATIENCE / 2))
        assert {name: health.get(name) for name in wanted} == wanted, (health, self.logs())
        return health

    def uapi(self, request: str) -> dict[str, str]:
        """The last of each key in the answer."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(PATIENCE)
            connection.connect(str(self.folder / "uapi.sock"))
            connection.sendall(request.encode())
            said = b""
            while b"errno=" not in said or not said.endswith(b"\n\n"):
                said += connection.recv(65536)
        return dict(line.split("=", 1) for line in said.decode().split())

    def logs(self) -> str:
        return "".join((self.folder / name).read_text(errors="replace") for name in ("guest.log", "hostd.log"))

    def close(self) -> None:
        self.inside.close()
        self._guests_end.close()


def packet(source: str, destination: str, data: bytes) -> bytes:
    """IPv4 with UDP, whose checksum is left out."""
    udp = struct.pack(">HHHH", 1000, 2000, 8 + len(data), 0) + data
    header = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(udp), 1, 0, 64, 17, 0)
    header += socket.inet_aton(source) + socket.inet_aton(destination)
    total = sum(struct.unpack(">10H", header))
    total = (total & 0xFFFF) + (total >> 16)
    return header[:10] + struct.pack(">H", ~(total + (total >> 16)) & 0xFFFF) + header[12:] + udp


def passes(sender: Site, receiver: Site, sent: bytes) -> None:
    sender.inside.send(sent)
    while (came := receiver.inside.recv(65536)) != sent:  # probes of path MTUs pass too
        assert os.path.exists(receiver.folder), came
