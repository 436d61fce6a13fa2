"""A gateway as a domain, on its host: has libvirt start it, passes its console on, and ends as it does.

The domain is transient: libvirt keeps nothing of it, so it can't start it without the unit, nor from a managed save
with keys in it, nor as somebody has edited it (docs/decisions/backends.md). The host needs `virsh`, and nothing of
libvirt's for Python.
"""

from __future__ import annotations

import argparse
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from wgnode.image.libvirt import compare
from wgnode.image.libvirt.domain import ACCELERATORS, Domain, xml
from wgnode.image.machine import SMALLEST_MEMORY
from wgnode.image.paths import TRANSIT_MAC, Paths

MODULES = (
    "__init__.py",
    *(f"image/{name}.py" for name in ("__init__", "architecture", "errors", "machine", "paths")),
    *(f"image/libvirt/{name}.py" for name in ("__init__", "compare", "domain", "host")),
)
MAIN = b"from wgnode.image.libvirt.host import main\n\nraise SystemExit(main())\n"
PIDS = Path("/run/libvirt/qemu")
"""libvirt's, with NAME.pid of each guest that runs."""
PATIENCE = 60.0
"""Seconds for a command of libvirt's on a busy host."""
LOOK = 5.0
PIECE = 1 << 16
ADVICE = {
    "failed to connect to the hypervisor": "libvirtd does not answer; `systemctl status libvirtd` on the host says why",
    "does not support machine type": "its QEMU has no machine q35; install Debian's qemu-system-x86",
    "does not support virtualization type": "there is no KVM for libvirt; `accelerator: tcg` does without",
    "KVM is not available": "there is no KVM for libvirt; `accelerator: tcg` does without",
    "Unable to create tap device": "another program holds the tap; `ip -d link` and `ls -l /proc/*/fd` tell which",
    "Cannot allocate memory": "the host has too little free memory; give the gateway less (gateway.memory)",
    "already exists with uuid": "it is not wgnode's, so it is left alone; rename it or remove it (`virsh undefine`)",
    "is already defined with uuid": "it is not wgnode's, so it is left alone; give it another UUID (`virsh edit`)",
}
"""By what libvirt's error says, what to do about it."""
OURS = compare.paths(*(xml(Domain(Paths(), "/", TRANSIT_MAC, SMALLEST_MEMORY, 1, kind)) for kind in ACCELERATORS))
"""What a domain is compared in: the same places for all that differ in values only."""


class LibvirtError(Exception):
    """The text is libvirt's, and what to do."""


def program() -> bytes:
    """The zipapp that hosts run."""
    from wgnode.hostd import bundle  # not in the zipapp itself

    return bundle.zipapp(MODULES, MAIN)


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    paths = Paths(options.instance)
    try:
        if options.command == "look":
            print(*look(paths), sep="\n")
            return 0
        domain = Domain(paths, options.kernel, options.lan_mac, options.memory, options.cpus, options.accelerator)
        if options.command == "stop":
            remove(domain)
            return 0
        follow(start(domain))
    except (OSError, ValueError, LibvirtError) as error:
        print(f"<3>{_FAILED[options.command]}: {error}", file=sys.stderr)
        return 1
    return 0


_FAILED = {
    "look": "its domain can't be looked at",
    "run": "this gateway can't be started",
    "stop": "this gateway can't be stopped",
}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="libvirt.pyz")
    parser.add_argument("command", choices=sorted(_FAILED))
    parser.add_argument("--instance", default="")
    parser.add_argument("--kernel", default="")
    parser.add_argument("--lan-mac", default="")
    parser.add_argument("--memory", type=int, default=0)
    parser.add_argument("--cpus", type=int, default=0)
    parser.add_argument("--accelerator", choices=ACCELERATORS, default="tcg")
    return parser


def arguments(domain: Domain) -> list[str]:
    """For `run` and `stop` of just this domain."""
    instance = ["--instance", domain.paths.instance] if domain.paths.instance else []
    given = {"kernel": domain.kernel, "lan-mac": domain.lan_mac, "memory": domain.memory, "cpus": domain.cpus}
    words = [word for name, value in given.items() for word in (f"--{name}", str(value))]
    return [*instance, *words, "--accelerator", domain.accelerator]


def start(domain: Domain) -> socket.socket:
    """The console of a domain that runs, from its first line on. Raises LibvirtError, OSError, ValueError."""
    text = xml(domain)
    require_no_other(domain)
    remove(domain)
    virsh("create", "--paused", "/dev/stdin", text=text)
    try:
        require_sandbox(domain)
        Path(domain.paths.domain_started).write_text(virsh("dumpxml", domain.uuid), encoding="utf-8")
        console = socket.socket(socket.AF_UNIX)
        console.connect(domain.paths.console_socket)
        virsh("resume", domain.uuid)
    except BaseException:
        remove(domain)
        raise
    return console


def follow(console: socket.socket) -> None:
    """Pass it on until the guest ends."""
    with console:
        while piece := console.recv(PIECE):
            os.write(1, piece)


def require_no_other(domain: Domain) -> None:
    """Raises LibvirtError where somebody's domain has our name or our card's MAC address: it is never touched."""
    for line in virsh("list", "--all", "--name").splitlines():
        name = line.strip()
        if not name or virsh("domuuid", name).strip() == domain.uuid:
            continue
        if name == domain.name:
            raise LibvirtError(
                f"libvirt has a domain {name} here that is not wgnode's, so it is left alone; rename it"
                f" (`virsh domrename {name} ...`) or remove it"
            )
        if domain.lan_mac in virsh("dumpxml", name).lower():
            raise LibvirtError(f"libvirt's domain {name} has {domain.lan_mac}, which is this gateway's in its LAN")


def remove(domain: Domain) -> None:
    """What runs of it, and what somebody has made libvirt keep of it. Raises LibvirtError where libvirt is gone."""
    known = virsh("list", "--all", "--uuid").split()
    if domain.uuid not in known:
        return
    for words in (("destroy",), ("undefine", "--managed-save")):
        try:
            virsh(*words, domain.uuid)
        except LibvirtError:  # it does not run, or nothing is kept
            continue


def require_sandbox(domain: Domain, pids: Path = PIDS) -> None:
    """Raises LibvirtError where QEMU runs without its filter of system calls."""
    pid = (pids / f"{domain.name}.pid").read_text().strip()
    status = Path("/proc", pid, "status").read_text()
    if "\nSeccomp:\t2" not in status:
        raise LibvirtError("QEMU has no sandbox: set seccomp_sandbox = 1 in /etc/libvirt/qemu.conf")


def look(paths: Paths, ask: Callable[..., str] | None = None) -> list[str]:
    """In what the domain that runs is not as it was started. Raises LibvirtError, OSError where that can't be told."""
    ask = ask or _asked
    started = Path(paths.domain_started).read_text(encoding="utf-8")
    kept = dict(line.split(":", 1) for line in ask("dominfo", paths.domain).splitlines() if ":" in line)
    found = compare.differences(started, ask("dumpxml", paths.domain), OURS)
    if kept["Persistent"].strip() != "no":
        found.append("it is persistent, of what somebody has defined or edited, and is to be transient")
    return found


def _asked(*words: str) -> str:
    return virsh(*words, timeout=LOOK)


def virsh(*words: str, text: str | None = None, timeout: float = PATIENCE) -> str:
    """What it says. Raises LibvirtError."""
    command = ["virsh", "--quiet", "--connect", "qemu:///system", *words]
    environment = {**os.environ, "LC_ALL": "C"}
    try:
        done = subprocess.run(
            command, input=text, capture_output=True, text=True, env=environment, timeout=timeout, check=False
        )
    except FileNotFoundError:
        raise LibvirtError("there is no virsh; install Debian's libvirt-clients") from None
    except subprocess.TimeoutExpired:
        raise LibvirtError(f"libvirtd did not answer `virsh {words[0]}` within {timeout:g} s") from None
    if done.returncode:
        raise LibvirtError(explained(done.stderr))
    return done.stdout


def explained(said: str) -> str:
    """virsh's errors in one line, with what to do."""
    lines = [line.removeprefix("error: ").strip() for line in said.splitlines()]
    text = ": ".join(line for line in lines if line) or "virsh failed and said nothing"
    advice = next((what for sign, what in ADVICE.items() if sign in text), None)
    return f"{text}; {advice}" if advice else text
