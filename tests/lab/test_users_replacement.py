"""A gateway is replaced while fifty devices talk: all of them go on, and the LAN is told whose the addresses are.

    [clients] 172.31.255.253, 198.18.0.0/15 ---- 172.31.255.254 [gateway] 10.1.0.2 ---- [desk] 10.1.0.7, an echo

The guest is killed and another one started in its place with the same layers, as systemd does; its hostd goes on.
"""

from __future__ import annotations

import contextlib
import json
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest

from tests.lab import programs
from tests.lab.interop import Namespace, stop, wait_for
from tests.lab.many_devices import DESK, ECHO, Clients, address, all_of, compiled, own_sources
from tests.lab.test_users import cable, give
from tests.lab.test_users_live import PROGRAM, _hostd
from wgnode.image.layers import config_layer, secrets_layer
from wgnode.nodeconfig import NodeConfig
from wgnode.responder.packets import Kind, heard

pytestmark = pytest.mark.lab
COUNT = 50
BACK = 20.0
"""Seconds after the new node is up: who hears nothing begins anew after KEEPALIVE_TIMEOUT + REKEY_TIMEOUT, 15 s."""
ECHOING = f"""
import socket
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
    one.bind(("{DESK}", {ECHO}))
    while True:
        data, source = one.recvfrom(100)
        one.sendto(data, source)
"""


@dataclass
class Site:
    folder: Path
    config: NodeConfig
    spaces: dict[str, Namespace]
    plane: str

    def start(self) -> subprocess.Popen[bytes]:
        log = self.folder / "gateway.log"
        return self.spaces["gateway"].spawn(sys.executable, PROGRAM, self.folder, log=log, WGNODE_DATAPLANE=self.plane)

    def ups(self) -> int:
        log = self.folder / "gateway.log"
        return log.read_text().count("berlin up") if log.exists() else 0

    def health(self) -> dict[str, Any]:
        argv = [
            sys.executable,
            "-I",
            self.folder / "hostd.pyz",
            "health",
            "--json",
            "--socket",
            self.folder / "hostd.sock",
        ]
        done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
        return dict(json.loads(done.stdout or "{}"))


@contextlib.contextmanager
def site(folder: Path, plane: str) -> Iterator[Site]:
    config, keys = compiled(COUNT)
    (folder / "secrets.cpio").write_bytes(secrets_layer(keys))
    (folder / "config.cpio").write_bytes(config_layer(config))
    mark, made = secrets.token_hex(3), Site(folder, config, {}, plane)
    hostd = None
    try:
        for role in ("clients", "gateway", "desk"):
            made.spaces[role] = Namespace(f"wgr-{mark}-{role}")
        cable(made.spaces["gateway"], "g0", made.spaces["clients"], "uplink", config.transit.mac)
        cable(made.spaces["gateway"], "g1", made.spaces["desk"], "eth0", config.lan.mac)
        give(made.spaces["clients"], "uplink", "172.31.255.253/30")
        give(made.spaces["desk"], "eth0", f"{DESK}/16")
        own_sources(made.spaces["clients"])
        made.spaces["gateway"].run("sysctl", "-qw", "net.ipv4.ip_forward=1")
        made.spaces["desk"].spawn(sys.executable, "-c", ECHOING)
        hostd = _hostd(folder)
        yield made
    finally:
        if hostd is not None:
            stop(hostd)
        for space in made.spaces.values():
            space.close()


def announced(wire: socket.socket) -> set[str]:
    """Addresses that were announced since this was asked last, as by who has them."""
    found = set()
    with contextlib.suppress(BlockingIOError):
        while True:
            found |= {str(one.address) for one in heard(wire.recv(2048)) if one.kind is Kind.CLAIMED and one.to_all}
    return found


@pytest.mark.sampled(1)
@pytest.mark.parametrize("plane", programs.PLANES)
def test_fifty_devices_go_on_when_their_gateway_is_replaced(plane: str, tmp_path: Path) -> None:
    programs.ours(plane)  # skips where it is not built
    with site(tmp_path, plane) as it, contextlib.ExitStack() as ending:
        running = it.start()
        wait_for(lambda: it.health().get("live"), "the gateway does not start", 60)
        clients = Clients(it.spaces["clients"], COUNT, it.config.public_keys[0])
        ending.callback(clients.close)
        wait_for(lambda: all_of(clients.heard, COUNT, 0.0), f"only {len(clients.heard)} talk", 60)
        wait_for(lambda: it.health()["peers"], "hostd has not heard of them")
        wire = it.spaces["desk"].call(lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0806)))
        ending.callback(wire.close)
        wire.bind(("eth0", 0x0806))
        wire.setblocking(False)

        before = it.ups()
        running.kill()
        running.wait()
        gone = time.monotonic()
        it.start()
        wait_for(lambda: it.ups() > before, "the new one does not start", 60)
        up = time.monotonic()
        told = announced(wire)
        wait_for(lambda: all_of(clients.heard, COUNT, gone), "some do not come back", 60)
        back = time.monotonic()
        print(f"{plane}: up after {up - gone:.1f} s, all {COUNT} devices back {back - up:.1f} s later")
        assert back - up < BACK

        wanted = {address(number) for number in range(COUNT)}

        def all_announced() -> bool:
            told.update(announced(wire))
            return wanted <= told

        wait_for(all_announced, "some addresses are not announced again", 30)
        assert {one for one in told if ip_address(one) >= ip_address(address(0))} == wanted
