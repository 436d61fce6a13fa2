"""A guest's last healthy answer, told on by its host when that guest is gone: as it was, or as if it went on.

Stands in hostd's place at its socket; what is no question of health goes to hostd itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from lab.api import Lab
from wgnode.image.paths import PLAIN

PATIENCE = 600.0
"""Seconds until the guest is there whose answer is kept."""
UNIT = "replays-hostd"
_REPLAYS = r"""
import json, os, socket, sys, time

path, ages = sys.argv[1], sys.argv[2] == "goes on"

def ask(path, line):
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(path)
        connection.sendall(line)
        with connection.makefile("rb") as stream:
            return stream.readline()

while (kept := json.loads(ask(path, b'{"type": "health"}\n')))["status"] != "running":
    time.sleep(0.5)
began = time.time()
os.rename(path, path + ".real")
server = socket.socket(socket.AF_UNIX)
server.bind(path)
server.listen(16)
open(path + ".ready", "w").close()

def later(value, by):
    return value if value is None else value + by

def health():
    by = time.time() - began if ages else 0.0
    peers = [{**one, "last_handshake": later(one.get("last_handshake"), by)} for one in kept.get("peers", [])]
    for one in peers:
        if one.get("path_mtu"):
            one["path_mtu"] = {**one["path_mtu"], "since": later(one["path_mtu"].get("since"), by)}
    return {**kept, "time": kept["time"] + by, "uptime": kept["uptime"] + by, "peers": peers}

while True:
    connection, _ = server.accept()
    with connection, connection.makefile("rb") as stream:
        line = stream.readline()
        is_health = json.loads(line or b"{}").get("type") == "health"
        try:
            connection.sendall(json.dumps(health()).encode() + b"\n" if is_health else ask(path + ".real", line))
        except OSError:
            pass
"""


@contextmanager
def replayed(lab: Lab, site: str, how: str = "goes on") -> Iterator[None]:
    """While the block runs. `how`: "goes on" (a guest that still lives somewhere), or "as it was" (an answer kept)."""
    socket = PLAIN.hostd_socket
    lab.host_ssh(site, "cat > /run/replays.py", input=_REPLAYS)
    start = f"systemd-run --quiet --collect --unit={UNIT} /usr/bin/python3 /run/replays.py {socket} '{how}'"
    lab.host_ssh(site, f"{start}; until [ -e {socket}.ready ]; do sleep 0.1; done", timeout=PATIENCE)
    try:
        yield
    finally:
        lab.host_ssh(
            site,
            f"systemctl stop {UNIT}; rm -f {socket}.ready /run/replays.py; mv -fT {socket}.real {socket}",
        )
