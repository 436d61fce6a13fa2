"""What a site's gateway says of itself, and what is wrong with the site: gateway, host and sessions.

Whether what is on the host is as wanted is judged by its resources (site_parts.py), the node's configuration with it.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from pulumi_wgnode.errors import ExplainedError
from pulumi_wgnode.hosts import owners
from pulumi_wgnode.hosts.host import Host, HostHangs, HostUnreachable, NoEntry, NoSsh, NotAsked
from pulumi_wgnode.hosts.query import answer
from pulumi_wgnode.operations import part_words
from pulumi_wgnode.operations.counted import Counted, accounts_of, by_key, counted_of
from pulumi_wgnode.operations.site_parts import Part
from wgnode.hostd.accounts import Account
from wgnode.hostd.said import answered, believed
from wgnode.image import layers
from wgnode.image.units import instance_option
from wgnode.nodeconfig import NodeConfig, PeerConfig

HANDSHAKE_LIMIT = 180.0
"""Seconds after which a session can't be used any more (REJECT_AFTER_TIME): no packet passes without a newer one."""
_READ = """exec 2>/dev/null; hostd=$(ls -t "$1"/*.pyz | head -n 1) unit=$2; shift 2
/usr/bin/python3 -I "$hostd" health --json "$@"
echo; grep -oE 'images/[0-9a-f]{64}' "/etc/systemd/system/$unit" | head -n 1
echo; /usr/bin/python3 -I "$hostd" accounts "$@\""""


@dataclass(frozen=True)
class Peer:
    """A peer as the site's node has it. `handshake_age` is in seconds, None before the first; traffic in bytes.

    `expected`: somebody keeps this session alive, so it must have a recent handshake. `mtu` is what passes to it, wire
    bytes, and `mtu_evidence` what vouches for that; None from a node that tells nothing of paths. `rx_bytes` and
    `tx_bytes` are since the node's start, `counted` is in all, None from a hostd that does not count. A `device` is a
    person's tunnel, which comes and goes; it is `expired` when its time is over.
    """

    name: str
    public_key: str
    endpoint: str | None
    handshake_age: float | None
    rx_bytes: int
    tx_bytes: int
    persistent_keepalive: int
    expected: bool = False
    mtu: int | None = None
    mtu_evidence: str | None = None
    device: bool = False
    expired: bool = False
    counted: Counted | None = None

    @property
    def problem(self) -> str | None:
        """Sites that both can be called, and have nothing to say, have no session: that is no problem. Nor is a device
        that is switched off."""
        if self.device:
            return None
        if self.handshake_age is None:
            if self.expected or self.tx_bytes:
                return f"no handshake with {self.name} yet" + (", it does not answer" if self.tx_bytes else "")
        elif self.expected and self.handshake_age > HANDSHAKE_LIMIT:
            return f"no handshake with {self.name} for {self.handshake_age:.0f} s"
        return None


@dataclass(frozen=True)
class SiteStatus:
    """`image`, `wanted` (on the host's disk), `loaded`, `applied` and `live` are digests, "" where unknown; `uptime` is
    in seconds. `status` is hostd's word for the guest, or "away" for a host that did not answer, "refused" for one that
    does not let us in, "unknown" where nobody could ask, or one that is there told nothing. `parts` is what of the host
    is as its stack has it, empty where that is not known. `dataplane` is "fast" or "python", "" where no node runs.
    `notes` are what may as well be in order.
    """

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
    parts: tuple[Part, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def healthy(self) -> bool:
        return not self.problems


def unasked(stack: str, site: str, host: str, error: Exception) -> SiteStatus:
    """The row of a site that can't be asked."""
    return SiteStatus(stack, site, host, why_not(error), (str(error),))


def why_not(error: Exception) -> str:
    if isinstance(error, NoEntry | NoSsh):
        return "refused"
    return "away" if isinstance(error, HostUnreachable) and not isinstance(error, HostHangs | NotAsked) else "unknown"


@dataclass(frozen=True)
class Answer:
    """What a host said: the node's health, the image's SHA-256, the configuration on its disk or why it has none, what
    it has counted."""

    health: Mapping[str, Any]
    image: str
    config: NodeConfig | None
    damage: str = ""
    accounts: tuple[Account, ...] = ()


def ask(host: Host, site: str) -> Answer:
    """Three round trips; of the host's gateways that of the site. Raises HostError."""
    paths = owners.paths_of(answer(host, owners.QUERY), site)
    arguments = [paths.hostd_directory, paths.gateway_unit, *instance_option(paths)]
    said = host.run(["sh", "-c", _READ, "status", *arguments], check=False, timeout=20)
    health, *others = said.stdout.split("\n")
    layer = host.read_file(paths.config_layer)
    report = answered(health)
    digest = next((line.removeprefix("images/") for line in others if line.startswith("images/")), "")
    counted = tuple(accounts_of(next((line for line in others if line.startswith("{")), "")))
    try:
        return Answer(report, digest, layers.config_of(layer) if layer else None, "", counted)
    except ValueError as error:
        return Answer(report, digest, None, f"{paths.config_layer} is damaged ({error})", counted)


def judge(
    stack: str, site: str, host: str, answer: Answer, parts: tuple[Part, ...] | ExplainedError, now: float
) -> SiteStatus:
    """`parts` is what was found on the host, or why it is not known; `now` in seconds since 1970."""
    health, config = believed(answer.health) if answer.health else {}, answer.config
    status = str(health.get("status") or "none")
    counted = by_key(answer.accounts)
    peers = tuple(_peer(raw, config, now, counted) for raw in health.get("peers") or ())
    problems = [*gateway_problems(status, health), *_taken(health), *_part_problems(parts)]
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
        parts=() if isinstance(parts, ExplainedError) else parts,
        notes=(*_machine_notes(site, health), *_expired_notes(config, now)),
    )


def _peer(
    raw: Mapping[str, Any], config: NodeConfig | None, now: float, counted: Mapping[str, Account] = MappingProxyType({})
) -> Peer:
    """A site keeps its sessions alive if it has a keepalive itself; one without endpoint keeps them towards us."""
    last = raw.get("last_handshake")
    configured = next((peer for peer in config.peers if peer.name == raw.get("name")), None) if config else None
    device = next((one for one in config.devices if one.name == raw.get("name")), None) if config else None
    keepalive = int(raw.get("persistent_keepalive") or 0)
    path = raw.get("path_mtu") or {}
    return Peer(
        name=raw.get("name") or raw["public_key"],
        public_key=raw["public_key"],
        endpoint=raw.get("endpoint"),
        handshake_age=None if last is None else max(0.0, round(now - last, 1)),
        rx_bytes=int(raw.get("rx_bytes") or 0),
        tx_bytes=int(raw.get("tx_bytes") or 0),
        persistent_keepalive=keepalive,
        expected=keepalive > 0 or (configured is not None and configured.endpoint is None),
        mtu=path.get("size"),
        mtu_evidence=path.get("evidence"),
        device=device is not None,
        expired=device is not None and is_over(device, now),
        counted=counted_of(counted.get(raw["public_key"])),
    )


def gateway_problems(status: str, health: Mapping[str, Any]) -> Iterator[str]:
    if status == "none":
        yield "no gateway is deployed here, or its hostd is broken; `pulumi up` of its stack mends it"
    elif status != "running":
        yield f"the gateway is {status}" + (f": {health['error']}" if health.get("error") else "")


def _machine_notes(site: str, health: Mapping[str, Any]) -> Iterator[str]:
    if lacking := health.get("unconfined"):
        yield (
            f"its guest's kernel does not hold {', '.join(lacking)} (docs/security.md); `wgnode gateway console {site}`"
            " says why"
        )


def _expired_notes(config: NodeConfig | None, now: float) -> Iterator[str]:
    for device in config.devices if config else ():
        if is_over(device, now):
            when = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(device.expires))
            yield f"device {device.name} has expired ({when}) and is refused; `wgnode user expire` gives more time"


def is_over(device: PeerConfig, now: float) -> bool:
    return device.expires is not None and device.expires <= now


def _taken(health: Mapping[str, Any]) -> Iterator[str]:
    for address, one in (health.get("taken") or {}).items():
        yield (
            f"device {one['device']} is shut out: {address} is another machine's in the LAN ({one['mac']}); take it"
            " away there, or give the device another (`wgnode user remove`, `add`)"
        )


def _part_problems(parts: tuple[Part, ...] | ExplainedError) -> Iterator[str]:
    if isinstance(parts, ExplainedError):
        yield f"whether its host is as it should be is not known: {parts}"
        return
    yield from part_words.all_problems(parts)


def short(digest: str | None) -> str:
    return digest[:12] if digest else "none"
