"""Hosts that are files, in the place of SSH: the real engine, program and plugin deploy onto them.

Each is a fake host of the unit tests, kept as a file by its address in the folder that WGNODE_FAKE_HOSTS names, so that
all processes of a run see the same one. What has no file is away.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import pickle
import re
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from pulumi_wgnode.hosts import undo, units
from pulumi_wgnode.hosts.host import Connection, Host, HostUnreachable, Result
from pulumi_wgnode.hosts.networks import network_change
from pulumi_wgnode.hosts.ssh import pool
from tests.unit.pulumi_wgnode.fake_host import link, said
from tests.unit.pulumi_wgnode.resources.gateway_host import GatewayHost
from wgnode.firewall import nft
from wgnode.firewall.expressions import NamedSet
from wgnode.firewall.rules import Chain
from wgnode.image import paths

FOLDER = "WGNODE_FAKE_HOSTS"
GATE = "WGNODE_FAKE_GATE"
"""METHOD PIPE: see _wait_at_the_gate."""
_ROUTE = re.compile(r"'(\S+) (\S+)'")
_rulesets: dict[str, tuple[Chain, ...]] = {}
_read: dict[Path, tuple[bytes, SiteHost]] = {}
"""What each file had when this process last used it: of thousands of peers, reading it takes longer than a command."""


class SiteHost(GatewayHost):
    """Its links and routes come of its network's script; its gateway's peers have just been heard."""

    def __init__(self, name: str, *lan: str) -> None:
        super().__init__(name)
        self.links["lan0"] = link("lan0", *lan)
        self.booted_at = 0.0

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"rulesets": {}, "waited": None, "_changes": {}}

    def __setstate__(self, state: dict[str, Any]) -> None:
        fresh = SiteHost(state["name"]).__dict__
        self.__dict__.update(fresh | state)
        self.rulesets, self.waited = _rulesets, _no_time
        self._changes = {
            undo._ARM: self._begin,
            network_change._BEGIN: self._begin,
            undo._REARM: self._rearm,
            undo._DISARM: self._disarm,
            undo._SETTLE: self._settle,
        }

    def _change(self, verb: str, unit: str) -> None:
        super()._change(verb, unit)
        if verb == "start":
            self.states[unit][0] = "active"

    def _node(self) -> dict[str, Any]:
        node = super()._node()
        return {**node, "peers": [{**peer, "last_handshake": time.time()} for peer in node["peers"]]}

    def _boot(self) -> None:
        super()._boot()
        self.booted_at = time.time()

    def _sh(self, argv: list[str], input: bytes) -> Result:
        return self._looked_at() if "hostd probe" in argv[2] else super()._sh(argv, input)

    def _looked_at(self) -> Result:
        """For a gate: each peer has just been heard, and its full size has just been proven."""
        now, monotonic = time.time(), time.monotonic()
        path = {"size": 1420, "evidence": "probe", "since": now, "round_trip": 0.02, "small_sent": 8}
        path["small_answered"] = 8
        peers = [{**peer, "last_handshake": now, "path_mtu": path} for peer in self.node["peers"]]
        unit = self.files[f"{units.DIRECTORY}/{paths.PLAIN.gateway_unit}"][0].decode()
        image = re.search(r"images/[0-9a-f]{64}", unit)
        uptime = now - self.booted_at
        health = {"status": "running", **self.node, "peers": peers, "time": now, "uptime": uptime}
        clock, started = f"{now} {monotonic}", int((monotonic - uptime) * 1e6)
        probing = json.dumps({"probing": True})
        lines = [clock, json.dumps(health), clock, started, image and image[0], "", probing, clock]
        return said("".join(f"{line}\n" for line in lines))

    def _systemd_run(self, argv: list[str], input: bytes) -> Any:
        if argv[3] == "--unit=wgnode-network-change":
            self._bring_up(self.files[network_change._new(paths.PLAIN)][0].decode())
        return super()._systemd_run(argv, input)

    def _bring_up(self, script: str) -> None:
        user = {"type": "tap", "group": paths.PLAIN.machine_user}
        transit = next(line for line in script.splitlines() if line.startswith("TRANSIT="))
        addresses = transit.partition("=")[2].strip("'").split()
        self.links["wgnode-wan"] = link("wgnode-wan", *addresses, kind="tun", **user)
        self.links["wgnode-lan"] = link("wgnode-lan", kind="tun", master="wgnode-br0", **user)
        if "wgnode-br0" not in self.links:
            self.links["wgnode-br0"] = {
                **self.links["lan0"],
                "ifname": "wgnode-br0",
                "linkinfo": {"info_kind": "bridge"},
            }
            self.links["lan0"] = link("lan0", master="wgnode-br0")
        self.routes = {to: f"via {via}" for to, via in _ROUTE.findall(script.partition("set_all_routes() {")[2])}


class Kept:
    """A host that is a file: each use of it reads that, and writes it again where it has changed."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def __getattr__(self, name: str) -> Any:
        if callable(getattr(SiteHost, name, None)):
            return self._whole(name)
        with self._open() as host:
            return getattr(host, name)

    def _whole(self, name: str) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            _wait_at_the_gate(name)
            with self._open() as host:
                return getattr(host, name)(*arguments, **options)

        return call

    @contextlib.contextmanager
    def _open(self) -> Iterator[SiteHost]:
        with self._file.open("r+b") as stream:
            fcntl.flock(stream, fcntl.LOCK_EX)
            before, (known, host) = stream.read(), _read.get(self._file, (b"", None))
            if host is None or known != before:
                host = pickle.loads(before)
            try:
                yield host
            finally:
                if (after := pickle.dumps(host)) != before:
                    stream.seek(0)
                    stream.truncate()
                    stream.write(after)
                    stream.flush()
                _read[self._file] = after, host


def _wait_at_the_gate(method: str) -> None:
    """Where who started this process has put one, a pipe, for that method or all (*): until its other end is closed."""
    held, _, gate = os.environ.get(GATE, "").partition(" ")
    if held in ("*", method) and Path(gate).exists():
        Path(gate).read_bytes()


def put(folder: Path, address: str, *lan: str) -> None:
    """Make the host there, with these addresses in its LAN."""
    (folder / address).write_bytes(pickle.dumps(SiteHost(f"root@{address}", *lan)))


def install() -> None:
    """In the place of SSH, in this process. Before a kind is imported."""
    folder = Path(os.environ[FOLDER])
    render = nft.script

    def remember(chains: Iterable[Chain], table: str = "wgnode", sets: Sequence[NamedSet] = ()) -> str:
        text = render(chains := tuple(chains), table, sets)
        _rulesets[text] = chains
        return text

    nft.script = remember
    undo.RETRY = 0
    pool.connect = lambda connection: _host(folder, connection)  # type: ignore[assignment]
    pool.new_connection = lambda connection: contextlib.nullcontext(_host(folder, connection))  # type: ignore[assignment]
    pool.forget = lambda connection: None


def _host(folder: Path, connection: Connection) -> Host:
    if not (file := folder / connection.address).exists():
        raise HostUnreachable(f"host root@{connection.address}: cannot connect to port 22 (timed out)")
    return Kept(file)  # type: ignore[return-value]


def _no_time(seconds: float) -> None:
    """What is waited for has happened."""
