"""WireGuard programs that run on a TUN of this machine: ours, and those that ours is held against.

Each is `Program(name, command)`: what a test gets as a parameter, so that it says nothing of whose program it runs.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tools import go_tools, rust
from wgnode.dataplane.choose import FAST, PYTHON, Unavailable, choose

RUN_OURS = "from wgnode.cli import main; main()"
SHORT_SESSIONS = "import wgnode.protocol.session as s; s.REKEY_AFTER_TIME = 2.0; "
"""Ours then begins a renewal once a session that it initiated is older than 2 s, at most every REKEY_TIMEOUT."""


@dataclass(frozen=True)
class Program:
    """`command(interface)` runs it in the foreground, with `environment` added to ours."""

    name: str
    command: Callable[[str], Sequence[str | Path]]
    ours: bool = False
    environment: Mapping[str, str] = field(default_factory=lambda: {"LOG_LEVEL": "verbose"})

    def __str__(self) -> str:
        return self.name


def ours(plane: str = PYTHON, prelude: str = "", *options: str) -> Program:
    """Our node on a data plane, as `wgnode device` runs it. `prelude` is Python to run before it, `options` are more of
    the command's.

    Skips where the compiled one is not built.
    """
    try:
        choose(plane)
    except Unavailable as missing:
        pytest.skip(str(missing))
    command = (sys.executable, "-c", prelude + RUN_OURS, "device")
    more = ("-f", "--dataplane", plane, *options)
    return Program(f"ours-{plane}", lambda interface: (*command, interface, *more), ours=True)


PLANES = (PYTHON, FAST)
OURS = ours()


def wireguard_go() -> Program:
    """Fails the test where set-up has not built it."""
    program = go_tools.installed("wireguard-go")
    if not program.exists():
        pytest.fail("wireguard-go is not built: run tools/setup tests", pytrace=False)
    return Program("wireguard-go", lambda interface: (program, "-f", interface))


def _rust(name: str, *more: str) -> Program:
    """Skips where this machine can't build it; fails where it could and set-up has not."""
    program = rust.installed(name)
    if not program.exists():
        if (reason := rust.why_not(name)) is not None:
            pytest.skip(reason)
        pytest.fail(f"{name} is not built: run tools/setup tests", pytrace=False)
    options = ("-f", "--disable-drop-privileges", "-v", "debug", *more)
    return Program(name, lambda interface: (program, *options, interface))


OTHERS: dict[str, Callable[[], Program]] = {
    "wireguard-go": wireguard_go,
    "boringtun": lambda: _rust("boringtun", "--disable-connected-udp"),  # which would go on from an old port
    "gotatun": lambda: _rust("gotatun"),
}
"""By name; getting one may skip or fail the test."""


def named(name: str) -> Program:
    """Ours ("ours-fast") or another by name, for a harness that runs whichever it is told to. Raises KeyError."""
    whose, _, plane = name.partition("-")
    return ours(plane or PYTHON) if whose == "ours" else OTHERS[name]()
