"""A gateway under siege at the memory that is advertised: `make siege` (10 minutes, MINUTES=), `make soak` (24 hours).

Initiations from 50,000 forged sources, 5,000 a second offered, and flows from a peer into a masqueraded LAN beyond the
limit of connections, all the time. Beside them an old session and an old flow, which are to go on; and the machine is
to stay the one that it is: a gateway out of memory ends, and another one starts.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from tests.bench.boot import Peer, peer
from tests.lab.guest import BOOT, Guest, private_key, public_key, sh, unpack
from tests.lab.scenarios import flood
from wgnode.image.best import build_best
from wgnode.nodeconfig import LinkConfig, NodeConfig, NodeSecrets, PeerConfig, encode_key
from wgnode.platform.linux import masquerade

RATE = 5000
CONNECTIONS = int(masquerade.SETTINGS["net/netfilter/nf_conntrack_max"])
FLOWS = CONNECTIONS + 4000
ECHO = """import socket
each = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); each.bind(("10.1.0.100", 7))
print("ready", flush=True)
while True:
    data, where = each.recvfrom(100); each.sendto(data, where)"""
OLD_FLOW = """import socket, sys, time
each = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); each.connect(("10.1.0.100", 7)); each.settimeout(2)
end, sent, lost = time.monotonic() + float(sys.argv[1]), 0, 0
while time.monotonic() < end:
    each.send(b"%d" % sent); sent += 1
    try:
        while each.recv(100) != b"%d" % (sent - 1): pass
    except TimeoutError: lost += 1
    time.sleep(0.2)
print(sent, lost)"""
NEW_FLOWS = """import socket, sys, time
end, port = time.monotonic() + float(sys.argv[1]), 0
while time.monotonic() < end:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as each:
        each.bind(("", 2000 + port % int(sys.argv[2]))); each.sendto(b"x", ("10.1.0.100", 9))
    port += 1
    time.sleep(0.0005)
print(port)"""


@dataclass(frozen=True)
class Outcome:
    """`same` is whether the machine of the beginning is still there; health is as it was before and after."""

    initiations: int
    flows: int
    old: tuple[int, int]
    same: bool
    out_of_memory: bool
    before: dict[str, Any]
    after: dict[str, Any]

    @property
    def counted(self) -> dict[str, int]:
        """What health counted meanwhile."""
        counters = Counter(self.after["counters"])
        counters.subtract(self.before["counters"])
        return {name: number for name, number in counters.items() if number > 0}

    def text(self) -> str:
        sent, lost = self.old
        return "\n".join(
            [
                f"{self.initiations} initiations and {self.flows} datagrams of {FLOWS} flows offered",
                f"the old flow: {sent} datagrams, {lost} without an answer",
                f"the same machine all the time: {self.same}; out of memory: {self.out_of_memory}",
                f"counted: {self.counted}",
            ]
        )


def besieged(directory: Path, seconds: float) -> Outcome:
    keys = private_key(), private_key()
    known = PeerConfig("peer", (public_key(keys[1]),), ("10.99.0.1/32",), "198.51.100.1:51820")
    config = NodeConfig(
        mesh="bench",
        name="a",
        public_keys=(public_key(keys[0]),),
        listen_port=51820,
        addresses=("10.99.0.2/32",),
        transit=LinkConfig("52:54:00:77:67:01", (f"{flood.TARGET}/24",), ("198.51.100.1",)),
        lan=LinkConfig("52:54:00:77:68:01", ("10.1.0.2/24",), masquerade=True),
        peers=(known,),
    )
    with peer(directory / "peer", keys, "10.99.0.2", "198.51.100.1", "wan-a") as other:
        parts = unpack(Path(build_best(renew_if_gone=True).path), directory)
        guest = Guest(parts, other.outside, "a", config, NodeSecrets((keys[0],), {}), directory)
        try:
            guest.boot()
            guest.start_hostd()
            guest.wait_for_status(limit=5 * BOOT)
            return _siege(other, guest, encode_key(config.public_keys[0]), seconds)
        finally:
            guest.stop()


def _siege(other: Peer, guest: Guest, key: str, seconds: float) -> Outcome:
    other.wg("set", other.interface, "peer", key, "allowed-ips", "10.99.0.2/32,10.1.0.0/24")
    for command in (f"addr add 10.99.0.1/32 dev {other.interface}", f"route add 10.1.0.0/24 dev {other.interface}"):
        sh("ip", "netns", "exec", other.name, "ip", *command.split())
    sh("ip", "netns", "exec", other.outside, "ip", "addr", "add", "10.1.0.100/24", "dev", "lan-a")
    messages = guest.directory / "messages"
    flood.write_messages(messages, SimpleNamespace(public_key=key))  # type: ignore[arg-type]
    echo = _started(other.outside, ECHO)
    assert echo.stdout is not None
    assert echo.stdout.readline() == "ready\n"
    before = guest.health()
    try:
        old = _started(other.name, OLD_FLOW, str(seconds))
        new = _started(other.name, NEW_FLOWS, str(seconds), str(FLOWS))
        module = ["-m", flood.MODULE, str(messages), "51820", str(RATE), str(seconds)]
        begun = time.monotonic()
        sender = _run(other.name, module)
        said = [each.communicate(timeout=seconds + 300)[0] for each in (old, new, sender)]
        print(f"after {time.monotonic() - begun:.0f} s", file=sys.stderr)
        after = guest.wait_for_status(limit=5 * BOOT)
    finally:
        echo.kill()
        echo.wait(10)
    sent, lost = map(int, said[0].split())
    dead = "Out of memory" in guest.console or guest.processes[0].poll() is not None
    return Outcome(int(said[2]), int(said[1]), (sent, lost), before["run"] == after["run"], dead, before, after)


def _started(space: str, program: str, *arguments: str) -> subprocess.Popen[str]:
    return _run(space, ["-c", program, *arguments])


def _run(space: str, arguments: Sequence[str]) -> subprocess.Popen[str]:
    command = ["ip", "netns", "exec", space, sys.executable, *arguments]
    return subprocess.Popen(command, cwd=flood.ROOT, stdout=subprocess.PIPE, text=True)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.siege", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--json", type=Path, help="a file to write health of before and after to")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="wgnode-siege-") as work:
        outcome = besieged(Path(work), 60 * arguments.minutes)
    print(outcome.text())
    if arguments.json:
        arguments.json.write_text(json.dumps({"before": outcome.before, "after": outcome.after}, indent=1) + "\n")
    if not outcome.same or outcome.out_of_memory:
        sys.exit("the gateway did not survive")


if __name__ == "__main__":
    main()
