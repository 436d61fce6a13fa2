"""Up, down and status. Each step looks at what is there and adds or removes the rest, so any interruption is mended
by the next `up` or `down`; one lock for each lab name keeps two of them apart.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

from lab import cgroup, machine, netns, plan, rootfs, ssh, state
from lab.errors import LabError
from lab.plan import INTERNET, RUNNER, Site, bare, network
from lab.process import ours, run, without_bytecode
from lab.supervise import Spec

Progress = Callable[[str], None]
BOOT_SECONDS = 60.0
REBOOT_SECONDS = 8.0
HOSTS_SPACE = 300 << 20
"""Bytes for the hosts' own layers; the demo's were seen to take 155 MB, with an image and a journal each."""
_GONE = ".gone-"
_FORWARDING = {f"net.{ip}.conf.{each}.forwarding": "1" for ip in ("ipv4", "ipv6") for each in ("all", "default")}


def silent(_line: str) -> None:
    """No progress lines."""


def up(name: str, directory: Path, progress: Progress) -> dict[str, Any]:
    """Make or complete the lab; returns its inventory."""
    machine.check()
    with state.locked(name, directory, lambda: progress(f"waiting for another command on lab {name!r}")) as lock:
        roots = rootfs.ensure(progress)
        if not (directory / "hosts").is_dir():
            machine.check_space(directory, HOSTS_SPACE, "free some, or choose another place by --dir")
        directory.mkdir(parents=True, exist_ok=True)
        _check_directory(directory)
        state.register(name, directory)
        _remove_gone(directory)
        _ensure_runner_key(directory)
        _ensure_network(name)
        off = [site for site in plan.SITES if not cgroup.populated(cgroup.of_host(name, site.name))]
        if off:
            (directory / "lab.json").unlink(missing_ok=True)
        for site in off:
            progress(f"booting {site.name}")
            _start_host(name, directory, site, roots[site.suite], lock)
        ssh.write_known_hosts(directory)
        # Without an inventory an earlier `up` was interrupted: what runs may still be booting.
        fresh = not (directory / "lab.json").exists()
        for site in plan.SITES:
            await_boot(name, directory, site, BOOT_SECONDS if fresh else REBOOT_SECONDS, thorough=fresh)
            if site in off:
                progress(f"{site.name} is ready")
        inventory = _inventory(name, directory)
        state.save(directory, inventory)
        return inventory


def down(name: str, directory: Path, progress: Progress) -> bool:
    """Remove all that `up` made, whatever became of it; False where there was nothing."""
    if os.geteuid():
        raise LabError("the lab needs root; run it with sudo")
    with state.locked(name, directory, lambda: progress(f"waiting for another command on lab {name!r}")):
        found = (directory / "lab.json").exists()
        (directory / "lab.json").unlink(missing_ok=True)
        for site in plan.SITES:
            if cgroup.end(cgroup.of_host(name, site.name)):
                progress(f"{site.name} stopped")
                found = True
        cgroup.remove_empty(name)
        if left := netns.end_processes([plan.namespace(name, role) for role in plan.roles()]):
            progress(f"ended what still ran in the lab's networks: {', '.join(left)}")
        for role in plan.roles():
            found |= netns.delete(plan.namespace(name, role))
        found |= _remove_files(directory)
        state.forget(name)
        return found


def status(name: str, directory: Path) -> dict[str, Any]:
    """What there is of the lab right now: {"name", "dir", "up", "namespaces", "hosts": {...}}."""
    hosts = {}
    for site in plan.SITES:
        running = cgroup.populated(cgroup.of_host(name, site.name))
        answers = running and ssh.answers(name, site)
        hosts[site.name] = {"running": running, "ssh": answers, "address": bare(site.public[0]), "user": site.user}
    namespaces = [each for each in (plan.namespace(name, role) for role in plan.roles()) if netns.exists(each)]
    ready = (directory / "lab.json").exists() and len(namespaces) == len(plan.roles())
    up = ready and all(host["ssh"] for host in hosts.values())
    return {"name": name, "dir": str(directory), "up": up, "namespaces": namespaces, "hosts": hosts}


def await_boot(name: str, directory: Path, site: Site, timeout: float, *, thorough: bool = True) -> None:
    """Wait until a host has booted and lets the runner in, or just answers SSH; `timeout` in seconds."""
    deadline = time.monotonic() + timeout
    while not (ssh.booted(name, directory, site) if thorough else ssh.answers(name, site)):
        if not cgroup.populated(cgroup.of_host(name, site.name)):
            raise LabError(_boot_failure(directory / "hosts" / site.name))
        if time.monotonic() > deadline:
            raise LabError(_silent_host(name, site))
        time.sleep(0.05)


def _silent_host(name: str, site: Site) -> str:
    return (
        f"host {site.name!r} runs but does not answer SSH on {bare(site.public[0])}; a firewall of its own may keep "
        f"the runner out. Look at it from its console: {ours(f'shell {site.name} --console --name {name}')}"
    )


def _check_directory(directory: Path) -> None:
    if run(["stat", "--file-system", "--format=%T", str(directory)]).stdout.strip() == "overlayfs":
        raise LabError(f"{directory} lies on an overlay, which cannot hold the hosts' own layers; choose another --dir")


def _ensure_runner_key(directory: Path) -> None:
    directory = directory / "ssh"
    directory.mkdir(mode=0o700, exist_ok=True)
    _ensure_key(directory / "id_ed25519", "wgnode lab runner")


def _ensure_key(path: Path, comment: str) -> None:
    """An Ed25519 key pair, both halves or none."""
    if path.exists() and path.with_suffix(".pub").exists():
        return
    fresh = path.with_name(path.name + ".new")
    for each in (fresh, fresh.with_name(fresh.name + ".pub")):
        each.unlink(missing_ok=True)
    run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", str(fresh)])
    fresh.with_name(fresh.name + ".pub").rename(path.with_suffix(".pub"))
    fresh.rename(path)


def _ensure_network(name: str) -> None:
    for role in plan.roles():
        namespace = plan.namespace(name, role)
        if not netns.exists(namespace):
            # A host that outlived its namespace's name would hold the old one, unreachable for ever.
            cgroup.end(cgroup.of_host(name, role))
        netns.create(namespace)
        if role not in [site.name for site in plan.SITES]:  # a host's own boot sets its
            netns.sysctl(namespace, netns.kernel_defaults() | (_FORWARDING if role == INTERNET else {}))
    for cable in plan.cables():
        netns.wire(cable, lambda role: plan.namespace(name, role))


def _start_host(name: str, directory: Path, site: Site, root: Path, lock: int) -> None:
    group = cgroup.of_host(name, site.name)
    home = directory / "hosts" / site.name
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    _ensure_key(home / "ssh_host_ed25519_key", f"root@{site.name}")
    group.mkdir(parents=True, exist_ok=True)
    base = _root_below(home) or str(root)
    spec = Spec(lab=name, host=site.name, directory=str(home), rootfs=base, cgroup=str(group))
    _start_supervisor(spec, lock)


def _root_below(home: Path) -> str | None:
    """The root file system that the host's layer was made over; it makes no sense over another one."""
    if not (home / "provisioned").exists():
        return None
    base = Spec.load(str(home / "spec.json")).rootfs
    if not Path(base).is_dir():
        raise LabError(f"host {home.name!r} was made over {base}, which is gone; run `{ours('down')}` and start anew")
    return base


def _start_supervisor(spec: Spec, lock: int) -> None:
    """Start the host's keeper with a session, mounts and environment of its own, and wait until it is in its cgroup.

    It is no child of ours but init's: it stays when we end.
    """
    here = str(Path(__file__).parent.parent)
    environment = {"PATH": os.environ.get("PATH", os.defpath), "PYTHONPATH": here, "LANG": "C.UTF-8"}
    environment |= without_bytecode()
    reader, writer = os.pipe()
    command = ["setsid", "--fork", "unshare", "--mount", "--propagation", "slave"]
    command += [sys.executable, "-m", "lab.supervise", str(spec.save()), str(lock), str(writer)]
    with open(reader, "rb") as joined, open(Path(spec.directory, "console.log"), "ab") as console:
        subprocess.run(
            command, stdin=subprocess.DEVNULL, stdout=console, stderr=console, env=environment, cwd="/",
            pass_fds=(lock, writer), check=True,
        )  # fmt: skip
        os.close(writer)
        if not joined.read(1):
            raise LabError(_boot_failure(Path(spec.directory)))


def _boot_failure(home: Path) -> str:
    log = home / "console.log"
    tail = "\n".join(log.read_text(errors="replace").splitlines()[-8:])
    return f"host {home.name!r} ended while booting; the end of {log}:\n{tail}"


def _inventory(name: str, directory: Path) -> dict[str, Any]:
    def describe(site: Site) -> dict[str, Any]:
        return {
            "address": bare(site.public[0]),
            "address6": bare(site.public[1]),
            "port": ssh.PORT,
            "user": site.user,
            "host_keys": [ssh.public_key(directory, site)],
            "uplink": plan.UPLINK,
            "lan": {
                "interface": plan.LAN,
                "v4": network(site.lan[0]),
                "v6": network(site.lan[1]),
                "host": list(site.lan),
                "gateway": list(site.gateway),
            },
            "netns": plan.namespace(name, site.name),
            "client": {
                "netns": plan.namespace(name, site.client_role),
                "addresses": [bare(each) for each in site.client],
            },
        }

    return {
        "name": name,
        "dir": str(directory),
        "runner": plan.namespace(name, RUNNER),
        "internet": plan.namespace(name, INTERNET),
        "ssh_key": str(directory / "ssh" / "id_ed25519"),
        "management": plan.MANAGEMENT,
        "hosts": {site.name: describe(site) for site in plan.SITES},
    }


def _fresh_name(directory: Path, prefix: str) -> Path:
    return next(path for n in count() if not (path := directory / f"{prefix}-{n}").exists())


def _remove_gone(directory: Path) -> None:
    for each in directory.glob(f"{_GONE}*"):
        shutil.rmtree(each)


def _remove_files(directory: Path) -> bool:
    """Remove what is ours in the lab's directory, and the directory where nothing of others is left in it."""
    found = False
    # Renamed first: a half removed host must never look like one to start.
    for each in ("hosts", "ssh"):
        if (directory / each).exists():
            (directory / each).rename(_fresh_name(directory, f"{_GONE}{each}"))
            found = True
    _remove_gone(directory)
    (directory / ".lab.json.new").unlink(missing_ok=True)
    remove_empty(directory)
    return found


def remove_empty(directory: Path) -> None:
    """Remove the lab's directory and what was made above it, as far as nobody keeps anything there."""
    made = [directory]
    if directory.is_relative_to(state.DEFAULT_HOME):
        made += [state.DEFAULT_HOME, state.DEFAULT_HOME.parent]
    for path in made:
        try:
            path.rmdir()
        except OSError:
            break
