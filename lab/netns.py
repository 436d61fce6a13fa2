"""Network namespaces: made, wired, read and cleaned; the machine's own is never entered or changed.

A veth pair is created directly between two namespaces, so its ends never exist in the machine's own.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TypeVar

from lab.errors import LabError
from lab.plan import Cable, End
from lab.process import ours, run

T = TypeVar("T")
DIRECTORY = Path("/run/netns")
_CLONE_NEWNET = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)


def exists(name: str) -> bool:
    """True where the name is a live namespace (an interrupted `ip netns add` leaves a plain file)."""
    path = DIRECTORY / name
    return path.exists() and path.stat().st_dev != DIRECTORY.stat().st_dev


def create(name: str) -> bool:
    """Make the namespace with its loopback up; False where it was there already."""
    made = not exists(name)
    if made:
        (DIRECTORY / name).unlink(missing_ok=True)
        run(["ip", "netns", "add", name])
    run(["ip", "-n", name, "link", "set", "lo", "up"])
    return made


def delete(name: str) -> bool:
    """Remove the namespace and, with its last process, all that is in it; False where there was none."""
    if not (DIRECTORY / name).exists():
        return False
    if exists(name):
        run(["ip", "netns", "delete", name])
    (DIRECTORY / name).unlink(missing_ok=True)
    return True


def inside(name: str, function: Callable[[], T]) -> T:
    """Call `function` in a thread that has entered the namespace. A socket made there stays in that namespace."""
    result: list[T] = []
    failure: list[BaseException] = []

    def enter() -> None:
        try:
            with open(DIRECTORY / name, "rb") as handle:
                if _libc.setns(handle.fileno(), _CLONE_NEWNET):
                    raise OSError(ctypes.get_errno(), f"cannot enter network namespace {name}")
            result.append(function())
        except BaseException as error:
            failure.append(error)

    thread = threading.Thread(target=enter, daemon=True)
    thread.start()
    thread.join()
    if failure:
        raise failure[0]
    return result[0]


def connect(name: str, address: str, port: int, timeout: float) -> socket.socket:
    """A TCP connection made from inside the namespace; `timeout` in seconds."""
    return inside(name, lambda: socket.create_connection((address, port), timeout))


def interfaces(name: str) -> set[str]:
    return set(inside(name, lambda: [interface for _, interface in socket.if_nameindex()]))


def sysctl(name: str, settings: dict[str, str]) -> None:
    """Set sysctls of the namespace's own network stack."""

    def write() -> None:
        for key, value in settings.items():
            Path("/proc/sys", key.replace(".", "/")).write_text(value, "ascii")

    inside(name, write)


def kernel_defaults() -> dict[str, str]:
    """What the kernel starts with (ip-sysctl.rst), of what matters to packets.

    A new namespace copies the IPv4 settings of the machine's own, where sysctl.conf, systemd or Docker changed them.
    """
    off = ("accept_local", "arp_announce", "arp_filter", "arp_ignore", "forwarding", "proxy_arp", "route_localnet")
    ipv4 = dict.fromkeys((*off, "rp_filter", "log_martians"), "0")
    ipv4 |= {"accept_redirects": "1", "send_redirects": "1", "secure_redirects": "1"}
    found = {f"net.ipv4.conf.{each}.{key}": value for each in ("all", "default") for key, value in ipv4.items()}
    return found | {f"net.ipv6.conf.{each}.forwarding": "0" for each in ("all", "default")}


def batch(name: str, commands: Iterable[str], family: str = "") -> None:
    """Run `ip` commands inside the namespace, in one process; `family` is -4, -6 or as each command says."""
    if text := "\n".join(commands):
        run(["ip", *family.split(), "-n", name, "-batch", "-"], stdin=text + "\n")


def wire(cable: Cable, name: Callable[[str], str]) -> None:
    """Make one cable as planned, keeping what is there already; `name` maps a role to its namespace."""
    near, far = cable
    present = [end.interface in interfaces(name(end.role)) for end in cable]
    if not all(present):
        for end, there in zip(cable, present, strict=True):
            if there:
                run(["ip", "-n", name(end.role), "link", "delete", end.interface])
        ends = [near.interface, "type", "veth", "peer", "name", far.interface, "netns", name(far.role)]
        run(["ip", "-n", name(near.role), "link", "add", *ends])
    for end in cable:
        # Datagrams that are sent as one cross a cable one by one, as a real one.
        run(["ip", "netns", "exec", name(end.role), "ethtool", "-K", end.interface, "tx-udp-segmentation", "off"])
        if end.addresses:
            _configure(end, name(end.role))


def _configure(end: End, namespace: str) -> None:
    commands = [f"address replace {address} dev {end.interface} nodad" for address in end.addresses if ":" in address]
    commands += [f"address replace {address} dev {end.interface}" for address in end.addresses if ":" not in address]
    commands += [f"link set {end.interface} up"]
    commands += [f"route replace default via {router} dev {end.interface}" for router in end.default_via]
    batch(namespace, commands)


def reset(name: str, cabled: Iterable[str]) -> None:
    """What a power cut does to a host's network: nothing stays but its network cards, down and without addresses.

    The namespace itself outlives a host's reboot; without this, tunnels, bridges, rules and sysctls would too.
    """
    keep = {"lo", *cabled}
    if lost := keep - interfaces(name):
        raise LabError(
            f"namespace {name} has no interface {', '.join(sorted(lost))}; run `{ours('up')}` to wire it again"
        )
    run(["ip", "netns", "exec", name, "nft", "flush", "ruleset"])
    cards = [*cabled]
    batch(name, [f"link set {card} down nomaster" for card in cards])
    for interface in sorted(interfaces(name) - keep):
        run(["ip", "-n", name, "link", "delete", interface], check=False)
    batch(name, [f"address flush dev {card}" for card in ["lo", *cards]])
    for family, tables in (("-4", {32766: "main", 32767: "default"}), ("-6", {32766: "main"})):
        rules = [f"rule add pref {number} lookup {table}" for number, table in tables.items()]
        batch(name, ["route flush table all", "rule flush", *rules], family)
    batch(name, ["link set lo down", "link set lo up"])
    sysctl(name, kernel_defaults())


def end_processes(names: Iterable[str], patience: float = 2.0) -> list[str]:
    """End what was started inside these namespaces, and say what it was; `patience` in seconds.

    A namespace with a process in it lives on without its name. This process and its ancestors are spared.
    """
    spared = set(_ancestors(os.getpid()))
    victims = {pid: command for pid, command in _processes(names).items() if pid not in spared}
    for number in (signal.SIGTERM, signal.SIGKILL):
        for pid in victims:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
        deadline = time.monotonic() + patience
        while time.monotonic() < deadline and victims.keys() & _processes(names).keys():
            time.sleep(0.02)
    return sorted(victims.values())


def _processes(names: Iterable[str]) -> dict[int, str]:
    """Number and name of every process whose network namespace is one of these."""
    wanted = {(DIRECTORY / name).stat().st_ino for name in names if exists(name)}
    found = {}
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if (entry / "ns/net").stat().st_ino in wanted:
                found[int(entry.name)] = (entry / "comm").read_text().strip()
    return found


def _ancestors(pid: int) -> Iterator[int]:
    while pid > 0:
        yield pid
        pid = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
