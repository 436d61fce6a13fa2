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
from wgnode.hostd.places import Places
from wgnode.hostd.said import printable
from wgnode.hostd.service import Hostd
from wgnode.image.paths import PLAIN, Paths
from wgnode.io.loop import Loop
from wgnode.io.signals import Signals

LONGEST_LINE = 8192
"""Characters of the journal's lines, those of the guest among them with what stands before it."""


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="wgnode-hostd", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    run_parser = commands.add_parser("run", help="serve a gateway of this host")
    run_parser.add_argument("--name", required=True, help="the gateway's name")
    run_parser.add_argument("--run-directory", type=Path, help="sockets (the instance's)")
    run_parser.add_argument("--state", type=Path, help="what is kept (the instance's)")
    run_parser.add_argument("--baked", type=Path, help="the directory of the gateway's layers (the instance's)")
    health_parser = commands.add_parser("health", help="how the gateway is; exit code 0 when its node runs")
    health_parser.add_argument("--json", action="store_true", help="one JSON object")
    apply_parser = commands.add_parser("apply", help="bring the baked layers to the running node; prints JSON")
    apply_parser.add_argument("wanted", nargs="*", metavar="NAME=VALUE", help="then waits until it reports all this")
    probe_parser = commands.add_parser("probe", help="search path MTUs anew; health tells what is found; prints JSON")
    probe_parser.add_argument("--peer", metavar="KEY", help="of one peer only, by its public key")
    probe_parser.add_argument("--fresh", action="store_true", help="after a handshake of its own")
    wait_parser = commands.add_parser("wait", help="until the gateway reports all this; prints health as JSON")
    wait_parser.add_argument("wanted", nargs="+", metavar="NAME=VALUE", help="such as status=running")
    for each in (apply_parser, wait_parser):
        each.add_argument("--patience", type=float, default=5.0, metavar="SECONDS", help="(%(default)s)")
    accounts_parser = commands.add_parser("accounts", help="what each peer sent and received in all; prints JSON")
    holders_parser = commands.add_parser("holders", help="which devices have had an address, and when; prints JSON")
    holders_parser.add_argument("address")
    asking = (health_parser, apply_parser, probe_parser, wait_parser, accounts_parser, holders_parser)
    for each in asking:
        each.add_argument("--socket", type=Path, help="hostd's socket (the instance's)")
    for each in (run_parser, *asking):
        each.add_argument("--instance", type=Paths, default=PLAIN, help="which of the host's gateways (the first)")
    options = parser.parse_args(arguments)
    paths = options.instance
    if options.command == "run":
        given = (options.run_directory, options.state, options.baked)
        usual = (paths.run, paths.hostd_state, paths.gateway)
        run_directory, state, baked = (one or Path(other) for one, other in zip(given, usual, strict=True))
        machine = None if options.run_directory else Path(paths.control_socket).parent
        return run(Places(options.name, run_directory, state, baked, machine))
    socket = options.socket or Path(paths.hostd_socket)
    wanted = dict(pair.split("=", 1) for pair in getattr(options, "wanted", ()) if "=" in pair)
    if options.command == "apply":
        code, answer = client.apply(socket, wanted, options.patience)
    elif options.command == "probe":
        code, answer = client.probe(socket, options.peer, options.fresh)
    elif options.command == "accounts":
        code, answer = client.accounts(socket)
    elif options.command == "holders":
        code, answer = client.holders(socket, options.address)
    elif options.command == "wait":
        code, answer = client.wait(socket, wanted, options.patience)
    else:
        code, answer = client.health(socket)
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
