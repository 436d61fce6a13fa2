"""A new start of a gateway's guest, and for how long its tunnels were down."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pulumi_wgnode.hosts.host import Host, HostError
from pulumi_wgnode.operations.gateways.asked import Asked, ask
from pulumi_wgnode.operations.site_status import HANDSHAKE_LIMIT
from wgnode.image.paths import Paths

POLL = 0.3
"""Seconds between two questions."""
RESTART = """date +%s.%N; systemctl reset-failed "$1" 2>/dev/null; exec systemctl restart "$1\""""


@dataclass(frozen=True)
class Back:
    """How a start went. All are seconds since it was asked for, by the host's clock: `running` when the node was first
    seen to run, None where it does not; `sessions` by peer when there was a handshake, None for not yet."""

    running: float | None = None
    sessions: Mapping[str, float | None] = field(default_factory=dict)
    problem: str = ""

    @property
    def healthy(self) -> bool:
        return self.running is not None and None not in self.sessions.values()

    @property
    def outage(self) -> float | None:
        """Until the last session was back; without any, until the node ran."""
        times = [at for at in self.sessions.values() if at is not None]
        return None if not self.healthy else max(times) if times else self.running


def awaited(before: Asked) -> list[str]:
    """The peers with a session now, which has to come back."""
    return [
        peer_name(raw)
        for raw in before.health.get("peers") or ()
        if raw.get("last_handshake") is not None and before.at - raw["last_handshake"] < HANDSHAKE_LIMIT
    ]


def judged(now: Asked, started: float, peers: list[str], former: Back) -> Back:
    """What an answer shows, after what was known. An answer of the guest before is none."""
    uptime = now.health.get("uptime")
    if now.status != "running" or uptime is None or uptime > now.at - started + 1:
        return Back(former.running, former.sessions or dict.fromkeys(peers), now.problem or "the former guest answers")
    last = {peer_name(raw): raw.get("last_handshake") for raw in now.health.get("peers") or ()}
    sessions = {
        name: round(at - started, 1) if (at := last.get(name)) is not None and at > started else None for name in peers
    }
    missing = [name for name, at in sessions.items() if at is None]
    running = former.running if former.running is not None else round(now.at - started, 1)
    return Back(running, sessions, f"no handshake with {', '.join(missing)} yet" if missing else "")


def restart(
    host: Host,
    paths: Paths,
    peers: list[str],
    patience: float,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], object] = time.sleep,
) -> Back:
    """Start the guest anew and wait, `patience` seconds, until its node runs and has met these peers.

    Raises HostError where it can't be asked to; one that can't be asked afterwards is a problem of the result.
    """
    said = host.run(["sh", "-c", RESTART, "restart", paths.gateway_unit]).stdout.strip()
    started, until = float(said or 0), clock() + patience
    back = Back(sessions=dict.fromkeys(peers))
    while True:
        try:
            back = judged(ask(host, paths), started, peers, back)
        except HostError as error:
            back = Back(back.running, back.sessions, str(error))
        if back.healthy or clock() >= until:
            return back
        sleep(POLL)


def peer_name(raw: Mapping[str, Any]) -> str:
    return str(raw.get("name") or raw["public_key"])
