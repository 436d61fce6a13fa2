"""The gateway: links, tunnel and node as the baked configuration says, and what it answers about itself."""

from __future__ import annotations

import contextlib
import errno
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from wgnode.appliance import configured, guesses
from wgnode.appliance.admission import Admission
from wgnode.appliance.health import device_health
from wgnode.appliance.heard import Learned
from wgnode.appliance.log import Log
from wgnode.appliance.presence import Presence
from wgnode.dataplane.choose import AUTO, Choice, choose
from wgnode.io import address, paths
from wgnode.io.endpoints import parse_endpoint
from wgnode.io.loop import Loop
from wgnode.io.node import LiveDigest, Tai64n, from_config, literal_endpoint, reconfiguring
from wgnode.io.path_report import fitted
from wgnode.io.shell import Shell
from wgnode.io.tun import Tun
from wgnode.nodeconfig import ConfigError, NodeConfig, NodeSecrets, decode_key, encode_key, fixed_differences
from wgnode.platform import Confinement, Layers, Links, Platform, open_tun, tunnel
from wgnode.protocol.device import Device
from wgnode.work import Work, at_once

DATA_PLANE = "WGNODE_DATAPLANE"
"""Kernel command line: `python` or `fast` for one of the data planes, as in `wgnode device`; the best otherwise.

What the kernel does not know itself, such as this, WGNODE_CRYPTO and WGNODE_OFFLOADS, becomes our environment.
"""
EIO_REPLY = "errno=-5\n\n"
"""UAPI's answer while no node runs."""
ANNOUNCED_AGAIN = (1.0, 3.0)
"""Seconds after the links are up."""


class TunnelGone(Exception):
    """The TUN interface disappeared under the node; only a new start helps."""


class Gateway:
    """`error` says why no node runs; the gateway then only answers the host.

    `loaded` is the digest of the configuration that was booted, `config` the one in force: `configure` replaces it.
    `run` tells this start from every other: counters begin anew with it.
    """

    def __init__(self, loop: Loop, log: Log, platform: Platform) -> None:
        self.loop, self.log, self.platform = loop, log, platform
        self.config: NodeConfig | None = None
        self.loaded: str | None = None
        self.shell: Shell | None = None
        self.plane: Choice | None = None
        self.error: str | None = None
        self.confinement = Confinement()
        self.image = {} if platform.layers is None else platform.layers.image()
        self.stamps = Tai64n()
        self.learned: dict[str, Sequence[Learned]] = {}
        self.admission = Admission(loop, log)
        self.presence = Presence(loop, log, platform.neighbours, self._shut_out)
        self.run = os.urandom(8).hex()
        self._begun = loop.now()  # a clock that is its host's counts from that one's boot
        self._live: LiveDigest | None = None

    def load(self) -> None:
        """Everything but the first datagram. What goes wrong is told in `error` and in the log, not raised."""
        try:
            layers = _layers(self.platform)
            self.config = layers.config()
            self.loaded = self.config.digest
            secrets = layers.secrets()
            self._prepare_links(self.config)
            self.plane = plane = choose(os.environ.get(DATA_PLANE, AUTO))
            device = from_config(plane.new_plane(), self.config, secrets, self.loop.now(), tai64n=self.stamps)
            tun = open_tun(self.platform, self.config.interface, self.config.mtu, plane.tun_offloads)
            granted = ", ".join(_granted(tun)) or "plain"
            self.log.info(f"data plane: {plane.name} ({plane.why}), threads: {plane.threads}; interface: {granted}")
            self._configure_tunnel(self.config, tun.name)
            self._live = LiveDigest(device)
            self.shell = Shell(
                self.loop,
                device,
                tun,
                self.platform,
                packet_io=plane.packet_io,
                on_gone=_tunnel_gone,
                log=self.log.warning,
                path_mtu=self.config.path_mtu and paths.wanted(os.environ),
            )
            if self.shell.paths is not None:
                self.shell.paths.mtu_follows = True
            guesses.tell_profile(self.shell.paths, self.config)
            configured.keep_to(self.shell, self.config)
        except Exception as error:
            self._fail(error)

    def _prepare_links(self, config: NodeConfig) -> None:
        """Raises OSError."""
        if (links := self.platform.links) is not None:
            links.prepare(config)
            for delay in ANNOUNCED_AGAIN:
                self.loop.call_later(delay, lambda: self._announce(links, config))
        elif config.lan.masquerade:
            raise OSError(errno.EOPNOTSUPP, "lan.reach: this platform can't masquerade; choose host-route")

    def _announce(self, links: Links, config: NodeConfig) -> None:
        try:
            links.announce(config)
        except OSError as error:
            self.log.warning(f"the links' addresses were not announced again: {error}")

    def _configure_tunnel(self, config: NodeConfig, name: str) -> None:
        """Raises OSError."""
        if (links := self.platform.links) is not None:
            self._warn_of_skipped(links.configure_tunnel(config, name))

    def _beyond_links(self, old: NodeConfig, new: NodeConfig) -> str | None:
        """Why only a new start changes the tunnel's interface, None where nothing has to change or this can do it."""
        differing = tunnel.differences(old, new) if self.platform.links is None else None
        return f"{differing} can't be changed while it runs on this platform" if differing else None

    def begin(
        self,
        floor: int = 0,
        endpoints: Mapping[str, str] | None = None,
        learned: Mapping[str, Sequence[Learned]] | None = None,
    ) -> None:
        """Start the node with what the host remembers of the one before, and call every peer.

        No time stamp is at or below `floor` (nanoseconds since 1970); `endpoints` (by public key) are for peers that
        have none; those that can't be used are skipped. A node that runs already, because the host was late, keeps to
        the floor from its next time stamp on, and only calls the peers that it finds by them. `learned` (by public key)
        is where path MTUs are searched from.
        """
        shell, config = self.shell, self.config
        if shell is None or config is None:
            return
        self.learned = dict(learned or {}) or self.learned
        guesses.offer(shell.paths, self.learned)
        placed = self._place(shell.device, endpoints or {})
        self.stamps.raise_floor(floor)
        self.admission.watch(shell, config)
        if not shell.device.running:
            try:
                shell.start()
            except Exception as error:
                return self._fail(error)
            self.presence.watch(config)
            port, peers = shell.device.listen_port, len(shell.device.peers)
            self.log.info(f"{config.mesh}/{config.name} up, port {port}, {peers} peers")
        elif not placed:
            return
        shell.slices.add(self._call(shell.device), _ignore, shell.flushing)

    def _call(self, device: Device) -> Work[None]:
        """A handshake with whoever may be found and is not met."""
        for peer in device.peers:
            yield True
            device.initiate(peer, self.loop.now())

    def _place(self, device: Device, endpoints: Mapping[str, str]) -> int:
        """Give peers without an endpoint the one where they were last; how many got one."""
        placed, skipped = 0, 0
        for key, text in endpoints.items():
            try:
                peer, endpoint = device.peer(decode_key(key)), parse_endpoint(address.place(text))
            except (TypeError, ValueError):
                skipped += 1
                continue
            if peer is not None and peer.endpoint is None:
                device.set_endpoint(peer, endpoint)
                placed += 1
        if skipped:
            self.log.warning(f"{skipped} of {len(endpoints)} endpoints that the host remembers can't be used")
        return placed

    def configure(self, config: str, secrets: str, reply: Callable[[dict[str, Any]], None]) -> None:
        """Change the running node to another configuration (both canonical JSON), losing no packet of what stays.

        Answers `applied` (the digest), or `restart` (why only a new start can do it) or `error`. After an error it
        may be tried again: whatever was done is compared with what is, not with what should have been.
        """
        reading = _read(config.encode(), secrets.encode())
        if self.shell is None:
            return self._apply(at_once(reading), reply)
        self.shell.slices.add(reading, lambda read: self._apply(read, reply))  # beside packets: nothing is changed yet

    def _apply(
        self, read: tuple[NodeConfig, NodeSecrets] | ValueError, reply: Callable[[dict[str, Any]], None]
    ) -> None:
        if isinstance(read, ValueError):
            return reply(self._not_applied(read))
        if self.shell is None or not self.shell.device.running:
            return reply({"restart": f"no node runs ({self.error or 'it is booting'})"})
        self.shell.slices.add(self._configure(self.shell, *read), reply, self.shell.changing)

    def _configure(self, shell: Shell, new: NodeConfig, secrets: NodeSecrets) -> Work[dict[str, Any]]:
        old = self.config
        assert old is not None, "where there is a shell there is a configuration"
        if fixed := fixed_differences(old, new) or self._beyond_links(old, new):
            return {"restart": fixed}
        try:
            yield from self._change(shell, old, new, secrets)
        except (OSError, ValueError) as error:
            return self._not_applied(error)
        self.config = new
        self.presence.watch(new)
        guesses.tell_profile(shell.paths, new)
        configured.keep_to(shell, new)
        self.log.info(f"configuration {new.digest[:12]} applied, {len(new.peers)} peers")
        return {"applied": new.digest, "endpoints": self._named_endpoints()}

    def _not_applied(self, error: Exception) -> dict[str, Any]:
        self.log.error(f"the new configuration was not applied: {error}")
        return {"error": str(error)}

    def _change(self, shell: Shell, old: NodeConfig, new: NodeConfig, secrets: NodeSecrets) -> Work[None]:
        """What may be refused comes first. A route into the tunnel leads nowhere while no peer has its network."""
        device = shell.device
        moved = old.listen_port != new.listen_port or _endpoints(old) != _endpoints(new)
        if device.listen_port != new.listen_port:
            shell.set_listen_port(new.listen_port)
        if device.fwmark:
            shell.set_fwmark(0)
        yield from reconfiguring(device, new, secrets, self.loop.now, former=old)
        self.admission.watch(shell, new)
        if self.platform.links is not None:
            self._warn_of_skipped((yield from self.platform.links.change_tunnel(old, new, shell.tun.name)))
        for peer in device.peers if moved else ():  # those that only know our former place would go on sending there
            yield True
            device.send_keepalive(peer, self.loop.now())
        yield from self._call(device)

    def _shut_out(self, taken: frozenset[str]) -> None:
        """These devices' addresses are other machines', so nothing of theirs comes into the LAN, nor is led away."""
        former, self.admission.taken = self.admission.taken, taken
        self.admission.look()
        if self.shell is not None and self.platform.links is not None:
            self.shell.slices.add(self._reroute(self.shell, self.platform.links, former, taken), _ignore)

    def _reroute(self, shell: Shell, links: Links, former: frozenset[str], taken: frozenset[str]) -> Work[None]:
        config = self.config
        assert config is not None, "where there is a shell there is a configuration"
        try:
            yield from links.change_tunnel(_without(config, former), _without(config, taken), shell.tun.name)
        except OSError as error:
            self.log.warning(f"routes to devices whose addresses are taken: {error}")

    def probe(self, peer: str | None, reply: Callable[[dict[str, Any]], None], fresh: bool = False) -> None:
        """Search path MTUs anew, to the peer of this public key or to all; answers as `health`, or `error`.

        `fresh`: each of them is called too, whatever session there is, so that a handshake shows it to be there now.
        """
        if self.shell is None or self.shell.paths is None:
            return reply({"error": self.error or "this node searches no path MTU"})
        try:
            key = None if peer is None else decode_key(peer)
        except ValueError as error:
            return reply({"error": str(error)})
        found = self.shell.search_again(key)
        if fresh:
            self.shell.slices.add(self._renew(self.shell.device, key), _ignore, self.shell.flushing)
        elif not found:
            return reply({"error": "no session with whom to probe, or nobody to ask: health says which (unmeasured)"})
        self.health(lambda health: reply({"health": health}))

    def _renew(self, device: Device, key: bytes | None) -> Work[None]:
        for peer in device.peers:
            yield True
            if key in (None, *peer.public_keys):
                device.renew(peer, self.loop.now())

    def uapi(self, text: str, reply: Callable[[str], None]) -> None:
        if self.shell is None:
            return reply(EIO_REPLY)
        self.shell.uapi(text, reply)

    def hello(self) -> dict[str, Any]:
        """`endpoints` are those given as names, by peer: the host resolves them and sets them by UAPI."""
        return {**self._identity(), "endpoints": self._named_endpoints(), "can": ["resume", "configure", "probe"]}

    def clock_set(self) -> None:
        """The wall clock was stepped."""
        self.admission.look()

    def heartbeat(self) -> dict[str, Any]:
        """`tai64n`: the clock time of the newest time stamp (nanoseconds), which the next gateway has to exceed."""
        return {"tai64n": self.stamps.last}

    def health(self, reply: Callable[[dict[str, Any]], None]) -> None:
        """Answers what there is to tell."""
        if self.shell is None or self._live is None:
            return reply({**self._described(), "live": None, "peers": [], "counters": {}})
        self.shell.slices.add(self._health(self.shell, self._live), reply)

    def _health(self, shell: Shell, live: LiveDigest) -> Work[dict[str, Any]]:
        shell.catch_up()
        of_device = yield from device_health(shell.device, live, self.loop.now(), time.time(), shell.paths)
        counters = {**shell.counters, **fitted(shell.device)}
        return {**self._described(), **of_device, "counters": counters}

    def _described(self) -> dict[str, Any]:
        return {
            **self._identity(),
            "run": self.run,
            "uptime": round(self.loop.now() - self._begun, 3),
            "time": round(time.time(), 3),
            "python": ".".join(map(str, sys.version_info[:3])),
            "kernel": os.uname().release,
            "pid1": {"pid": os.getpid(), "exe": _first_program(), "argv": sys.orig_argv},
            "image": self.image.get("inputs"),
            "dataplane": None if self.plane is None else self.plane.name,
            "confinement": dict(self.confinement.values),
            "unconfined": list(self.confinement.lacking),
            "taken": self.presence.told(),
            "offloads": [] if self.shell is None else _granted(self.shell.tun),
        }

    def _identity(self) -> dict[str, Any]:
        config = self.config
        return {
            "format": 1,
            "mesh": None if config is None else config.mesh,
            "name": None if config is None else config.name,
            "loaded": self.loaded,
            "applied": None if config is None or self.shell is None else config.digest,
            "version": self.image.get("version"),
            "error": self.error,
        }

    def _named_endpoints(self) -> dict[str, str]:
        peers = () if self.config is None or self.shell is None else self.config.peers
        return {
            encode_key(peer.public_keys[0]): peer.endpoint
            for peer in peers
            if peer.endpoint is not None and literal_endpoint(peer.endpoint) is None
        }

    def _warn_of_skipped(self, networks: list[str]) -> None:
        for skipped in networks:
            self.log.warning(f"no route to {skipped} through the tunnel: it would carry the tunnel's own datagrams")

    def _fail(self, error: Exception) -> None:
        self.shell = None
        expected = isinstance(error, OSError | ValueError)
        self.error = str(error) if expected else f"{type(error).__name__}: {error}"
        self.log.error(f"the node does not run: {self.error}")
        if not expected:
            with contextlib.suppress(OSError):  # nobody reads the console
                import traceback  # seldom needed, and large

                traceback.print_exc()


def _without(config: NodeConfig, names: frozenset[str]) -> NodeConfig:
    return replace(config, devices=tuple(each for each in config.devices if each.name not in names))


def _read(config: bytes, secrets: bytes) -> Work[tuple[NodeConfig, NodeSecrets] | ValueError]:
    """Both, or why not."""
    try:
        return (yield from NodeConfig.reading(config)), NodeSecrets.from_json(secrets)
    except ValueError as error:
        return error


def _endpoints(config: NodeConfig) -> dict[str, str | None]:
    return {peer.name: peer.endpoint for peer in config.peers}


def _granted(tun: Tun) -> list[str]:
    """What the kernel does for the data plane on the tunnel's interface."""
    return [name for name, granted in tun.offloads._asdict().items() if granted]


def _first_program() -> str:
    """What process 1 runs; where nothing tells, this process is the only one."""
    try:
        return os.readlink("/proc/1/exe")
    except OSError:
        return sys.executable


def _layers(platform: Platform) -> Layers:
    if platform.layers is None:
        raise ConfigError("node configuration: this platform has none for a gateway")
    return platform.layers


def _ignore(_: None) -> None: ...


def _tunnel_gone() -> None:
    raise TunnelGone("the tunnel interface is gone")
