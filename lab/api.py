"""A lab to use from a program: bring it up, work in its namespaces and on its hosts, take it down."""

from __future__ import annotations

import shlex
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

from lab import cgroup, lifecycle, netns, plan, probes, ssh, state
from lab import stream as streams
from lab.errors import LabError
from lab.lifecycle import Progress, silent
from lab.process import ours


class Lab:
    """One lab by name. Roles are `runner`, `internet`, `berlin`, `cabin`, `berlin.client` and `cabin.client`."""

    def __init__(self, name: str = "demo", directory: Path | str | None = None, progress: Progress = silent) -> None:
        self.name = plan.check_name(name)
        self.directory = state.directory_of(name, Path(directory) if directory else None)
        self.progress = progress

    def up(self) -> dict[str, Any]:
        """Make or complete the lab and return its inventory (lab.json). Quick when it is up already."""
        self.__dict__.pop("inventory", None)
        return lifecycle.up(self.name, self.directory, self.progress)

    def down(self) -> bool:
        """Remove all of the lab; False where there was nothing."""
        self.__dict__.pop("inventory", None)
        return lifecycle.down(self.name, self.directory, self.progress)

    def status(self) -> dict[str, Any]:
        return lifecycle.status(self.name, self.directory)

    @cached_property
    def inventory(self) -> dict[str, Any]:
        return state.load(self.name, self.directory)

    def namespace(self, role: str) -> str:
        if role not in plan.roles():
            raise LabError(f"no role {role!r} in the lab; there are {', '.join(plan.roles())}")
        return plan.namespace(self.name, role)

    # Commands

    def argv_in(self, role: str, argv: Sequence[str]) -> list[str]:
        """The command line that runs `argv` in a role's network."""
        if not netns.exists(self.namespace(role)):
            raise LabError(f"lab {self.name!r} is not up; start it: {ours(f'up --name {self.name}')}")
        return ["ip", "netns", "exec", self.namespace(role), *argv]

    def run_in(self, role: str, argv: Sequence[str], **options: Any) -> subprocess.CompletedProcess[str]:
        """Run `argv` in a role's network (files and processes are this machine's).

        Options as subprocess.run's; output is captured as text, and unless `check=False` a failure is a LabError.
        """
        return _run(self.argv_in(role, argv), **options)

    def popen_in(self, role: str, argv: Sequence[str], **options: Any) -> subprocess.Popen[Any]:
        return subprocess.Popen(self.argv_in(role, argv), **options)

    def ssh_argv(self, host: str, command: str | None = None, *, terminal: bool = False) -> list[str]:
        """The command line of an SSH login from the runner, host key pinned, as the host's user."""
        _ = self.inventory
        return ssh.argv(self.name, self.directory, plan.site(host), command, terminal=terminal)

    def host_ssh(
        self, host: str, command: str, *, root: bool = True, **options: Any
    ) -> subprocess.CompletedProcess[str]:
        """Run a shell command on a host over SSH, through `sudo -n` where the user is not root."""
        if root and plan.site(host).user != "root":
            command = f"sudo -n sh -c {shlex.quote(command)}"
        return _run(self.ssh_argv(host, command), **options)

    def console_argv(self, host: str, argv: Sequence[str]) -> list[str]:
        """The command line that runs `argv` as root on a host past its network, as from its console."""
        leader = cgroup.leader(cgroup.of_host(self.name, plan.site(host).name))
        if leader is None:
            raise LabError(f"host {host!r} is off; start it: {ours(f'up --name {self.name}')}")
        enter = ["nsenter", "--target", str(leader), "--mount", "--uts", "--ipc", "--net", "--pid", "--cgroup"]
        return [*enter, "--root", "--wdns=/", "env", "-i", f"PATH={_PATH}", "HOME=/root", "TERM=linux", *argv]

    def console(self, host: str, command: str, **options: Any) -> subprocess.CompletedProcess[str]:
        """Run a shell command as root on a host even where a firewall locks SSH out."""
        return _run(self.console_argv(host, ["sh", "-c", command]), **options)

    # Hosts

    def reboot(self, host: str, timeout: float = 60.0) -> None:
        """Reboot in order and wait until SSH answers again; `timeout` in seconds."""
        path = cgroup.of_host(self.name, host)
        before = cgroup.leader(path)
        self.console(host, "systemctl reboot", check=False)
        deadline = time.monotonic() + timeout
        while (now := cgroup.leader(path)) is None or now == before:
            if time.monotonic() > deadline:
                raise LabError(f"host {host!r} did not reboot within {timeout:g} s")
            time.sleep(0.05)
        lifecycle.await_boot(self.name, self.directory, plan.site(host), max(1.0, deadline - time.monotonic()))

    def power_cut(self, host: str) -> None:
        """Stop a host at once, as by pulling its plug; `up` starts it again with its disk as it was."""
        cgroup.end(cgroup.of_host(self.name, plan.site(host).name))

    # Traffic

    def ping(self, role: str, address: str, count: int = 1, deadline: float = 5.0) -> bool:
        """True once `address` has answered `count` echo requests of `role`; False after `deadline` seconds."""
        argv = ["ping", "-n", "-q", "-i", "0.2", "-c", str(count), "-w", f"{deadline:g}", address]
        return self.run_in(role, argv, check=False, timeout=deadline + 10).returncode == 0

    def transfer(self, source: str, target: str, address: str, size: int, timeout: float = 60.0) -> probes.Transfer:
        """Send `size` random bytes by TCP from one role to `address` of another and compare what arrived."""
        return probes.transfer(self.namespace(source), self.namespace(target), address, size, timeout)

    @contextmanager
    def stream(self, role: str, address: str, interval: float = streams.INTERVAL) -> Iterator[streams.Stream]:
        """Ping `address` from a role, every `interval` seconds, while the block runs; it then tells what was lost."""
        with streams.stream(self.argv_in(role, []), address, interval) as made:
            yield made

    @contextmanager
    def capture(self, role: str = plan.INTERNET) -> Iterator[list[probes.Packet]]:
        """Collect the packets on every interface of a role (the first 256 bytes of each) while the block runs."""
        with probes.capture(self.namespace(role)) as packets:
            yield packets

    def interfaces(self, role: str) -> set[str]:
        return netns.interfaces(self.namespace(role))


_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def _run(argv: Sequence[str], *, check: bool = True, **options: Any) -> subprocess.CompletedProcess[str]:
    if not options.keys() & {"stdout", "stderr"}:
        options["capture_output"] = True
    try:
        done = subprocess.run(argv, **({"text": True, "timeout": 120} | options))
    except subprocess.TimeoutExpired as error:
        raise LabError(f"`{argv[-1]}` did not end within {error.timeout:g} s") from error
    if check and done.returncode:
        raise LabError(f"`{argv[-1]}` failed ({done.returncode}): {(done.stderr or '').strip() or done.stdout}")
    return done
