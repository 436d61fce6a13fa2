"""The demo: a lab, three real `pulumi up`s, and a file moved between the two LANs.

Exit codes: 0 done, 1 failed (the reason is said), 2 wrong usage, 130 interrupted; `pulumi` passes on the engine's own.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from lab import lifecycle
from lab.api import Lab
from lab.deployment import IMAGE, Deployment
from lab.errors import LabError
from lab.process import disk_full
from wgnode.image.variants import Variant, variant_of_file

TRANSFER_SIZE = 4 << 20
"""Bytes of the file that the demo moves; both gateways run under software emulation where there is no KVM."""

_EPILOG = """examples:
  python -m lab.demo up                                  everything; changes nothing when it is all there
  python -m lab.demo status                              the mesh as the gateways see it
  python -m lab.demo pulumi -- preview -s dev-berlin     the engine, as the runner of the lab
  python -m lab.demo down                                remove all of it
"""


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    try:
        if os.geteuid():
            raise LabError("needs root (network namespaces, mounts, containers); run it with sudo")
        code: int = options.command(Lab(options.name, progress=_say), options)
        return code
    except LabError as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        if (reason := disk_full(error)) is None:
            raise
        print(f"demo: {reason}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\ndemo: interrupted; `make demo` goes on, `make demo-down` removes all", file=sys.stderr)
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m lab.demo",
        description="Two sites on this machine, deployed by three real `pulumi up`s. Needs root.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--name", default="demo", help="which lab to use (default: demo)")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    commands.add_parser("up", help="lab, stacks, proof").set_defaults(command=_up)
    commands.add_parser("down", help="remove the lab with its stacks and state").set_defaults(command=_down)
    commands.add_parser("status", help="wgnode status: gateways, digests, peers").set_defaults(command=_status)
    pulumi = commands.add_parser("pulumi", help="run the engine against the demo's stacks")
    pulumi.add_argument("argv", nargs="+", metavar="ARGUMENT", help="after --")
    pulumi.set_defaults(command=_pulumi)
    return parser


def _up(lab: Lab, options: argparse.Namespace) -> int:
    if not IMAGE.exists():
        raise LabError(f"no appliance image at {IMAGE}; build it: make image")
    if (variant := variant_of_file(IMAGE.name)) is not Variant.PINNED:
        _say(f"the gateways' image is {IMAGE.name}, {variant.about}")
    lab.up()
    deployment = Deployment(lab)
    _say("stack files, state and keys of the demo: " + str(deployment.folder))
    deployment.prepare()
    for stack in deployment.stacks:
        _say(f"pulumi up --stack {stack}")
        started = time.monotonic()
        deployment.up(stack, capture_output=False)
        _say(f"{stack}: {time.monotonic() - started:.1f} s")
    prove(lab)
    _status(lab, options)
    print(explore(deployment.folder))
    return 0


def prove(lab: Lab) -> None:
    """Ping and a file with a checksum between the two LANs' clients, both families. Raises LabError."""
    hosts = lab.inventory["hosts"]
    clients = {site: hosts[site]["client"]["addresses"] for site in hosts}
    source, target = clients
    for address in clients[target]:
        if not lab.ping(f"{source}.client", address, count=3, deadline=20):
            raise LabError(f"no answer to a ping from {source}'s client to {target}'s client {address}")
        _say(f"ping from {source}'s client to {target}'s client {address}: 3 of 3 answered")
        moved = lab.transfer(f"{source}.client", f"{target}.client", address, TRANSFER_SIZE)
        if not moved.intact:
            raise LabError(f"the file that arrived at {address} is another one: SHA-256 {moved.received_sha256}")
        rate = moved.size * 8 / moved.seconds / 1e6
        _say(f"{moved.size >> 20} MiB to {address}: SHA-256 {moved.sha256[:12]}… on both sides, {rate:.1f} Mbit/s")


def _status(lab: Lab, options: argparse.Namespace) -> int:
    """`wgnode status` as the lab's runner sees the hosts; its exit code says whether all is well."""
    deployment = Deployment(lab)
    if not deployment.folder.is_dir():
        raise LabError(f"nothing is deployed in lab {lab.name!r}; `make demo` does that")
    print(flush=True)
    return deployment.wgnode(["status"], capture_output=False).returncode


def _down(lab: Lab, options: argparse.Namespace) -> int:
    lab.down()
    shutil.rmtree(lab.directory / "project", ignore_errors=True)
    lifecycle.remove_empty(lab.directory)
    return 0


def _pulumi(lab: Lab, options: argparse.Namespace) -> int:
    deployment = Deployment(lab)
    done = subprocess.run(
        deployment.argv(options.argv), cwd=deployment.folder, env=deployment.environment(), check=False
    )
    return done.returncode


def _say(text: str) -> None:
    print(f"== {text}", file=sys.stderr, flush=True)


def explore(folder: Path) -> str:
    """Commands as the user who made the demo can type them."""
    python = f"{'sudo ' if 'SUDO_UID' in os.environ else ''}.venv/bin/python -B -m"
    return f"""
Explore it, in the clone's folder:
- log in to a host; there: sudo wg show, sudo nft list table inet wgnode
    make lab-shell HOST=cabin
- a command on a client machine
    {python} lab run --in berlin.client -- ping -c 3 10.2.0.100
- the engine, beside the demo's stacks
    {python} lab.demo pulumi -- preview --stack dev-berlin
- the table above again
    {python} lab.demo status
- remove all of it
    make demo-down
Stack files, state and keys: {folder}
"""


if __name__ == "__main__":
    sys.exit(main())
