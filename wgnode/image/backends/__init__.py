"""What machine a gateway is: an implementation a backend, and all in which they differ. Pure.

Each runs as one systemd unit of its host, whose output is its console, and whose control socket hostd opens. So
starting, stopping, going back to the former one, console, log and what is read back of the node are the same for all.
How the choice came about, and what each can't do: docs/decisions/backends.md.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeGuard

if TYPE_CHECKING:
    from wgnode.image.paths import Paths
    from wgnode.image.units import GatewayUnit
    from wgnode.nodeconfig import NodeConfig

Name = Literal["microvm", "process", "libvirt", "nanos"]
Cards = Literal["tap", "veth"]
"""What the host makes for it, for the transit link and in the LAN."""
DEFAULT: Name = "microvm"
BUILT: tuple[Name, ...] = ("libvirt", "microvm", "nanos", "process")
"""Of the names, those that there is an implementation of: a module each, beside this one."""
COMMON_PACKAGES = ("conntrack", "iproute2", "nftables", "procps", "python3", "wireguard-tools")


class Backend(Protocol):
    """Has no state. It may have a `warning`, `misfits` and `look` too: see the functions below."""

    name: Name
    about: str
    """What it is, for a person: "a virtual machine"."""
    cards: Cards
    packages: tuple[str, ...]
    """Debian packages that its host has to have."""
    accelerated: bool
    """Whether there is a choice of what runs it, and its cards are virtual hardware's."""
    cannot: Mapping[str, str]
    """By what may be asked for, as `refusals` takes it, why it is refused."""

    def service(self, unit: GatewayUnit) -> str:
        """The text of the gateway's systemd unit. `memory` (MiB) and `cpus` are what it may use at most."""

    def programs(self, paths: Paths) -> Mapping[str, tuple[str, bytes]]:
        """What else the unit runs on its host: each one's path and content, by a name of its own."""

    def boot_timeout(self, unit: GatewayUnit) -> float:
        """Seconds from its start until the node answers, on a busy host."""

    def same_machine(self, one: str, other: str) -> bool:
        """Whether two texts of its unit start the same machine, so that the one that runs may stay."""


class _Choosy(Backend, Protocol):
    def misfits(self, config: NodeConfig) -> Sequence[str]: ...


def of(machine: Mapping[str, Any]) -> Backend:
    """Of a gateway's `machine`, also of one that says nothing, as before there was a choice. Raises ValueError."""
    return named(machine.get("backend") or DEFAULT)


def named(name: str) -> Backend:
    """Raises ValueError for one that is not built."""
    module = importlib.import_module(f"{__name__}.{built(name)}")
    made: Backend = getattr(module, name.capitalize())()
    return made


def built(name: str) -> str:
    """The name. Raises ValueError for one that is none, or not built yet."""
    if name not in BUILT:
        raise ValueError(f"there is no backend {name} in this version of wgnode; there are: {', '.join(BUILT)}")
    return name


def refusals(name: str, asked: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """What is asked for by name, such as `accelerator` or `masquerade`, and the backend can't do: with the reason.

    What is not asked for is None, False or "auto". A backend that there is none of refuses nothing more.
    """
    backend = named(name) if name in BUILT else None
    for what, why in (backend.cannot if backend else {}).items():
        if asked.get(what) not in (None, False, "auto"):
            yield what, f"backend {name}: {why}"


def warning(machine: Mapping[str, Any]) -> str | None:
    """What is to be said at each `up` of a gateway with this machine; None for most."""
    said: str | None = getattr(of(machine), "warning", None)
    return said


def misfits(machine: Mapping[str, Any], config: NodeConfig) -> list[str]:
    """What of a configuration the machine's backend can't do, beside what `refusals` has names for."""
    backend = of(machine)
    return list(backend.misfits(config)) if has_misfits(backend) else []


def has_misfits(backend: Backend) -> TypeGuard[_Choosy]:
    """Whether there may be any, for which a configuration has to be compiled."""
    return hasattr(backend, "misfits")


def look(backend: Backend, paths: Paths) -> Sequence[str] | None:
    """A command for its host that tells, a line each, in what the machine that runs is not as its unit started it.

    It exits non-zero, saying why, where that can't be told. None where nobody but the unit can change the machine.
    """
    command = getattr(backend, "look", None)
    return list(command(paths)) if command else None
