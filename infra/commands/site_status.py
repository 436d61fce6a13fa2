"""What a site's gateway says of itself, beside what its host was told to run; and what of it is wrong."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_network
from typing import Any

from infra.hosts import owners
from infra.hosts.host import Host
from infra.hosts.query import answer
from wgnode.hostd.said import answered, believed
from wgnode.image import layers
from wgnode.image.units import instance_option
from wgnode.nodeconfig import NodeConfig, PeerConfig, encode_key

HANDSHAKE_LIMIT = 180.0
"""Seconds after which a session can't be used any more (REJECT_AFTER_TIME): no packet passes without a newer one."""
_READ = """exec 2>/dev/null; hostd=$1 unit=$2; shift 2
/usr/bin/python3 -I "$(ls -t "$hostd"/*.pyz | head -n 1)" health --json "$@"
echo; grep -oE 'images/[0-9a-f]{64}' "/etc/systemd/system/$unit" | head -n 1"""


@dataclass(frozen=True)
class Peer:
    """A peer as the site's node has it. `handshake_age` is in seconds, None before the first; traffic in bytes.

    `expected`: somebody keeps this session alive, so it must have a recent handshake.
    """

    name: str
    public_key: str
    endpoint: str | None
    handshake_age: float | None
    rx_bytes: int
    tx_bytes: int
    persistent_keepalive: int
    expected: bool = False

    @property
    def problem(self) -> str | None:
        """Sites that both can be called, and have nothing to say, have no session: that is no problem."""
        if self.handshake_age is None:
            if self.expected or self.tx_bytes:
                return f"no handshake with {self.name} yet" + (", it does not answer" if self.tx_bytes else "")
        elif self.expected and self.handshake_age > HANDSHAKE_LIMIT:
            return f"no handshake with {self.name} for {self.handshake_age:.0f} s"
        return None


@dataclass(frozen=True)
class SiteStatus:
    """`image`, `wanted` (on the host's disk), `loaded`, `applied` and `live` are digests, "" where unknown; `uptime` is
    in seconds. `status` is hostd's word for the guest, or "away" for a host that did not answer. `dataplane` is "fast"
    or "python", "" where no node runs."""

    stack: str
    site: str
    host: str
    status: str
    problems: tuple[str, ...] = ()
    image: str = ""
    wanted: str = ""
    loaded: str = ""
    applied: str = ""
    live: str = ""
    uptime: float | None = None
    dataplane: str = ""
    peers: tuple[Peer, ...] = field(default=())

    @property
    def healthy(self) -> bool:
        return not self.problems


def away(stack: str, site: str, host: str, error: Exception) -> SiteStatus:
    """The row of a site that can't be asked."""
    return SiteStatus(stack, site, host, "away", (str(error),))


@dataclass(frozen=True)
class Answer:
    """What a host said: the node's health, the image's SHA-256, the configuration on its disk or why it has none."""

    health: Mapping[str, Any]
    image: str
    config: NodeConfig | None
    damage: str = ""


def ask(host: Host, site: str) -> Answer:
    """Three round trips; of the host's gateways that of the site. Raises HostError."""
    paths = owners.paths_of(answer(host, owners.QUERY), site)
    arguments = [paths.hostd_directory, paths.gateway_unit, *instance_option(paths)]
    said = host.run(["sh", "-c", _READ, "status", *arguments], check=False, timeout=20)
    health, _, image = said.stdout.partition("\n")
    layer = host.read_file(paths.config_layer)
    report = answered(health)
    digest = image.strip().removeprefix("images/")
    try:
        return Answer(report, digest, layers.config_of(layer) if layer else None)
    except ValueError as error:
        return Answer(report, digest, None, f"{paths.config_layer} is damaged ({error})")


def judge(stack: str, site: str, host: str, answer: Answer, now: float) -> SiteStatus:
    """`now` in seconds since 1970."""
    health, config = believed(answer.health) if answer.health else {}, answer.config
    status = str(health.get("status") or "none")
    peers = tuple(_peer(raw, config, now) for raw in health.get("peers") or ())
    problems = [*_gateway_problems(status, health, config), *(_differences(config, health) if config else ())]
    if answer.damage:
        problems.append(f"{answer.damage}; `pulumi up` of its stack writes it anew")
    return SiteStatus(
        stack=stack,
        site=site,
        host=host,
        status=status,
        problems=tuple(problems) + tuple(peer.problem for peer in peers if peer.problem),
        image=answer.image,
        wanted=config.digest if config else "",
        loaded=health.get("loaded") or "",
        applied=health.get("applied") or "",
        live=health.get("live") or "",
        uptime=health.get("uptime"),
        dataplane=health.get("dataplane") or "",
        peers=peers,
    )


def _peer(raw: Mapping[str, Any], config: NodeConfig | None, now: float) -> Peer:
    """A site keeps its sessions alive if it has a keepalive itself; one without endpoint keeps them towards us."""
    last = raw.get("last_handshake")
    configured = next((peer for peer in config.peers if peer.name == raw.get("name")), None) if config else None
    keepalive = int(raw.get("persistent_keepalive") or 0)
    return Peer(
        name=raw.get("name") or raw["public_key"],
        public_key=raw["public_key"],
        endpoint=raw.get("endpoint"),
        handshake_age=None if last is None else max(0.0, round(now - last, 1)),
        rx_bytes=int(raw.get("rx_bytes") or 0),
        tx_bytes=int(raw.get("tx_bytes") or 0),
        persistent_keepalive=keepalive,
        expected=keepalive > 0 or (configured is not None and configured.endpoint is None),
    )


def _gateway_problems(status: str, health: Mapping[str, Any], config: NodeConfig | None) -> Iterator[str]:
    if status == "none":
        yield "no gateway is deployed here, or its hostd is broken; `pulumi up` of its stack mends it"
    elif status != "running":
        yield f"the gateway is {status}" + (f": {health['error']}" if health.get("error") else "")
    elif config and (applied := health.get("applied") or health.get("loaded")) != config.digest:
        yield (
            f"the node runs configuration {short(applied)}, its host's disk has {short(config.digest)}; `pulumi up` of"
            " its stack mends it"
        )


def _differences(config: NodeConfig, health: Mapping[str, Any]) -> Iterator[str]:
    """What somebody changed in the running node by hand, such as by `wg set`."""
    if health.get("status") != "running" or (health.get("applied") or health.get("loaded")) != config.digest:
        return
    running = {key: raw for raw in health.get("peers") or () for key in raw.get("public_keys") or [raw["public_key"]]}
    wanted = {encode_key(key): peer for peer in config.peers for key in peer.public_keys}
    for key in sorted(running.keys() - wanted.keys()):
        yield f"the node has a peer {key} that is not in its configuration"
    for peer in config.peers:
        raw = running.get(encode_key(peer.public_keys[0]))
        yield from _peer_differences(peer, raw) if raw else [f"the node has lost its peer {peer.name}"]


def _peer_differences(peer: PeerConfig, raw: Mapping[str, Any]) -> Iterator[str]:
    found, wanted = _networks(raw.get("allowed_ips") or ()), _networks(peer.allowed_ips)
    if found != wanted:
        yield f"peer {peer.name} has allowed IPs {', '.join(found) or 'none'} instead of {', '.join(wanted)}"
    keepalive = raw.get("persistent_keepalive")
    if keepalive is not None and keepalive != peer.persistent_keepalive:
        yield f"peer {peer.name} has keepalive {keepalive} instead of {peer.persistent_keepalive}"


def _networks(texts: Iterable[str]) -> Sequence[str]:
    return sorted(str(ip_network(text)) for text in texts)


def short(digest: str | None) -> str:
    return digest[:12] if digest else "none"
