"""The outer sockets: IPv4 and IPv6 on one port. A reply leaves from the address that the peer wrote to (sticky.py).

Sends never block: what a full socket buffer will not take waits in a short backlog, and the shell stops reading the
TUN meanwhile, so that senders feel the pressure. What the network refuses is counted by errno name and dropped.
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import socket
from collections import Counter, deque

from wgnode.io.cuts import Cuts
from wgnode.io.sticky import ANCILLARY_SPACE, SourcePaths, from_address, local_address
from wgnode.io.udp_bind import bind_pair, forbid_fragments, mark
from wgnode.io.udp_destination import Destination, SocketAddress, ipv6_address
from wgnode.platform import SocketOptions
from wgnode.protocol.endpoint import Endpoint

LARGEST_DATAGRAM = 65535
LARGEST_BACKLOG = 1024
"""Datagrams."""
KNOWN_SOURCES = 1024
"""Endpoints kept ready for the next datagram from or to them."""
MOST_HEARD = 64
"""Endpoints that wait for being judged; in a flood, the newest."""
BATCH = 64
OUTER_IPV4, OUTER_IPV6 = 28, 48
"""Bytes of IP and UDP header."""
MSG_CTRUNC = int(socket.MSG_CTRUNC)
"""As a number: with the enumeration's flag, asking would cost more than all else that is done for a datagram here."""
CUT_OFF = "control message cut off"
"""A counter's name, in both data planes."""


class UdpSockets:
    """Both sockets, from their making to `close`, on `port` of all addresses (0: a free one, then told by `port`).

    `counters` counts datagrams that could not be sent, by errno name; pass one in to go on counting in it.
    `paths` says which endpoints' sources are still good; without it, all whose address is still there. `options` are
    the platform's. `whole`: nothing is fragmented by anybody but what is sent for that, as far as the system can do it
    (docs/decisions/outer-fragments.md). Raises OSError (EADDRINUSE, EACCES; EPERM or EOPNOTSUPP for a fwmark).
    """

    def __init__(
        self,
        port: int = 0,
        fwmark: int = 0,
        counters: Counter[str] | None = None,
        paths: SourcePaths | None = None,
        options: SocketOptions | None = None,
        *,
        whole: bool = False,
    ) -> None:
        self.counters: Counter[str] = Counter() if counters is None else counters
        self.fwmark, self.paths, self._options = fwmark, paths, options
        self._sockets = bind_pair(port, fwmark, options)
        self._fragmenting = forbid_fragments(self._sockets, fwmark, options) if whole else {}
        self.port = int(self._sockets[socket.AF_INET].getsockname()[1])
        self._backlog: deque[tuple[bytes, Endpoint, bool]] = deque()
        self.cuts = Cuts(self.port, options if socket.AF_INET6 in self._fragmenting else None, fwmark)
        self.refused: dict[Endpoint, int] = {}
        """Bytes of UDP payload that were too long for the link to an endpoint: hints, for whoever takes them out."""
        self._sources: dict[object, Endpoint] = {}
        self._destinations: dict[Endpoint, Destination] = {}
        self._unjudged: set[Endpoint] = set()
        """Heard from before routing changed, and not since; the kernel was never asked about them."""
        self.heard: deque[Endpoint] = deque(maxlen=MOST_HEARD)
        """Endpoints for `judge_heard`."""
        self.nested = False
        """Whether anything was sent into another tunnel since routing changed."""

    def close(self) -> None:
        """The caller has stopped watching `descriptors` by now."""
        self.cuts.close()
        for each in (*self._fragmenting.values(), *self._sockets.values()):
            each.close()
        self._sockets, self._fragmenting = {}, {}
        self._backlog.clear()
        self._destinations.clear()

    def set_fwmark(self, fwmark: int) -> None:
        """Mark of every datagram sent, for policy routing; 0 for none. Raises OSError."""
        for each in (*self._fragmenting.values(), *self._sockets.values()):
            mark(each, fwmark, self._options)
        self.cuts.mark(fwmark)
        self.fwmark = fwmark
        self.routing_changed()

    def routing_changed(self) -> int:
        """Addresses, routes, rules or links are others now. The number of endpoints of which the kernel is asked anew.

        What the kernel says from now on of an endpoint that it was never asked about may be of another interface than
        that by which its datagram came, so its source is left out until another one comes.
        """
        if self.paths is not None:
            known = self.paths.knows
            heard = itertools.chain(self._sources.values(), self._unjudged)
            self._unjudged = {each for each in itertools.islice(heard, 2 * KNOWN_SOURCES) if not known(each)}
            self.paths.changed()
        self._sources.clear()
        self.cuts.routing_changed()
        known_ways = len(self._destinations)
        self._destinations.clear()
        self.nested = False
        return known_ways

    def judge_heard(self, most: int) -> bool:
        """Learn by which interface endpoints were heard of late, of `most` at most; whether there were any.

        The sooner the better: routing may be another one by the time that something is sent to them.
        """
        paths, asked = self.paths, 0
        while self.heard and paths is not None and asked < most:
            endpoint = self.heard.popleft()
            if not paths.knows(endpoint) and endpoint not in self._unjudged:
                asked += 1
                with contextlib.suppress(OSError):
                    paths.source(endpoint, self.fwmark)
        return asked > 0

    @property
    def sockets(self) -> dict[int, socket.socket]:
        """By address family."""
        return self._sockets

    @property
    def fragmenting(self) -> dict[int, socket.socket]:
        """Those that send what may be fragmented, by address family; families are missing whose `sockets` do that."""
        return self._fragmenting

    def path(self, endpoint: Endpoint) -> tuple[Endpoint, bool]:
        """How to send to an endpoint: with its source only if that is still good; and whether by another tunnel.

        Raises KeyError without a socket of its family, OSError where there is no way.
        """
        to = self._prepare(endpoint, first=False)
        return (endpoint if to.ancillary else endpoint._replace(source=None)), to.tunnel_mtu is not None

    def leaves_by(self, endpoint: Endpoint) -> int | None:
        """Index of the interface by which datagrams to it leave, None where that is not known."""
        return None if self.paths is None else self.paths.leaves_by(endpoint, self.fwmark)

    @property
    def descriptors(self) -> dict[int, int]:
        """File descriptor by address family."""
        return {family: each.fileno() for family, each in self._sockets.items()}

    @property
    def blocked(self) -> bool:
        """Whether datagrams wait for a socket to become writable."""
        return bool(self._backlog)

    @property
    def awaited(self) -> int | None:
        """Descriptor of the socket that the first of them waits for."""
        if not self._backlog:
            return None
        _, endpoint, fragments = self._backlog[0]
        family = socket.AF_INET6 if ":" in endpoint.address else socket.AF_INET
        chosen = self._fragmenting.get(family) if fragments else None
        return (chosen or self._sockets[family]).fileno()

    def receive(self, family: int, limit: int = BATCH) -> list[tuple[bytes, Endpoint]]:
        """Up to `limit` waiting datagrams of one family."""
        found: list[tuple[bytes, Endpoint]] = []
        receive = self._sockets[family].recvmsg
        known = self._sources
        for _ in range(limit):
            try:
                data, ancillary, flags, address = receive(LARGEST_DATAGRAM, ANCILLARY_SPACE)
            except BlockingIOError:
                break
            except OSError as error:  # an ICMP error about something sent earlier
                self._count(error)
                continue
            information = ancillary[0][2] if ancillary else b""
            if flags & MSG_CTRUNC:  # where it arrived is not known, and half of an address is none
                self.counters[CUT_OFF] += 1
                information = b""
            source = known.get((address, information))
            if source is None:
                source = self._remember(address, information)
            found.append((data, source))
        return found

    def send(self, data: bytes, endpoint: Endpoint, *, carries_tunnel: bool = False, fragments: bool = False) -> None:
        """Send, or keep for `flush`, or count and drop. `fragments`: it may be fragmented by kernel and routers.

        What carries another tunnel's datagram into yet another tunnel has to fit into it unfragmented: where tunnels
        are routed into each other, that ends the circle, since with each turn a datagram grows.
        """
        if carries_tunnel and self._too_long_to_nest(data, endpoint):
            self.counters["EMSGSIZE"] += 1
            return
        if self._backlog or not self._try(data, endpoint, fragments):
            self._keep(data, endpoint, fragments)

    def probe(self, data: bytes, endpoint: Endpoint) -> int:
        """Send at once, or not at all: 0, or the errno; EMSGSIZE says that it is too long for the link.

        EOPNOTSUPP where what is sent there may be fragmented, EAGAIN where others wait.
        """
        if (socket.AF_INET6 if ":" in endpoint.address else socket.AF_INET) not in self._fragmenting:
            return errno.EOPNOTSUPP
        try:
            if self._backlog:
                return errno.EAGAIN
            to = self._destinations.get(endpoint)
            self._hand_over(data, endpoint, to if to and to.checked else self._prepare(endpoint, first=to is None))
        except OSError as error:
            return error.errno or errno.EIO
        return 0

    def flush(self) -> None:
        """Send what waits, as far as the sockets take it."""
        while self._backlog and self._try(*self._backlog[0]):
            self._backlog.popleft()

    def _try(self, data: bytes, endpoint: Endpoint, fragments: bool) -> bool:
        """False when the socket's buffer is full."""
        try:
            to = self._destinations.get(endpoint)
            if to is None or not to.checked:
                to = self._prepare(endpoint, first=to is None)
            if not (fragments and self.cuts.send(data, endpoint, bool(to.ancillary), to.address)):
                self._hand_over(data, endpoint, to, fragments)
        except BlockingIOError:
            return False
        except KeyError:
            self.counters["EAFNOSUPPORT"] += 1
        except OSError as error:
            self._count(error)
            if error.errno == errno.EMSGSIZE and not fragments and len(self.refused) < KNOWN_SOURCES:
                self.refused[endpoint] = len(data)
        return True

    def _hand_over(self, data: bytes, endpoint: Endpoint, to: Destination, fragments: bool = False) -> None:
        """Raises OSError."""
        if not to.send(data, fragments):
            self._destinations[endpoint] = to._replace(ancillary=[])

    def _prepare(self, endpoint: Endpoint, *, first: bool) -> Destination:
        """How to send to an endpoint, worked out once. Raises KeyError without a socket of its family, OSError.

        A first reply goes back the way that its datagram came without a question to the kernel: a flood from many
        sources, each of which gets a cookie, must not cost that much.
        """
        address, port, source = endpoint
        if ":" in address:
            family, destination = socket.AF_INET6, ipv6_address(address, port)
        else:
            family, destination = socket.AF_INET, (address, port)
        checked = self.paths is not None and (source is None or not first or self.paths.knows(endpoint))
        if endpoint in self._unjudged:
            return self._judged_without_source(endpoint)
        tunnel_mtu = None
        if self.paths is not None and checked:
            source = self.paths.source(endpoint, self.fwmark)
            tunnel_mtu = self.paths.tunnel_mtu(endpoint, self.fwmark)
            self.nested = self.nested or tunnel_mtu is not None
        ancillary = [] if source is None else from_address(source)
        if len(self._destinations) >= KNOWN_SOURCES:
            self._destinations.clear()
        made = Destination(
            self._sockets[family],
            destination,
            ancillary,
            tunnel_mtu,
            checked or self.paths is None,
            self._fragmenting.get(family),
        )
        self._destinations[endpoint] = made
        return made

    def _judged_without_source(self, endpoint: Endpoint) -> Destination:
        made = self._prepare(endpoint._replace(source=None), first=False)
        self._destinations[endpoint] = made
        return made

    def _too_long_to_nest(self, data: bytes, endpoint: Endpoint) -> bool:
        known = self._destinations.get(endpoint)
        if known is None or known.tunnel_mtu is None:
            return False
        return len(data) + (OUTER_IPV6 if ":" in endpoint.address else OUTER_IPV4) > known.tunnel_mtu

    def _keep(self, data: bytes, endpoint: Endpoint, fragments: bool) -> None:
        if len(self._backlog) < LARGEST_BACKLOG:
            self._backlog.append((data, endpoint, fragments))
        else:
            self.counters["EAGAIN"] += 1

    def _count(self, error: OSError) -> None:
        self.counters[errno.errorcode.get(error.errno or 0, "unknown")] += 1

    def _remember(self, address: SocketAddress, information: bytes) -> Endpoint:
        """Endpoints of recent sources, so that each packet does not build one anew."""
        if len(self._sources) >= KNOWN_SOURCES:
            self._sources.clear()
        text = address[0]
        if len(address) == 4 and address[3]:
            text = f"{text.partition('%')[0]}%{address[3]}"
        written_to = local_address(information) if information else None
        endpoint = self._sources[address, information] = Endpoint(text, address[1], written_to)
        if endpoint in self._unjudged:
            self._unjudged.remove(endpoint)
            self._destinations.pop(endpoint, None)
        if written_to is not None:
            self.heard.append(endpoint)
        return endpoint
