"""What not every operating system has, as parts that are handed to shell and gateway.

A part that is None is missing: its docstring says what the node then does without. Linux has all of them (linux/).
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv6Address
from typing import Any, Protocol

from wgnode.io.control import Message
from wgnode.io.loop import Loop
from wgnode.io.sticky import Tunnels
from wgnode.io.tun import Tun, TunOffloads
from wgnode.nodeconfig import NodeConfig, NodeSecrets
from wgnode.pathmtu.pieces import Whole
from wgnode.pathmtu.said import Said
from wgnode.protocol.endpoint import Endpoint
from wgnode.work import Work

Warn = Callable[[str], None]
"""Gets a line for a person."""


class Platform(Protocol):
    """The parts. For `wgnode device` the first six are enough; a gateway needs `layers` too."""

    @property
    def now(self) -> Callable[[], float] | None:
        """Seconds that never step back and go on while the machine sleeps (clock_gettime(2), CLOCK_BOOTTIME).

        None: time.monotonic, by which a session grows no older in a suspend.
        """

    @property
    def set_clock(self) -> Callable[[int], float] | None:
        """Step the wall clock to these nanoseconds since 1970 (clock_settime(2)); by how many seconds it was off.

        Raises OSError. None: the machine keeps its own time.
        """

    @property
    def tun(self) -> Callable[[str, int, TunOffloads], Tun] | None:
        """Make the interface: its name, its MTU in bytes, and what is asked of the kernel. Raises OSError, ValueError.

        None: a TUN without offloads and header, whose name the system may have chosen otherwise (Tun.name).
        """

    @property
    def limit_frames(self) -> Callable[[str, int], None] | None:
        """At most so many packets as one from the interface of that name (linux/if_link.h IFLA_GSO_MAX_SEGS).

        Raises OSError. None: as many as the kernel joins, of which those beyond one sending cost another.
        """

    @property
    def sockets(self) -> SocketOptions | None:
        """None: the outer sockets stay as they were made."""

    @property
    def routing(self) -> Callable[[], Routing] | None:
        """Watch the routing of the network namespace where this is called. Raises OSError.

        None: a reply's source address is kept for as long as the kernel takes it, and tunnels that are routed into
        themselves or each other are not noticed. The node itself keeps to the MTUs of routes that are configured.
        """

    @property
    def links(self) -> Links | None:
        """None: who made the machine gave it addresses and routes. What would change them needs a new start."""

    @property
    def neighbours(self) -> Callable[[], Neighbours] | None:
        """The LAN's card, once `links` has prepared it. Raises OSError.

        None: nobody answers in the LAN for the addresses of users' devices, whose machines find them by `lan.reach:
        proxy-arp` at most.
        """

    @property
    def layers(self) -> Layers | None:
        """None: there is no gateway to be."""

    @property
    def control(self) -> OpenControl | None:
        """None: no host asks, so the node begins at once, with nothing of what the one before has learned."""

    @property
    def machine(self) -> Machine | None:
        """None: a process among others, which just ends."""


class SocketOptions(Protocol):
    """Options of the outer sockets. One that the kernel takes and ignores counts as missing, so it is read back."""

    def prepare(self, made: socket.socket) -> None:
        """Before it is bound: buffers, each datagram's local address (ip(7) IP_PKTINFO), fragments. Raises OSError.

        What is missing is left out: without local addresses, replies leave from the one that the route says.
        """

    def join_and_split(self, made: socket.socket, *, gro: bool) -> bool:
        """For the compiled plane: datagrams that came joined into one (udp(7) UDP_GRO) where `gro`, their ECN bits, and
        their times of arrival in ns (socket(7) SO_TIMESTAMPNS). Whether the kernel splits what is sent (UDP_SEGMENT).

        What is missing is left out, and the plane does without.
        """

    def forbid_fragments(self, made: socket.socket, fwmark: int) -> socket.socket | None:
        """For the search of path MTUs: from now on what `made`, which is bound, sends is not fragmented by anybody, and
        may be as long as its link takes, whatever ICMP or routes say (ip(7) IP_PMTUDISC_PROBE).

        A second socket on its port that only sends, for what may be fragmented as before. None, with `made` as it was,
        where the system has no such thing. Raises OSError.
        """

    def fragmenter(self, fwmark: int) -> Fragmenter | None:
        """For datagrams over IPv6 in fragments of a given size. Raises OSError (EPERM). None: there is no such."""

    def too_bigs(self, port: int) -> TooBigs | None:
        """What is said to us about datagrams from a port that were too long. Raises OSError (EPERM). None: there is no
        such thing."""

    def whole_messages(self, port: int, endpoint: Endpoint) -> Hearing | None:
        """What comes from an endpoint to a port of ours, and in one piece. Raises OSError (EPERM). None: there is no
        such thing."""

    def mark(self, made: socket.socket, fwmark: int) -> None:
        """For policy routing, 0 for none (socket(7) SO_MARK). Raises OSError, also where it would have no effect."""


class Hearing(Protocol):
    """What comes from one endpoint. It waits in a small buffer until it is asked for."""

    def read(self) -> list[Whole]:
        """Messages that came whole."""

    def close(self) -> None: ...


class TooBigs(Protocol):
    """Descriptors that are readable when something was said, what it was, and whether there may be more of it."""

    @property
    def fds(self) -> list[int]: ...

    def read(self, most: int) -> tuple[list[Said], bool]:
        """Of `most` of each family those that may be believed: see wgnode.pathmtu.said."""

    def close(self) -> None: ...


class Fragmenter(Protocol):
    """Sends what it is told in pieces that it is told."""

    def send(self, data: bytes, ports: tuple[int, int], source: bytes, to: tuple[str, int], size: int) -> None:
        """A UDP payload over IPv6, between two ports, in IP packets of at most `size` bytes. `to`: address and scope.

        Raises OSError.
        """

    def fileno(self) -> int:
        """Of a socket that puts IPv6 headers before fragments, for a plane that cuts itself."""

    def mark(self, fwmark: int) -> None:
        """As SocketOptions.mark. Raises OSError."""

    def close(self) -> None: ...


class Routing(Protocol):
    """Asks the kernel for routes, and tells when they may have changed: `fd` is then readable, until `read`."""

    fd: int

    def read(self) -> bool:
        """Whether anything was told; what it was does not matter."""

    def interface(self, endpoint: Endpoint, fwmark: int) -> int:
        """Index of the interface by which a datagram from `endpoint.source` leaves (rtnetlink(7)). Raises OSError."""

    def own_address(self, theirs: bytes, interface: int) -> bytes | None:
        """From which of our addresses a packet to this one (4 or 16 bytes, both) leaves by the interface with that
        index; None where it leaves by another, or by none. Raises OSError."""

    def mtu(self, interface: int) -> int:
        """Bytes, of the interface with that index. Raises OSError."""

    def tunnels(self) -> Tunnels:
        """MTU in bytes by index of every interface that is a tunnel, as it is now."""

    def close(self) -> None: ...


class Links(Protocol):
    """Gives the machine's interfaces what a configuration says. Raises OSError, naming what failed."""

    def prepare(self, config: NodeConfig) -> None:
        """The cards, and masquerading where that is asked for: before there is a tunnel."""

    def announce(self, config: NodeConfig) -> None:
        """Tell the cards' neighbours whose these addresses are; another gateway may have had them a moment ago."""

    def configure_tunnel(self, config: NodeConfig, name: str) -> list[str]:
        """Addresses of the tunnel, and routes into it. Returns allowed IPs that got none: those of default routes."""

    def change_tunnel(self, old: NodeConfig, new: NodeConfig, name: str) -> Work[list[str]]:
        """From one configuration's addresses, routes and MTU to another's; it may be tried again after an error.

        Returns as above. A step an address or a route.
        """


class Neighbours(Protocol):
    """Frames of ARP and neighbour discovery: descriptors that are readable when there are some."""

    @property
    def fds(self) -> list[int]: ...

    def read(self, most: int) -> list[bytes]:
        """Ethernet frames of the LAN, at most so many of each kind."""

    def send(self, frame: bytes) -> None:
        """An Ethernet frame, which may be lost."""

    def join(self, groups: Iterable[IPv6Address]) -> None:
        """Hear what goes to these multicast groups, and no others."""


class Layers(Protocol):
    """What the gateway was booted with."""

    def config(self) -> NodeConfig:
        """Raises ConfigError for a layer that is missing, cut off, corrupt or of another format."""

    def secrets(self) -> NodeSecrets:
        """Called once; they may be gone afterwards. Raises ConfigError, which never quotes them."""

    def image(self) -> dict[str, Any]:
        """The image's description of itself, {} when there is none."""


class Line(Protocol):
    """To the host, whoever is there: one at a time."""

    def send(self, message: Message) -> bool:
        """Queue a message; False when it was dropped because nobody reads. Raises FrameError for one too large."""

    def listen(self, wanted: bool) -> None:
        """Whether what the host sends is read. Else it has to wait; of what was read before, some may still come."""


OpenControl = Callable[[Loop, Callable[[bytes], None], Callable[[], None]], Line]
"""Begin to wait for the host. Each body that it sends is handed to the first callable, from the loop; the second is
called each time that the host has come, when `send` works already. Neither before this returns."""


@dataclass(frozen=True)
class Confinement:
    """What a machine has given up for good: by measure what its kernel says of it, and which of them do not hold."""

    values: Mapping[str, str] = field(default_factory=dict)
    lacking: tuple[str, ...] = ()


class Machine(Protocol):
    """What process 1 does to its kernel."""

    def boot(self, warn: Warn) -> None:
        """Before all else: file systems, modules, settings. Raises OSError for what it can't do without."""

    def ready(self, warn: Warn) -> Confinement:
        """The node is set up: give up what only that needed, and expect signs of life from now on."""

    def alive(self) -> None:
        """A sign of life (the watchdog's)."""

    def end(self) -> None:
        """The machine ends, and whoever runs it starts a new one. Never returns."""


def clock(platform: Platform) -> Callable[[], float]:
    """Seconds, by the best clock that there is for deadlines."""
    return platform.now or time.monotonic


def open_tun(platform: Platform, name: str, mtu: int, wanted: TunOffloads) -> Tun:
    """An interface with what of `wanted` the platform grants. Raises OSError, ValueError for a bad name."""
    return Tun(name, mtu) if platform.tun is None else platform.tun(name, mtu, wanted)
