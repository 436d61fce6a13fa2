"""A fake host that runs a gateway: its units, and a node that boots from the layers it finds on the host's disk."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from infra.hosts import units as services
from infra.hosts.host import HostError, Result
from tests.unit.infra.fake_host import FakeHost, failed, said
from wgnode.image import cpio, layers, paths
from wgnode.nodeconfig import NodeSecrets, expected_live_digest

CONSOLE = "[    0.1] Linux\nNo module named wgnode\n"


class GatewayHost(FakeHost):
    """Also tells `restarted`, and takes `fails`: words of a command, or a path, at which the host gives an error."""

    def __init__(self, name: str = "root@198.51.100.2") -> None:
        super().__init__(name)
        self.states: dict[str, list[str]] = {}
        self.node: dict[str, Any] = {}
        self.boots_after = 0  # questions that a new node leaves unanswered
        self.boots = True
        self.refuses: str | None = None  # why the guest says that it can't be a node
        self.restarts_by_itself = 0
        self.fails: str | None = None
        self.loses_connection = False  # with that
        self.patience: list[float] = []  # what questions to hostd were given, in seconds
        self._asked = 0

    @property
    def restarted(self) -> list[str]:
        return [event.removeprefix("restart ") for event in self.events if event.startswith("restart ")]

    # Host

    def run(self, argv: Sequence[str], *, timeout: float = 60, **options: Any) -> Result:
        self._fail_at(" ".join(argv))
        if "health --json" in argv[-1]:
            self.patience.append(timeout)
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

    def remove(self, path: str) -> None:
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
            if unit == paths.GATEWAY_UNIT:
                self._boot()

    def _shown(self, unit: str) -> str:
        """A unit that runs stays loaded without its file."""
        active, enabled = self.states.get(unit, ["inactive", "disabled"])
        if f"{services.DIRECTORY}/{unit}" not in self.files and active == "inactive":
            return f"Id={unit}\nLoadState=not-found\nActiveState=inactive\nUnitFileState=\n"
        return f"Id={unit}\nLoadState=loaded\nActiveState={active}\nUnitFileState={enabled}\n"

    def _boot(self) -> None:
        config_layer, secrets_layer = self.files[paths.CONFIG_LAYER][0], self.files[paths.SECRETS_LAYER][0]
        self.files[paths.INITRD] = (config_layer + secrets_layer, 0o600, paths.USER)
        config = layers.config_of(config_layer)
        secrets = NodeSecrets.from_json(dict(cpio.unpack(secrets_layer))[layers.SECRETS_PATH].data)
        self.node = {"loaded": config.digest, "live": expected_live_digest(config, secrets)}
        self._asked = 0

    def _sh(self, argv: list[str], input: bytes) -> Result:
        return self._health() if "health --json" in argv[2] else super()._sh(argv, input)

    def _health(self) -> Result:
        if not any(path.endswith(".pyz") for path in self._below(paths.HOSTD_DIRECTORY)):
            return failed("can't find '__main__' module")
        if self.states.get(paths.HOSTD_UNIT, [""])[0] != "active":
            return Result(3, json.dumps({"status": "unreachable", "error": "no socket"}), "")
        self._asked += 1
        running = self.boots and self._asked > self.boots_after
        if self.refuses and running:
            return Result(1, json.dumps({"status": "failed", "error": self.refuses, "loaded": None}), "")
        if not running or self.states.get(paths.GATEWAY_UNIT, [""])[0] != "active":
            return Result(1, json.dumps({"status": "booting", "error": "the guest is booting"}), "")
        return said(json.dumps({"status": "running", "error": None, **self.node}))

    def _journalctl(self, argv: list[str], input: bytes) -> Result:
        return said(CONSOLE if paths.GATEWAY_UNIT in argv else "")

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
