"""What is measured, by name: our node in its variants, other implementations in builds as their users have them."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Mapping
from functools import partial

from tests.lab.programs import RUN_OURS, Program
from tools import go_tools, rust
from tools.fastpath import wheel

REFERENCE = "wireguard-go"
"""What ratios are taken to, where it takes part."""
CABLE = "none"
"""No tunnel: what the machine's network stack and the measuring programs can do at all."""
RENEWING = (
    "import wgnode.protocol.handshake as h, wgnode.protocol.session as s, wgnode.protocol.timers as t; "
    "s.REKEY_AFTER_TIME = 2.0; h.REKEY_TIMEOUT = t.REKEY_TIMEOUT = 1.0; "
)
"""Ours then renews a session that it initiated once that is 2 s old."""


class Missing(Exception):
    """The message says why an implementation can't run here."""


def _ours(*options: str, renewing: bool = False, **environment: str) -> Program:
    code = (RENEWING if renewing else "") + RUN_OURS
    return Program(
        "ours",
        lambda interface: (sys.executable, "-c", code, "device", interface, "-f", *options),
        ours=True,
        environment={"LOG_LEVEL": "error", **environment},
    )


def _python(renewing: bool) -> Program:
    return _ours("--dataplane", "python", renewing=renewing)


def _fast(renewing: bool, threads: str = "auto", **environment: str) -> Program:
    try:
        importlib.import_module("wgnode_fastpath")
    except ImportError as error:
        raise Missing(f"the compiled data plane is not installed: {error}") from None
    return _ours("--dataplane", "fast", "--threads", threads, renewing=renewing, **environment)


def _fast_null(renewing: bool) -> Program:
    """A build of the extension that leaves encryption out, in place of the one that is installed."""
    if (reason := wheel.why_not()) is not None:
        raise Missing(f"the compiled data plane without encryption is not built: {reason}")
    return _fast(renewing, PYTHONPATH=str(wheel.ensure_bound()), WGNODE_CRYPTO="null")


def _wireguard_go(renewing: bool) -> Program:
    program = go_tools.ensure("wireguard-go")
    return Program("wireguard-go", lambda interface: (program, "-f", interface), environment={"LOG_LEVEL": "error"})


def _rust(name: str, renewing: bool) -> Program:
    if (reason := rust.why_not(name)) is not None and not rust.installed(name, optimised=True).exists():
        raise Missing(reason)
    program = rust.ensure(name, optimised=True)
    options = ("-f", "--disable-drop-privileges", "-v", "error")
    return Program(name, lambda interface: (program, *options, interface), environment={})


_PROGRAMS: Mapping[str, Callable[[bool], Program]] = {
    "wireguard-go": _wireguard_go,
    "boringtun": partial(_rust, "boringtun"),
    "gotatun": partial(_rust, "gotatun"),
    "python": _python,
    "fast": _fast,
    "fast-1": partial(_fast, threads="1"),
    "fast-2": partial(_fast, threads="2"),
    "fast-ring": partial(_fast, WGNODE_CRYPTO="ring"),
    "fast-null": _fast_null,
}
NAMES = (CABLE, *_PROGRAMS)
DEFAULT = tuple(name for name in NAMES if name not in ("fast-1", "fast-2"))
"""Without those that are there to be compared with each other: numbers of threads."""


def check(name: str) -> str:
    """`name` as it is: one of NAMES, or two of them joined by `+`, A's end first. Raises ValueError."""
    for end in name.split("+", 1):
        if end not in _PROGRAMS and name != CABLE:
            raise ValueError(f"no implementation {end!r}; choose of {', '.join(NAMES)}, or A+B for unlike ends")
    return name


def programs(name: str, *, renewing: bool = False) -> tuple[Program, Program] | None:
    """What runs at A and at B, built where it is not yet; None for the bare cable.

    Raises Missing where it can't run here, and StepFailed where it could but its building failed.
    """
    if name == CABLE:
        return None
    one, two = (name.split("+") * 2)[:2]
    return _PROGRAMS[one](renewing), _PROGRAMS[two](renewing)


def renews(name: str) -> bool:
    """Whether A's end, which begins, can be told to renew its sessions soon."""
    return name.split("+")[0] in ("python", "fast", "fast-1", "fast-2", "fast-ring", "fast-null")
