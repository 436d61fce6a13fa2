"""A fake host that runs a gateway: its units, and a node that boots from the layers it finds on the host's disk."""

from __future__ import annotations

import hashlib
import json
import re
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from pulumi_wgnode.hosts import units as services
from pulumi_wgnode.hosts.host import HostError, Result
from pulumi_wgnode.operations.gating import asking
from pulumi_wgnode.resources import gateway_change, gateway_state
from tests.unit.pulumi_wgnode.fake_host import FakeHost, failed, said
from wgnode.image import layers, paths
from wgnode.nodeconfig import encode_key, expected_live_digest

CONSOLE = "[    0.1] Linux\nNo module named wgnode\n"


class GatewayHost(FakeHost):
    """Also tells `restarted`, and takes `fails`: words of a command, or a path, at which the host gives an error."""

    def __init__(self, name: str = "root@198.51.100.2") -> None:
        super().__init__(name)
        self.states: dict[str, list[str]] = {}
        self.node: dict[str, Any] = {}
        self.detached: set[str] = set()  # taps that no guest holds
        self.boots_after = 0  # questions that a new node leaves unanswered
        self.boots = True
        self.refuses: str | None = None  # why the guest says that it can't be a node
        self.live_answer: dict[str, Any] | None = None  # instead of taking a live change
        self.broken_memory: str | None = None  # a guest with so much of it ("-m 512") does not come up
        self.restarts_by_itself = 0
        self.fails: str | None = None
        self.loses_connection = False  # with that
        self.waited: Callable[[float], None] = lambda seconds: None
        self._asked = 0

    @property
    def restarted(self) -> list[str]:
        return [event.removeprefix("restart ") for event in self.events if event.startswith("restart ")]

    @property
    def changed_live(self) -> int:
        return self.events.count("change live")

    # Host

    def run(self, argv: Sequence[str], *, timeout: float = 60, **options: Any) -> Result:
        self._fail_at(" ".join(argv))
        return super().run(argv, timeout=timeout, **options)

    def write_file(self, path: str, data: bytes, **options: Any) -> bool:
        self._fail_at(path)
        self._require_parent(path)
        return super().write_file(path, data, **options)

    def upload(self, path: str, source: str, **_: Any) -> None:
        self._fail_at(path)
        self._require_parent(path)
        self.files[path] = (Path(source).read_bytes(), 0o644, "root")
        self.events.append(f"upload {path}")

    def remove(self, *paths: str) -> None:
        for path in paths:
            if not any(other.startswith(f"{path}/") for other in self.files):  # rmdir --ignore-fail-on-non-empty
                super().remove(path)

    def _fail_at(self, what: str) -> None:
        if self.fails and self.fails in what:
            self.reachable = not self.loses_connection
            raise HostError(f"host {self.name}: `{what}` exited with 1: broken")

    def _require_parent(self, path: str) -> None:
        parent = path.rsplit("/", 1)[0]
        if parent.startswith(paths.STATE) and parent not in self.directories:
            raise HostError(f"host {self.name}: cannot write {path}: no such directory")

    # Commands

    def _answer(self, argv: list[str], input: bytes) -> Result:
        return self._hostd(argv, input) if argv[0] == "/usr/bin/python3" else super()._answer(argv, input)

    def _systemctl(self, argv: list[str], input: bytes) -> Result:
        if "--property=NRestarts" in argv:
            return said(f"{self.restarts_by_itself}\n")
        words = [word for word in argv[1:] if not word.startswith("-")]
        if words[0] == "show":
            return said("\n".join(self._shown(unit) for unit in words[1:]))
        if words[0] == "daemon-reload":
            self.events.append("daemon-reload")
            return said()
        if missing := [unit for unit in words[1:] if f"{services.DIRECTORY}/{unit}" not in self.files]:
            return failed(f"Unit {missing[0]} does not exist")
        for unit in words[1:]:
            self._change(words[0], unit)
        return said()

    def _change(self, verb: str, unit: str) -> None:
        state = self.states.setdefault(unit, ["inactive", "disabled"])
        if verb == "enable":
            state[1] = "enabled"
        elif verb == "disable":
            self.states[unit] = ["inactive", "disabled"]
        elif verb == "stop":
            state[0] = "inactive"
        elif verb == "restart":
            self.events.append(f"restart {unit}")
            state[0] = "active"
            if unit == paths.PLAIN.gateway_unit:
                self.detached.clear()
                self._boot()

    def _shown(self, unit: str) -> str:
        """A unit that runs stays loaded without its file."""
        active, enabled = self.states.get(unit, ["inactive", "disabled"])
        if f"{services.DIRECTORY}/{unit}" not in self.files and active == "inactive":
            return f"Id={unit}\nLoadState=not-found\nActiveState=inactive\nUnitFileState=\n"
        return f"Id={unit}\nLoadState=loaded\nActiveState={active}\nUnitFileState={enabled}\n"

    def _boot(self) -> None:
        self.files[paths.PLAIN.initrd] = (b"".join(self._layers()), 0o400, paths.PLAIN.machine_user)
        self.node = self._node()
        self.node["loaded"] = self.node["applied"]
        self._asked = 0

    def _layers(self) -> tuple[bytes, bytes]:
        return self.files[paths.PLAIN.config_layer][0], self.files[paths.PLAIN.secrets_layer][0]

    def _node(self) -> dict[str, Any]:
        """What a node with the layers on the disk reports."""
        config, secrets = layers.config_of(self._layers()[0]), layers.secrets_of(self._layers()[1])
        peers = [
            {
                "name": peer.name,
                "public_key": encode_key(peer.public_keys[0]),
                "public_keys": [encode_key(key) for key in peer.public_keys],
                "preshared_keys": [
                    hashlib.sha256(key).hexdigest() for key in secrets.preshared_keys.get(peer.public_keys[0], ())
                ],
                "allowed_ips": list(peer.allowed_ips),
                "persistent_keepalive": peer.persistent_keepalive,
                "endpoint": "203.0.113.2:1",
                "last_handshake": 5.0,
                "rx_bytes": 1,
                "tx_bytes": 2,
            }
            for peer in config.everybody
        ]
        return {
            "applied": config.digest,
            "live": expected_live_digest(config, secrets),
            "public_keys": [encode_key(key) for key in config.public_keys],
            "listen_port": config.listen_port,
            "fwmark": 0,
            "peers": peers,
        }

    def _sh(self, argv: list[str], input: bytes) -> Result:
        if argv[2] == asking._LOOK:
            return said(self._looked())
        if "health --json" in argv[2]:
            return self._health()
        if argv[2] == gateway_change.CONSOLE:
            return said(CONSOLE if argv[4] == paths.PLAIN.gateway_unit else "")
        if argv[2] == gateway_state.READ_TAPS:
            return said("".join(f"{tap}\n" for tap in argv[4:] if tap not in self.detached))
        if argv[2] == gateway_change._RESTART:
            self.events.append("daemon-reload")
            self._change("restart", argv[4])
            return said()
        if argv[2] == gateway_change._SWITCH:
            return self._switch(argv[4], argv[5])
        if argv[2] == gateway_change._KEEP:
            for path in argv[5:]:
                self.files[f"{argv[4]}/{path.rsplit('/', 1)[1]}"] = self.files[path]
            return said()
        if argv[2] == gateway_change._RESTORE:
            for path in (paths.PLAIN.config_layer, paths.PLAIN.secrets_layer):
                self.files[path] = self.files[f"{argv[4]}/{path.rsplit('/', 1)[1]}"]
            self.files["/unit"] = self.files[f"{argv[4]}/{argv[5]}"]
            return self._switch(argv[5], "/unit")
        return super()._sh(argv, input)

    def _looked(self) -> str:
        """What a gate is told: a gateway that has just met all its peers, and whose probes come back."""
        now, answer = time.time(), json.loads(self._health().stdout or "{}")
        path = {"size": 1440, "evidence": "probe", "since": now, "round_trip": 0.02}
        counts = {"small_sent": 4, "small_answered": 4}
        met = {"last_handshake": now, "path_mtu": path | counts}
        answer |= {"time": now, "uptime": 5.0, "peers": [peer | met for peer in answer.get("peers", ())]}
        unit = self.files.get(f"{services.DIRECTORY}/{paths.PLAIN.gateway_unit}", (b"",))[0].decode()
        image = re.search("images/[0-9a-f]{64}", unit)
        clock = f"{now} 100.0"
        lines = [
            clock,
            json.dumps(answer),
            clock,
            "90000000",
            image[0] if image else "",
            "",
            '{"probing": true}',
            clock,
        ]
        return "\n".join(lines) + "\n"

    def _switch(self, unit: str, new: str) -> Result:
        self.files[f"{services.DIRECTORY}/{unit}"] = self.files.pop(new)
        self.events.append("daemon-reload")
        self._change("restart", unit)
        return said()

    def _test(self, argv: list[str], input: bytes) -> Result:
        return said() if any(self._below(argv[2])) else failed("")

    def _hostd(self, argv: list[str], input: bytes) -> Result:
        if argv[2] not in self.files:
            return failed("can't open file")
        if argv[3] == "wait":
            self.waited(float(argv[4].partition("=")[2]))
            return self._health()
        if self._health().code != 0 or self.live_answer:
            return Result(1, json.dumps(self.live_answer or {"restart": "the guest is stopped"}), "")
        self.events.append("change live")
        self.node |= self._node()
        return self._health()

    def _health(self) -> Result:
        if not any(path.endswith(".pyz") for path in self._below(paths.PLAIN.hostd_directory)):
            return failed("can't find '__main__' module")
        if self.states.get(paths.PLAIN.hostd_unit, [""])[0] != "active":
            return Result(3, json.dumps({"status": "unreachable", "error": "no socket"}), "")
        self._asked += 1
        unit = self.files.get(f"{services.DIRECTORY}/{paths.PLAIN.gateway_unit}", (b"",))[0].decode()
        broken = self.broken_memory is not None and self.broken_memory in unit
        running = self.boots and not broken and self._asked > self.boots_after
        if self.refuses and running:
            return Result(1, json.dumps({"status": "failed", "error": self.refuses, "loaded": None}), "")
        if not running or self.states.get(paths.PLAIN.gateway_unit, [""])[0] != "active":
            return Result(1, json.dumps({"status": "booting", "error": "the guest is booting"}), "")
        return said(json.dumps({"status": "running", "error": None, **self.node}))

    def _find(self, argv: list[str], input: bytes) -> Result:
        directory, kept = argv[1], argv[argv.index("-path") + 1]
        for path in list(self._below(directory)):
            if path.endswith(".pyz") and path != kept:
                self.remove(path)
        return said()

    def _rm(self, argv: list[str], input: bytes) -> Result:
        for directory in argv[2:]:
            for path in [*self._below(directory), directory]:
                self.files.pop(path, None)
                self.directories.pop(path, None)
        return said()

    def _below(self, directory: str) -> Iterator[str]:
        return iter([path for path in self.files if path.startswith(f"{directory}/")])


class Clock:
    """In place of the module `time`: sleeping costs nothing."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds
