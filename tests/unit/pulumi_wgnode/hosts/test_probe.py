"""Who answers for addresses: asked in commands that a host takes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pulumi_wgnode.hosts.host import Result
from pulumi_wgnode.hosts.networks import probe
from pulumi_wgnode.hosts.ssh.frame import LONGEST


class Answering:
    """One machine has the last address of each question."""

    def __init__(self) -> None:
        self.longest = 0

    def run(self, argv: Sequence[str], **_: Any) -> Result:
        self.longest = max(self.longest, len(" ".join(argv)))
        return Result(0, f"{argv[-1]} dev lan0 lladdr 02:00:00:00:00:07\n", "")


def test_many_addresses_are_asked_for_in_several_commands() -> None:
    many, host = [f"2001:db8:1111:2222:3333:4444:5555:{number:04x}" for number in range(5000)], Answering()
    found = probe.holders(host, many, tap="", lan="lan0")  # type: ignore[arg-type]
    assert list(found) == many[probe.AT_ONCE - 1 :: probe.AT_ONCE]
    assert host.longest < LONGEST / 2
    assert probe.holders(host, [], tap="", lan="lan0") == {}  # type: ignore[arg-type]
