"""The plugin with hosts that are faked where SSH would reach them, for the real engine.

Run by plugin.py: all of the provider is the real one, but a connection leads to a fake whose content is kept, between
two commands of the engine, as a file in the folder FAKED_HOSTS, one for each address. hosts.json there
says what each host is: its LAN's address and the routes that its network script will have brought up. A host with
`slow` seconds takes them for a change, and one that is `away` can't be reached.
"""

from __future__ import annotations

import json
import os
import pickle
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pulumi_wgnode.call import deadline
from pulumi_wgnode.hosts import undo
from pulumi_wgnode.hosts.host import Connection, OutOfTime
from pulumi_wgnode.provider import __main__ as provider
from tests.unit.pulumi_wgnode.fake_host import link
from tests.unit.pulumi_wgnode.resources.whole_site import SiteHost
from wgnode.firewall import nft
from wgnode.firewall.rules import Chain

FOLDER = Path(os.environ.get("FAKED_HOSTS", "."))
OF_ITS_OWN = ("_changes", "waited")
"""What a fake is given when it is made: methods that are its own."""
_hosts: dict[str, FakedHost] = {}
_lock = threading.Lock()
_chains: dict[str, tuple[Chain, ...]] = {}


class FakedHost(SiteHost):
    """Kept in its file after whatever changed it."""

    def __init__(self, address: str, known: dict[str, Any]) -> None:
        super().__init__(f"root@{address}")
        self.address, self.lan, self.own = address, known["lan"], known
        self.machine = f"{int(known['number']):032x}"
        self.links["lan0"] = link("lan0", self.lan)
        self.routes_up = known["routes"]
        self.waited = pause
        self.rulesets = _chains

    def bring_up(self) -> None:
        super().bring_up()
        self.links["wgnode-br0"] = link("wgnode-br0", self.lan, kind="bridge")

    def _reach(self) -> None:
        if self.own.get("away"):
            self.reachable = False
        super()._reach()

    def run(self, *arguments: Any, **options: Any) -> Any:
        return self._kept(super().run(*arguments, **options))

    def write_file(self, path: str, data: bytes, **options: Any) -> bool:
        time.sleep(deadline.at_most(self.own.get("slow", 0)))
        if why := deadline.over():  # as over SSH
            raise OutOfTime(why)
        return bool(self._kept(super().write_file(path, data, **options)))

    def upload(self, path: str, source: str, **options: Any) -> None:
        self._kept(super().upload(path, source, **options))

    def remove(self, *paths: str) -> None:
        self._kept(super().remove(*paths))

    def _kept(self, result: Any) -> Any:
        with _lock:
            file = FOLDER / f"{self.address}.pickle"
            content = {name: value for name, value in self.__dict__.items() if name not in OF_ITS_OWN}
            content["rulesets"] = dict(_chains)
            file.with_suffix(".new").write_bytes(pickle.dumps(content))
            file.with_suffix(".new").rename(file)
        return result


def pause(seconds: float) -> None:
    """A fake host needs no time to boot."""


def connect(connection: Connection) -> FakedHost:
    with _lock:
        if connection.address not in _hosts:
            _hosts[connection.address] = _found(connection.address)
    host = _hosts[connection.address]
    host._reach()
    return host


def _found(address: str) -> FakedHost:
    known = json.loads((FOLDER / "hosts.json").read_text())[address]
    host, file = FakedHost(address, known), FOLDER / f"{address}.pickle"
    if file.exists():
        content = pickle.loads(file.read_bytes())
        _chains.update(content.pop("rulesets"))
        host.__dict__ |= {**content, "own": known}
    return host


@contextmanager
def reconnect(connection: Connection) -> Iterator[FakedHost]:
    yield connect(connection)


def main() -> None:
    undo.RETRY = 0
    render = nft.script

    def script(chains: Iterable[Chain], *more: Any, **named: Any) -> str:
        chains = tuple(chains)
        text = render(chains, *more, **named)
        _chains[text] = chains
        return text

    nft.script = script
    provider.main()
