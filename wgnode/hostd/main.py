"""The command line of wgnode-hostd, the companion of a gateway on its host. Standard library only: it is a zipapp."""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import signal
import sys
from pathlib import Path

from wgnode.hostd import client
from wgnode.hostd.background import Background
from wgnode.hostd.notify import Notifier
from wgnode.hostd.said import printable
from wgnode.hostd.service import Hostd, Places
from wgnode.io.loop import Loop
from wgnode.io.signals import Signals

RUN = Path("/run/wgnode")
STATE = Path("/var/lib/wgnode/state")
LONGEST_LINE = 8192
"""Characters of the journal's lines, those of the guest among them with what stands before it."""


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="wgnode-hostd", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    run_parser = commands.add_parser("run", help="serve the gateway of this host")
    run_parser.add_argument("--name", required=True, help="the gateway's name")
    run_parser.add_argument("--run-directory", type=Path, default=RUN, help="sockets (%(default)s)")
    run_parser.add_argument("--state", type=Path, default=STATE, help="what is kept (%(default)s)")
    run_parser.add_argument("--baked", type=Path, help="the directory of the gateway's layers (the host's)")
    health_parser = commands.add_parser("health", help="how the gateway is; exit code 0 when its node runs")
    health_parser.add_argument("--socket", type=Path, default=RUN / "hostd.sock", help="hostd's socket (%(default)s)")
    health_parser.add_argument("--json", action="store_true", help="one JSON object")
    apply_parser = commands.add_parser("apply", help="bring the baked layers to the running node; prints JSON")
    wait_parser = commands.add_parser("wait", help="until the gateway reports all this; prints health as JSON")
    wait_parser.add_argument("wanted", nargs="+", metavar="NAME=VALUE", help="such as status=running")
    wait_parser.add_argument("--patience", type=float, default=5.0, metavar="SECONDS", help="(%(default)s)")
    for each in (apply_parser, wait_parser):
        each.add_argument("--socket", type=Path, default=RUN / "hostd.sock", help="hostd's socket (%(default)s)")
    options = parser.parse_args(arguments)
    if options.command == "run":
        return run(Places(options.name, options.run_directory, options.state, options.baked))
    if options.command == "apply":
        code, answer = client.apply(options.socket)
    elif options.command == "wait":
        wanted = dict(pair.split("=", 1) for pair in options.wanted if "=" in pair)
        code, answer = client.wait(options.socket, wanted, options.patience)
    else:
        code, answer = client.health(options.socket)
    as_text = options.command == "health" and not options.json
    print(client.describe(answer) if as_text else json.dumps(answer))
    return code


def run(places: Places) -> int:
    """Until SIGTERM or SIGINT."""
    loop = Loop()
    signals = Signals(loop, (signal.SIGTERM, signal.SIGINT), lambda _: loop.stop())
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # whatever the locale is
    journal = Background()  # which may not read for a while
    hostd = Hostd(loop, places, Notifier(), say=lambda line: journal.do(lambda: _say(line)))
    try:
        loop.run()
    finally:
        hostd.close()
        signals.close()
        journal.close()
    return 0


def _say(line: str) -> None:
    """One line of the journal, whatever is put into it: the next would pass for hostd's own."""
    with contextlib.suppress(OSError):  # the journal is being restarted
        sys.stdout.write(printable(line, LONGEST_LINE) + "\n")
        sys.stdout.flush()
