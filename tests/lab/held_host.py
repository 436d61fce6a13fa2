"""A bare host whose mounts stay between commands, among them those of namespaces that it has made itself."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pulumi_wgnode.hosts.networks.network import Network, script
from tests.lab.bare_host import BareHost, bare_host, with_roots_taps
from tests.lab.interop import wait_for


@dataclass(frozen=True)
class Held(BareHost):
    """Its network and mounts are those of a process that was started in it."""

    pid: int

    def argv(self, *command: str) -> list[str]:
        return ["nsenter", "--target", str(self.pid), "--mount", "--net", *command]

    def run(self, *command: str, text: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run(self.argv(*command), input=text, capture_output=True, text=True, timeout=60, check=False)

    def shell(self, command: str, check: bool = True) -> str:
        done = self.run("bash", "-c", command)
        assert not check or done.returncode == 0, done.stderr
        return done.stdout

    def script(self, network: Network, verb: str = "up") -> subprocess.CompletedProcess[str]:
        return self.run("sh", "-s", verb, text=with_roots_taps(script(network)))


@contextmanager
def held_host(network: Network, setting: str) -> Iterator[Held]:
    """Its links and routes go in the end, if there are any."""
    with bare_host(setting) as bare:
        holder = bare.space.spawn("sleep", "infinity")
        wait_for(lambda: Path(f"/proc/{holder.pid}/comm").read_text() == "sleep\n", "the holder is in its namespace")
        made = Held(bare.space, holder.pid)
        try:
            yield made
        finally:
            made.script(network, "down")
