"""What many peers and routes cost a running node: `make bench-scale`.

One node in a namespace of its own gets them all by `wg setconf`. Lookups are timed in the table that the node uses.
"""

from __future__ import annotations

import argparse
import base64
import importlib
import ipaddress
import json
import os
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.bench.dataplane import implementations, machine
from tests.bench.dataplane.__main__ import OUTPUT, end_on_signals
from tests.bench.dataplane.pair import resident
from tests.bench.dataplane.report import number, section
from tests.lab.interop import Bench, Node, bench
from tools.progress import StepFailed, say
from wgnode.protocol.allowed_ips import AllowedIPs

Networks = Sequence[tuple[int, ipaddress.IPv4Network]]
"""Peers' numbers, and a network of each."""
LENGTHS = (24, 28, 32)
FIRST = ipaddress.IPv4Address("11.0.0.0")
RESIDENT_GOAL, LOOKUP_GOAL = 80.0, 0.3
"""MB and microseconds, of the compiled data plane with 10,000 peers and 100,000 routes."""
LOOKUPS, REPEATS = 100_000, 5


@dataclass(frozen=True)
class Scale:
    """MB before and with the table; seconds that `wg setconf` and `wg show` took; microseconds a lookup, if timed."""

    implementation: str
    peers: int
    routes: int
    resident_empty: float
    resident: float
    configure: float
    show: float
    lookup: float | None


def networks(peers: int, routes: int) -> Networks:
    """Apart from each other by 256 addresses, of several lengths, dealt to the peers in turn."""
    return [
        (index % peers, ipaddress.IPv4Network((int(FIRST) + index * 256, LENGTHS[index % len(LENGTHS)])))
        for index in range(routes)
    ]


def configuration(private_key: str, keys: Sequence[str], routes: Networks) -> str:
    """For `wg setconf`."""
    allowed: list[list[str]] = [[] for _ in keys]
    for peer, network in routes:
        allowed[peer].append(str(network))
    parts = [f"[Interface]\nPrivateKey = {private_key}\nListenPort = 51820\n"]
    parts += [
        f"[Peer]\nPublicKey = {key}\nEndpoint = 192.0.2.2:51820\nAllowedIPs = {', '.join(its)}\n"
        for key, its in zip(keys, allowed, strict=True)
    ]
    return "".join(parts)


def python_lookup(routes: Networks) -> float:
    """Microseconds a lookup, median of repeats: of addresses in random order, so that a small cache helps little."""
    table: AllowedIPs[int] = AllowedIPs()
    for peer, network in routes:
        table.insert(network, peer)
    chosen = random.Random(6).choices(routes, k=LOOKUPS)
    addresses = [network.network_address.packed for _, network in chosen]
    assert [table.lookup(address) for address in addresses[:100]] == [peer for peer, _ in chosen[:100]]
    return statistics.median(_time_of(table.lookup, addresses) for _ in range(REPEATS))


def fast_lookup(routes: Networks) -> float:
    """Of the engine's table, called from Python: most of the time is that call's."""
    engine = importlib.import_module("wgnode_fastpath").Engine()
    numbers = {peer: engine.add_peer() for peer in sorted({peer for peer, _ in routes})}
    for peer, network in routes:
        engine.add_route(network.network_address.packed, network.prefixlen, numbers[peer])
    chosen = random.Random(6).choices(routes, k=LOOKUPS)
    addresses = [network.network_address.packed for _, network in chosen]
    assert [engine.lookup(address) for address in addresses[:100]] == [numbers[peer] for peer, _ in chosen[:100]]
    return statistics.median(_time_of(engine.lookup, addresses) for _ in range(REPEATS))


def _time_of(lookup: Callable[[bytes], object], addresses: Sequence[bytes]) -> float:
    begin = time.perf_counter()
    for address in addresses:
        lookup(address)
    return (time.perf_counter() - begin) * 1e6 / len(addresses)


LOOKUP: Mapping[str, Callable[[Networks], float]] = {"python": python_lookup, "fast": fast_lookup}
"""How to time a lookup of an implementation's table (microseconds); what is not here is not timed."""


def measure(name: str, peers: int, routes: Networks, directory: Path) -> Scale:
    """Raises Missing or StepFailed where the implementation can't run."""
    programs = implementations.programs(name)
    assert programs is not None
    with bench(directory) as cable:
        node = cable.node(1, programs[0])
        empty = resident(node.process.pid)
        keys = [base64.b64encode(os.urandom(32)).decode() for _ in range(peers)]
        file = node.file("conf", configuration(node.private_key, keys, routes))
        configure = _seconds(lambda: _wg(cable, node, "setconf", node.interface, file))
        full = resident(node.process.pid)
        show = _seconds(lambda: _check(_wg(cable, node, "show", node.interface, "allowed-ips"), peers, len(routes)))
        timer = LOOKUP.get(name)
        return Scale(name, peers, len(routes), empty, full, configure, show, timer(routes) if timer else None)


def _wg(cable: Bench, node: Node, *words: str) -> str:
    return node.namespace.run("wg", *words, timeout=600)


def _check(listing: str, peers: int, routes: int) -> None:
    found = [len(line.split()) - 1 for line in listing.splitlines()]
    assert (len(found), sum(found)) == (peers, routes), f"{len(found)} peers and {sum(found)} routes are configured"


def _seconds(call: Callable[[], object]) -> float:
    begin = time.monotonic()
    call()
    return time.monotonic() - begin


def markdown(found: Sequence[Scale], about: Mapping[str, str]) -> str:
    rows = [
        (
            scale.implementation,
            number(scale.resident_empty),
            number(scale.resident) + _missed(scale, scale.resident, RESIDENT_GOAL),
            number(scale.configure),
            number(scale.show),
            "not timed" if scale.lookup is None else number(scale.lookup) + _missed(scale, scale.lookup, LOOKUP_GOAL),
        )
        for scale in found
    ]
    head = ("", "MB, empty", "MB, full", "wg setconf, s", "wg show, s", "lookup, µs")
    title = f"{found[0].peers} peers, {found[0].routes} routes" if found else "No implementation could run"
    goal = f"Goal of `fast`: ≤ {RESIDENT_GOAL:g} MB, ≤ {LOOKUP_GOAL:g} µs."
    return f"{section(title, head, rows)}\n\n{goal} {about['processor']}, wgnode {about['wgnode']}.\n"


def _missed(scale: Scale, value: float, limit: float) -> str:
    return " **missed**" if scale.implementation.startswith("fast") and value > limit else ""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.dataplane.scale", description=__doc__)
    parser.add_argument("--peers", type=int, default=10_000)
    parser.add_argument("--routes", type=int, default=100_000)
    parser.add_argument("--implementations", default="python,fast", help="default python,fast")
    parser.add_argument("--json", type=Path, default=OUTPUT / "scale.json")
    given = parser.parse_args()
    if os.geteuid() != 0:
        sys.exit("the benchmark builds networks and needs root: make bench-scale does that")
    end_on_signals()
    routes, found = networks(given.peers, given.routes), []
    for name in given.implementations.split(","):
        say(f"{name}: {given.peers} peers, {given.routes} routes")
        with tempfile.TemporaryDirectory(prefix="wgnode-scale-") as directory:
            try:
                found.append(measure(name, given.peers, routes, Path(directory)))
            except (implementations.Missing, StepFailed) as error:
                say(f"{name} is left out: {error}")
    given.json.parent.mkdir(parents=True, exist_ok=True)
    about = machine.describe()
    given.json.write_text(json.dumps({"machine": about, "scale": [asdict(each) for each in found]}, indent=1) + "\n")
    print(markdown(found, about), end="")


if __name__ == "__main__":
    main()
