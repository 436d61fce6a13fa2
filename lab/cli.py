"""The lab's command line. Progress goes to standard error, results to standard output.

Exit codes: 0 done, 1 failed (the reason is said), 2 wrong usage, 3 `status` of a lab that is not up, 130 interrupted.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lab import plan, state
from lab.api import Lab
from lab.errors import LabError
from lab.process import disk_full, ours

_EPILOG = """examples:
  python -m lab up                                two hosts, an internet, a client on each LAN
  python -m lab status --json                     what runs
  python -m lab shell cabin                       log in to a host by SSH, as from the runner
  python -m lab shell berlin --console            as root past the network, where a firewall locks SSH out
  python -m lab run -- ping -c1 198.51.100.2      a command in the runner's network
  python -m lab run --in cabin.client -- ping -c1 10.2.0.1
  python -m lab down                              remove all of it
"""


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    if os.geteuid():
        print("lab: needs root (network namespaces, mounts, containers); run it with sudo", file=sys.stderr)
        return 1
    try:
        lab = Lab(options.name, options.dir, _progress())
        code: int = options.command(lab, options)
        return code
    except LabError as error:
        print(f"lab: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        if (reason := disk_full(error)) is None:
            raise
        print(f"lab: {reason}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        name = "" if options.name == "demo" else f" --name {options.name}"
        go_on = f"`{ours(f'up{name}')}` to go on, " if options.command is _up else ""
        print(f"\nlab: interrupted; run {go_on}`{ours(f'down{name}')}` to clean up", file=sys.stderr)
        return 130


def _parser() -> argparse.ArgumentParser:
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--name", default="demo", help="which lab; several can run at once (default: demo)")
    common.add_argument("--dir", type=Path, help="where its files are (default: /var/lib/wgnode/lab/NAME)")
    common.add_argument("--json", action="store_true", help="print the result as JSON")
    parser = argparse.ArgumentParser(
        prog="python -m lab",
        description="Two Debian hypervisor hosts, an internet between them and a client machine on each LAN, "
        "in network namespaces of their own. Needs root.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def add(name: str, function: Any, text: str) -> argparse.ArgumentParser:
        added = commands.add_parser(name, parents=[common], help=text, description=text)
        added.set_defaults(command=function)
        return added

    add("up", _up, "start the lab, or complete one that is interrupted or has a host switched off")
    add("down", _down, "remove the lab: processes, namespaces, files")
    add("status", _status, "show what runs; exit code 3 where the lab is not up")
    add("list", _list, "labs on this machine")
    shell = add("shell", _shell, "log in to a host")
    shell.add_argument("host", choices=[site.name for site in plan.SITES])
    shell.add_argument("--console", action="store_true", help="as root past the network")
    run = add("run", _run, "run a command of this machine in a role's network")
    run.add_argument("--in", dest="role", default=plan.RUNNER, choices=plan.roles(), metavar="ROLE", help=_ROLES)
    run.add_argument("argv", nargs="+", metavar="CMD", help="after --")
    return parser


_ROLES = f"one of {', '.join(plan.roles())} (default: runner)"


def _progress() -> Any:
    started = time.monotonic()
    return lambda line: print(f"[{time.monotonic() - started:5.1f} s] {line}", file=sys.stderr, flush=True)


def _up(lab: Lab, options: argparse.Namespace) -> int:
    inventory = lab.up()
    if options.json:
        print(json.dumps(inventory, indent=2))
        return 0
    lab.progress(f"lab {lab.name!r} is up")
    for name, host in inventory["hosts"].items():
        print(f"{name:8} {host['user']}@{host['address']:14} LAN {host['lan']['v4']}, {host['lan']['v6']}")
    print(f"log in: {ours(f'shell {plan.SITES[0].name} --name {lab.name}')}")
    print(f"inventory: {lab.directory}/lab.json")
    return 0


def _down(lab: Lab, options: argparse.Namespace) -> int:
    removed = lab.down()
    if options.json:
        print(json.dumps({"name": lab.name, "removed": removed}))
    else:
        lab.progress(f"lab {lab.name!r} removed" if removed else f"no lab {lab.name!r}: nothing to remove")
    return 0


def _status(lab: Lab, options: argparse.Namespace) -> int:
    found = lab.status()
    if options.json:
        print(json.dumps(found, indent=2))
    else:
        print(f"lab {lab.name!r} is {'up' if found['up'] else 'not up'} ({found['dir']})")
        for name, host in found["hosts"].items():
            condition = "off" if not host["running"] else "running" if host["ssh"] else "running, SSH does not answer"
            print(f"  {name:8} {host['user']}@{host['address']:14} {condition}")
    return 0 if found["up"] else 3


def _list(_lab: Lab, options: argparse.Namespace) -> int:
    found = [Lab(name).status() for name in state.names()]
    if options.json:
        print(json.dumps(found, indent=2))
    for each in [] if options.json else found:
        print(f"{each['name']:20} {'up' if each['up'] else 'not up':7} {each['dir']}")
    return 0


def _shell(lab: Lab, options: argparse.Namespace) -> int:
    if options.console:
        argv = lab.console_argv(options.host, ["bash", "-l"])
    else:
        argv = lab.ssh_argv(options.host, terminal=sys.stdin.isatty())
    os.execvp(argv[0], argv)


def _run(lab: Lab, options: argparse.Namespace) -> int:
    argv = lab.argv_in(options.role, options.argv)
    os.execvp(argv[0], argv)
