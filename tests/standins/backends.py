"""Backends that operators share, started by a test and gone with it: files, PostgreSQL, S3 (moto's server).

Each is a URL and what commands have in their environment beside it. Data is in a folder of its own; PostgreSQL listens
on a socket there, S3 on a free port of this machine. The servers end with who started them, also where that is killed.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tools import locked

BUCKET = "wgnode"
LONGEST = 60  # seconds that a server may take to be ready, on a busy machine
_S3 = """
import sys
from moto.server import ThreadedMotoServer
server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
server.start()
print(server.get_host_and_port()[1], flush=True)
sys.stdin.read()
"""


@dataclass(frozen=True)
class Backend:
    url: str
    variables: Mapping[str, str] = field(default_factory=dict)


@contextmanager
def started(name: str) -> Iterator[Backend]:
    """That of a name in NAMES."""
    with tempfile.TemporaryDirectory(prefix="wgnode-backend-") as folder, _KINDS[name](Path(folder)) as backend:
        yield backend


@contextmanager
def _files(folder: Path) -> Iterator[Backend]:
    yield Backend(f"file://{folder}?metadata=skip")


@contextmanager
def _postgres(folder: Path) -> Iterator[Backend]:
    """Debian's, as nobody where we are root, which it refuses to run as."""
    programs = max(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda found: int(found.parent.name))
    other = ["--reuid=nobody", "--regid=nogroup", "--clear-groups"] if os.geteuid() == 0 else []
    if other:
        shutil.chown(folder, "nobody", "nogroup")
    as_other = ["setpriv", "--pdeathsig=QUIT", *other]
    data, options = folder / "data", ["-A", "trust", "-U", "pulumi", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync"]
    subprocess.run([*as_other, programs / "initdb", "-D", data, *options], cwd="/", check=True, capture_output=True)
    settings = ["-c", "listen_addresses=", "-c", "fsync=off", "-k", str(folder)]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ready:
        ready.bind(str(folder / "ready"))
        (folder / "ready").chmod(0o777)
        ready.settimeout(LONGEST)
        with subprocess.Popen(
            [*as_other, programs / "postgres", "-D", data, *settings],
            cwd="/",
            env={"NOTIFY_SOCKET": str(folder / "ready")},
            stderr=subprocess.DEVNULL,
        ) as server:
            try:
                while b"READY=1" not in ready.recv(1024):
                    pass
                yield Backend(f"postgres://pulumi@/postgres?host={folder}&sslmode=disable")
            finally:
                server.send_signal(signal.SIGQUIT)  # at once: nobody wants the data


@contextmanager
def _s3(folder: Path) -> Iterator[Backend]:
    with subprocess.Popen(
        [sys.executable, "-c", _S3],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(locked.ensure("moto"))},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as server:
        assert server.stdin
        assert server.stdout
        endpoint = f"http://127.0.0.1:{int(server.stdout.readline())}"
        urllib.request.urlopen(urllib.request.Request(f"{endpoint}/{BUCKET}", method="PUT"), timeout=LONGEST).close()
        variables = {"AWS_ACCESS_KEY_ID": "somebody", "AWS_SECRET_ACCESS_KEY": "nothing", "AWS_REGION": "us-east-1"}
        try:
            yield Backend(f"s3://{BUCKET}?endpoint={endpoint}&use_path_style=true&region=us-east-1", variables)
        finally:
            server.stdin.close()


_KINDS: Mapping[str, Callable[[Path], AbstractContextManager[Backend]]] = {
    "file": _files,
    "postgres": _postgres,
    "s3": _s3,
}
NAMES = tuple(_KINDS)
