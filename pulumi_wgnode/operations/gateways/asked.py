"""What a gateway's hostd says now, with its host's clock."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pulumi_wgnode.hosts.host import Host
from pulumi_wgnode.operations import site_status
from wgnode.hostd.said import answered
from wgnode.image.paths import Paths
from wgnode.image.units import instance_option

ASK = """exec 2>/dev/null; hostd=$1; shift; date +%s.%N
/usr/bin/python3 -I "$(ls -t "$hostd"/*.pyz | head -n 1)" health --json "$@\""""


@dataclass(frozen=True)
class Asked:
    """`at` is the host's clock before the question, in seconds since 1970; `health` as said.py judged it."""

    at: float
    health: Mapping[str, Any] = field(default_factory=dict)

    @property
    def status(self) -> str:
        return str(self.health.get("status") or "none")

    @property
    def problem(self) -> str:
        """What is wrong with the gateway, "" while its node runs."""
        return next(site_status.gateway_problems(self.status, self.health), "")


def ask(host: Host, paths: Paths) -> Asked:
    """Raises HostError."""
    words = [paths.hostd_directory, *instance_option(paths)]
    clock, _, said = host.run(["sh", "-c", ASK, "health", *words], check=False, timeout=30).stdout.partition("\n")
    return Asked(float(clock) if clock.replace(".", "", 1).isdecimal() else 0.0, answered(said))
