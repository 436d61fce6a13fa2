"""How long from power-on to the first handshake: `make bench-boot`, a gateway beside a stock Debian guest.

Both under the same QEMU, processor and accelerator, in turns, and medians are compared, because the machine has other
things to do. The gateway's host part (hostd) runs as on a host. The Debian guest has wg-quick and systemd-networkd.

    [guest] tap -- br0 -- eth0 [peer: our node on a TUN]
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import re
import secrets
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests import debian_guest
from tests.lab.guest import BOOT, Guest, Parts, private_key, public_key, sh, unpack
from wgnode.image.best import build_best
from wgnode.nodeconfig import LinkConfig, NodeConfig, NodeSecrets, PeerConfig

FASTER, GOAL = 5.0, 5.0
"""Times, than Debian; seconds, by software emulation on two quiet cores."""
PHASES = {
    "kernel, to the interpreter": "interpreter runs as process 1",
    "imports and links": "data plane: ",
    "until the node runs": " up, port ",
}
ANALYZE = 'import subprocess; print("ANALYZED", subprocess.run(["systemd-analyze", "time"], stdout=-1, text=1).stdout)'
POLL = 0.01


@dataclass
class Peer:
    """Of whom the guest knows place and key. `keys` are the guest's private one and its own."""

    directory: Path
    keys: tuple[bytes, bytes]
    inner: str
    address: str
    tap: str
    name: str = field(default_factory=lambda: f"wgb{os.getpid()}-{secrets.token_hex(2)}")
    process: subprocess.Popen[bytes] | None = None

    @property
    def outside(self) -> str:
        return f"{self.name}-g"

    def up(self) -> None:
        self.directory.mkdir()
        for space in (self.name, self.outside):
            sh("ip", "netns", "add", space)
        for command in (
            "ip link add br0 type bridge",
            f"ip link add veth0 type veth peer name eth0 netns {self.name}",
            f"ip tuntap add {self.tap} mode tap",
            "ip tuntap add lan-a mode tap",
            "ip link set veth0 master br0 up",
            f"ip link set {self.tap} master br0 up",
            "ip link set lan-a up",
            "ip link set br0 up",
        ):
            sh("ip", "netns", "exec", self.outside, *command.split())
        self._in("ip link set lo up", "ip link set eth0 up", f"ip addr add {self.address}/24 dev eth0")
        program = ["ip", "netns", "exec", self.name, sys.executable, "-c", "from wgnode.cli import main; main()"]
        with (self.directory / "log").open("wb") as log:
            self.process = subprocess.Popen([*program, "device", self.interface, "-f"], stdout=log, stderr=log)
        until(lambda: self.wg("show", self.interface, check=False).returncode == 0, BOOT)
        key = self.directory / "key"
        key.touch(0o600)
        key.write_text(base64.b64encode(self.keys[1]).decode())
        guest = base64.b64encode(public_key(self.keys[0])).decode()
        self.wg("set", self.interface, "listen-port", "51820", "private-key", str(key))
        self.wg("set", self.interface, "peer", guest, "allowed-ips", f"{self.inner}/32")
        self._in(f"ip link set {self.interface} up")

    @property
    def interface(self) -> str:
        return f"wgb{os.getpid() % 10**6}"

    def met(self) -> bool:
        return not self.wg("show", self.interface, "latest-handshakes").stdout.rstrip().endswith("\t0")

    def wg(self, *words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        return sh("ip", "netns", "exec", self.name, "wg", *words, check=check)

    def _in(self, *commands: str) -> None:
        for command in commands:
            sh("ip", "netns", "exec", self.name, *command.split())

    def down(self) -> None:
        if self.process is not None:
            self.process.terminate()
            self.process.wait(20)
        for space in (self.name, self.outside):
            sh("ip", "netns", "del", space, check=False)


@contextmanager
def peer(directory: Path, keys: tuple[bytes, bytes], inner: str, address: str, tap: str) -> Iterator[Peer]:
    made = Peer(directory, keys, inner, address, tap)
    try:
        made.up()
        yield made
    finally:
        made.down()


def until(what: Callable[[], bool], limit: float) -> float:
    """When it came, by the monotonic clock."""
    deadline = time.monotonic() + limit
    while not what():
        assert time.monotonic() < deadline, "in vain"
        time.sleep(POLL)
    return time.monotonic()


def gateway_round(directory: Path, parts: Parts) -> dict[str, float]:
    """Seconds of each phase, and in all."""
    keys = private_key(), private_key()
    known = PeerConfig("peer", (public_key(keys[1]),), ("10.99.0.1/32",), f"{debian_guest.PEER_ADDRESS}:51820")
    config = NodeConfig(
        mesh="bench",
        name="a",
        public_keys=(public_key(keys[0]),),
        listen_port=51820,
        addresses=("10.99.0.2/32",),
        transit=LinkConfig(debian_guest.MAC, (debian_guest.ADDRESS,), (debian_guest.PEER_ADDRESS,)),
        lan=LinkConfig("52:54:00:77:68:01", ("10.1.0.2/24",)),
        peers=(known,),
    )
    with peer(directory, keys, "10.99.0.2", debian_guest.PEER_ADDRESS, "wan-a") as other:
        guest = Guest(parts, other.outside, "a", config, NodeSecrets((keys[0],), {}), directory)
        try:
            guest.start_hostd()
            began = last = time.monotonic()
            guest.boot()
            taken = {}
            for phase, sign in PHASES.items():
                now = until(lambda sign=sign: sign in guest.console, 5 * BOOT)  # type: ignore[misc]
                taken[phase], last = now - last, now
            taken["handshake"] = until(other.met, BOOT) - last
            return {**taken, "in all": time.monotonic() - began}
        finally:
            guest.stop()


def debian_round(directory: Path, debian: debian_guest.Debian) -> dict[str, float]:
    with peer(directory, debian.keys, "10.99.0.2", debian_guest.PEER_ADDRESS, "tap0") as other:
        program, console = directory / "program", directory / "console"
        program.write_text(ANALYZE + "\n")
        command = debian_guest.command(debian, "tap0", console, program)
        began = time.monotonic()
        guest = subprocess.Popen(["ip", "netns", "exec", other.outside, *command], stdin=subprocess.DEVNULL)
        try:
            taken = {"in all": until(other.met, 10 * BOOT) - began}
            until(lambda: "ANALYZED" in console.read_text(errors="replace"), 10 * BOOT)
            said = console.read_text(errors="replace").partition("ANALYZED")[2]
            for part in re.findall(r"([\d.]+m?s) \((\w+)\)", said):
                print(f"  Debian's own account: {part[1]} {part[0]}", file=sys.stderr)
            return taken
        finally:
            guest.kill()
            guest.wait(20)


def report(gateway: list[dict[str, float]], debian: list[dict[str, float]]) -> str:
    def median(rounds: list[dict[str, float]], name: str) -> float:
        return statistics.median(one[name] for one in rounds)

    lines = [f"{name:28} {median(gateway, name):7.2f} s" for name in gateway[0]]
    ours, theirs = median(gateway, "in all"), median(debian, "in all")
    lines += [f"{'Debian guest, in all':28} {theirs:7.2f} s", f"{theirs / ours:.1f} times faster; goal {FASTER}"]
    return "\n".join([*lines, f"goal {GOAL} s: {'reached' if ours <= GOAL else 'not reached'}"])


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.boot", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path, help="a file to write the figures to")
    arguments = parser.parse_args()
    debian, gateways, debians = debian_guest.ensure(), [], []
    with tempfile.TemporaryDirectory(prefix="wgnode-boot-") as work:
        parts = unpack(Path(build_best(renew_if_gone=True).path), Path(work))
        for number in range(arguments.rounds):
            gateways.append(gateway_round(Path(work, f"gateway{number}"), parts))
            debians.append(debian_round(Path(work, f"debian{number}"), debian))
            print(
                f"round {number + 1}: {gateways[-1]['in all']:.2f} s, Debian {debians[-1]['in all']:.2f} s",
                file=sys.stderr,
            )
    print(report(gateways, debians))
    if arguments.json:
        arguments.json.write_text(json.dumps({"gateway": gateways, "debian": debians}, indent=1) + "\n")


if __name__ == "__main__":
    main()
