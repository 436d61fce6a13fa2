"""Gateway to gateway: what a client of one site gets from a client of the other, on either data plane.

    client a 10.1.0.100 ---- 10.1.0.2 gateway a 192.0.2.1 ---- 192.0.2.2 gateway b 10.2.0.2 ---- 10.2.0.100 client b
    [wgi-XXXXXX-client-a]            [wgi-XXXXXX-a]                    [wgi-XXXXXX-b]            [wgi-XXXXXX-client-b]

As a process, a gateway is `wgnode device` in a namespace that forwards. As a microVM it is the appliance, and its
namespace has nothing but QEMU, hostd, and bridges from the cards' taps to the cables.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from tests.bench.dataplane import guests, implementations
from tests.bench.dataplane.measurements import MEASUREMENTS, idle
from tests.bench.dataplane.pair import MTU, End, Failed, Pair
from tests.bench.dataplane.results import Results
from tests.lab.interop import Bench, Namespace, Node, bench

TEST = "gateways"
"""What a run is told to measure it by, beside the names of measurements."""
PATHS = PROCESS, MICROVM = ("process", "microvm")
PLANES = PLAIN, COMPILED = ("python", "fast")
"""Both are needed: what counts is the second's ratio to the first."""
INTERVAL = 0.05
"""Seconds between pings. 200 a second, as a pair gets, keep an emulated gateway on plain Python busy."""
IDLE = replace(MEASUREMENTS["ping-idle"], run=idle(INTERVAL))
MEASURED = (MEASUREMENTS["tcp"], MEASUREMENTS["tcp-reverse"], IDLE)
HANDSHAKE = 30.0
"""Seconds that the first may take: emulated guests on a busy machine lose some."""

Start = Callable[[Bench, str], AbstractContextManager[Sequence[End]]]
"""Starts both gateways, on a data plane, at the ends of a cable."""
Say = Callable[[str], None]


@dataclass(frozen=True)
class Variant:
    """How both gateways run."""

    path: str
    plane: str
    start: Start

    @property
    def name(self) -> str:
        """By which its samples are kept."""
        return name_of(self.path, self.plane)

    @contextmanager
    def running(self, directory: Path) -> Iterator[Pair]:
        """The two clients as a pair, once the gateways have shaken hands. Raises Failed, or Died."""
        with bench(directory) as cable:
            one, two = (connected_client(cable, number) for number in (1, 2))
            with self.start(cable, self.plane) as ends:
                pair = Pair(one, two, ends, client_address(2), directory, between=tuple(cable.spaces))
                pair.wait_for_answer(HANDSHAKE)
                if not all(end.handshake() for end in ends):
                    raise Failed("the clients reach each other without a handshake of their gateways")
                yield pair


def name_of(path: str, plane: str) -> str:
    return f"{path}-{plane}"


def wanted(tests: Sequence[str], names: Sequence[str]) -> bool:
    """Whether a run of these tests and implementations has a part for gateways."""
    return TEST in tests and set(PLANES) <= set(names)


def prepared(paths: Sequence[str], directory: Path, results: Results, say: Say) -> list[Variant]:
    """Variants in the order of a round. Why a path can't be taken goes to `results`, and what guests run on."""
    starts: dict[str, Start] = {}
    if PROCESS in paths:
        starts[PROCESS] = processes
    if MICROVM in paths and (image := build(results, say)) is not None:
        starts[MICROVM] = made = guests.unpacked(image, directory / "guests")
        results.machine["guests"] = str(made.accelerator)
        say(f"guests run on {made.accelerator}")
    return [Variant(path, plane, start) for path, start in starts.items() for plane in PLANES]


def build(results: Results, say: Say) -> Path | None:
    """The guests' image; None where microVMs are left out, with the reason in `results`."""
    try:
        return guests.ensure_image(say)
    except implementations.Missing as error:
        results.missing[f"gateways, {MICROVM}"] = str(error)
        say(f"gateways as {MICROVM}s are left out: {error}")
        return None


@contextmanager
def processes(cable: Bench, plane: str) -> Iterator[tuple[Node, ...]]:
    """Ended with the cable's namespaces."""
    programs = implementations.programs(plane)
    assert programs is not None
    nodes = tuple(cable.node(number, program) for number, program in enumerate(programs, 1))
    for node, other in (nodes, nodes[::-1]):
        lan = client_network(other.number)
        node.set("peer", other.public_key, "allowed-ips", lan, "endpoint", other.endpoint(4))
        node.namespace.run("ip", "link", "set", node.interface, "mtu", str(MTU))
        node.namespace.run("ip", "route", "add", lan, "dev", node.interface)
        node.namespace.run("ip", "address", "add", f"10.{node.number}.0.2/24", "dev", "lan")
        node.namespace.run("sysctl", "-qw", "net.ipv4.ip_forward=1")
    yield nodes


def connected_client(cable: Bench, number: int) -> Namespace:
    """A client whose cable ends as `lan` beside its gateway's `veth0`."""
    client = cable.namespace(f"client-{'ab'[number - 1]}")
    gateway = cable.spaces[number - 1]
    gateway.run("ip", "link", "add", "lan", "type", "veth", "peer", "name", "eth0", "netns", client.name)
    gateway.run("ip", "link", "set", "lan", "up")
    for words in (
        f"address add {client_address(number)}/24 dev eth0",
        "link set eth0 up",
        f"route add default via 10.{number}.0.2",
    ):
        client.run("ip", *words.split())
    return client


def client_address(number: int) -> str:
    return f"10.{number}.0.100"


def client_network(number: int) -> str:
    return f"10.{number}.0.0/24"
