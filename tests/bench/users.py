"""How long one device more takes at a site that has many: `make bench-users`.

    python -m tests.bench.users --devices 10,10000 --rounds 3

The real engine, program and plugin; hosts are files in the place of SSH, so that what a network, a host and its gateway
take is not in the figures (tests/bench/mesh.py). All users stand in one file of `usersFolder`. Processor seconds are of
all processes but the engine's spare plugin; memory is the largest process's.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import os
import statistics
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from ipaddress import ip_address
from pathlib import Path

from tests.bench.mesh import Bench, Figure
from tests.standins.environment import MESH, Environment

STACK, FOLDER = "prod-site0", "users"
GROWS = 2.0
"""Times that `up` of one device more among the most may take of what it takes among the fewest."""
ADD, CHECK, UP = "wgnode user add", "wgnode check", "up of a site, a device added"


def prepare(folder: Path, devices: int) -> Environment:
    environment = Environment(folder, 1)
    project = environment.project
    project.sites["site0"]["lans"] = ["10.128.0.0/16"]
    project.own["site0"]["lan"]["gatewayAddresses"] = ["10.128.0.2"]
    people = {
        "pool": {"v4": "10.128.16.0/20" if devices < 4000 else "10.128.64.0/18"},
        "groups": {"staff": {"reach": "all"}},
    }
    project.own["site0"] |= {**people, "usersFolder": FOLDER}
    project.write("site0")
    (folder / "stacks" / FOLDER).mkdir()
    first = int(ip_address(people["pool"]["v4"].partition("/")[0])) + 1
    lines = (line for number in range(devices) for line in user(number, first + number))
    (folder / "stacks" / FOLDER / "people.yaml").write_text("".join(lines))
    environment.init(MESH, STACK)
    environment.pulumi("config", "set", "--secret", "--path", "--stack", STACK, "wgmesh:site.deviceSecret",
                       base64.b64encode(bytes(32)).decode())  # fmt: skip
    project.commit()
    return environment


def user(number: int, address: int) -> Iterator[str]:
    key = base64.b64encode(hashlib.sha256(str(number).encode()).digest()).decode()
    yield f"user{number}:\n  groups: [staff]\n  devices:\n    phone:\n      publicKey: {key}\n"
    yield f"      addresses: [{ip_address(address)}]\n"


def run(folder: Path, devices: int, rounds: int) -> Mapping[str, Figure]:
    bench = Bench(prepare(folder, devices))
    bench.up("up of the mesh, the first", MESH)
    bench.up("up of the site, the first", STACK)
    for number in range(rounds):
        bench.wgnode(ADD, "user", "add", f"new{number}", "--device", "phone", "--group", "staff")
        bench.wgnode(CHECK, "check", "-e", "prod", codes=(0, 1))
        bench.up(UP, STACK)
    return bench.figures


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--devices", default="10,10000", help="(%(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="(%(default)s)")
    options = parser.parse_args(arguments)
    measured: dict[int, Mapping[str, Figure]] = {}
    print(f"{os.cpu_count()} processors, load {os.getloadavg()[0]:.1f} at the beginning")
    for devices in sorted(map(int, options.devices.split(","))):
        with tempfile.TemporaryDirectory(prefix="wgnode-bench-") as folder:
            measured[devices] = run(Path(folder), devices, options.rounds)
        print(f"\n### {devices} devices\n\n| what | median, s | range | processor, s | MB | times | goal |")
        print("|---|---|---|---|---|---|---|")
        print("\n".join(figure.row() for figure in measured[devices].values()), flush=True)
    fewest, most = (measured[number][UP].processor for number in (min(measured), max(measured)))
    grown = statistics.median(most) / statistics.median(fewest)
    print(f"\n{UP}: {grown:.2f} times the processor time among {max(measured)} devices of that among {min(measured)}"
          f" (≤ {GROWS:g})\nload {os.getloadavg()[0]:.1f} at the end")  # fmt: skip
    return 0


if __name__ == "__main__":
    sys.exit(main())
