"""A runner of Pulumi that is killed in the middle: at which step of an operation, and how far that step had got.

An operation on a resource runs in a process of its own, in the lab's runner, with hosts that number every call that
changes something (`Steps`). A `Fault` makes that process end itself by SIGKILL at one of them; a fresh process then
does what the next `pulumi up` or `destroy` does.
"""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import shlex
import signal
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.connection import Connection as Pipe
from typing import Any, Literal

from lab.api import Lab
from pulumi_wgnode.call.kind import Kind, Partial, Properties
from pulumi_wgnode.hosts import system, undo, units
from pulumi_wgnode.hosts.host import Connection, File, Host, Result
from pulumi_wgnode.hosts.ssh import pool, ssh_host
from pulumi_wgnode.hosts.ssh.exchange import Outcome, exchange
from pulumi_wgnode.resources.appliance_image import ApplianceImage
from pulumi_wgnode.resources.gateway import Gateway
from pulumi_wgnode.resources.hypervisor_host import HypervisorHost
from pulumi_wgnode.resources.nat_firewall import NatFirewall
from pulumi_wgnode.resources.unread import OnHost

CLONE_NEWNET = 0x40000000
PATIENCE = 240.0  # seconds for one operation, on a busy machine
# What only asks, by its first words; whatever is not here counts as a change. A wrong entry would hide a step.
READ_ONLY = (
    *(["getent"], ["dpkg-query"], ["stat"], ["ip", "-j"], ["nft", "-j", "list"], ["nft", "list"], ["nft", "--check"]),
    *(["sh", "-s", "report"], ["systemctl", "show"], ["nmcli", "--get-values"], ["journalctl"], ["true"], ["test"]),
    *(["sh", "-c", script] for script in (system._READ_SYSCTLS, units._OLDER)),
)
# "half": half of what the step writes was sent. "sent": all of it, and nobody read the answer. "done": it was read.
How = Literal["half", "sent", "done"]


@dataclass(frozen=True)
class Fault:
    """`step` by number, or by the first words of the first such one."""

    step: int | str
    how: How

    def meets(self, number: int, what: str) -> bool:
        return what.startswith(self.step) if isinstance(self.step, str) else number == self.step


@dataclass
class Steps:
    """The calls that change a host, in order; ends this process at the fault's."""

    fault: Fault | None = None
    done: list[str] = field(default_factory=list)
    writes: list[int] = field(default_factory=list)  # which of them send data
    _ending: How | None = None

    @contextmanager
    def step(self, what: str, *, writes: bool = False) -> Iterator[None]:
        self.done.append(what)
        number = len(self.done)
        if writes:
            self.writes.append(number)
        self._ending = self.fault.how if self.fault and self.fault.meets(number, what) else None
        yield
        if self._ending:
            os.kill(os.getpid(), signal.SIGKILL)

    def exchange(
        self, channel: Any, frame: Any, line: str, key: bytes, data: Iterable[bytes] | None, limit: float, shell: Any
    ) -> Outcome:
        """In the place of `ssh_host.exchange`: the command is sent, of its input half or all, and no answer is read."""
        if self._ending in (None, "done"):
            return exchange(channel, frame, line, key, data, limit, shell)
        content = b"".join(data or ())
        channel.exec_command(line)
        channel.sendall(key + (content[: len(content) // 2] if self._ending == "half" else content))
        if self._ending == "sent":
            channel.shutdown_write()
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError("unreachable")


@dataclass
class Counted:
    """A host whose changes are steps."""

    host: Host
    steps: Steps

    @property
    def name(self) -> str:
        return self.host.name

    def run(self, argv: Sequence[str], **options: Any) -> Result:
        if _only_asks(list(argv)):
            return self.host.run(argv, **options)
        with self.steps.step(shlex.join(argv), writes=bool(options.get("input"))):
            return self.host.run(argv, **options)

    def run_all(self, commands: Sequence[Sequence[str]]) -> list[Result]:
        return self.host.run_all(commands)  # of `query.ask`, which is for reading

    def stat(self, paths: Sequence[str]) -> dict[str, File]:
        return self.host.stat(paths)

    def read_file(self, path: str) -> bytes | None:
        return self.host.read_file(path)

    def write_file(self, path: str, data: bytes, **options: Any) -> bool:
        with self.steps.step(f"write {path}", writes=True):
            return self.host.write_file(path, data, **options)

    def upload(self, path: str, source: str, **options: Any) -> None:
        with self.steps.step(f"upload {path}", writes=True):
            self.host.upload(path, source, **options)

    def remove(self, *paths: str) -> None:
        with self.steps.step(f"remove {' '.join(paths)}"):
            self.host.remove(*paths)


def _only_asks(argv: list[str]) -> bool:
    if any(argv[: len(words)] == list(words) for words in READ_ONLY):
        return True
    return argv[0].endswith("python3") and argv[3] == "wait"  # asked of hostd


@dataclass(frozen=True)
class Recorded:
    """A resource as the engine's state has it."""

    id: str
    state: Properties
    inputs: Properties


@dataclass(frozen=True)
class Done:
    """What an operation left recorded, the steps it took, and what the next preview would show."""

    recorded: Recorded | None
    steps: list[str]
    writes: list[int]
    differs: list[str]


def up(kind: Kind, recorded: Recorded | None, inputs: Properties) -> Recorded:
    """Refresh, then create, update or nothing, as the engine does it. An unfinished resource is not accepted."""
    found = kind.read(recorded.id, recorded.state, recorded.inputs) if recorded else None
    if recorded is None or found is None:
        id, state = kind.create("it", inputs, False)
        return Recorded(id, state, inputs)
    state, old = found
    if kind.diff(state, old, inputs).changes:
        state = kind.update(recorded.id, state, inputs, False)
    return Recorded(recorded.id, state, inputs)


def destroy(kind: Kind, recorded: Recorded | None, inputs: Properties) -> None:
    """Refresh, then delete what is still there."""
    if recorded and (found := kind.read(recorded.id, recorded.state, recorded.inputs)):
        kind.delete(recorded.id, found[0])


KINDS: dict[str, Callable[..., Kind]] = {
    "HypervisorHost": HypervisorHost,
    "NatFirewall": NatFirewall,
    "ApplianceImage": lambda connect, reconnect: ApplianceImage(connect),
    "Gateway": lambda connect, reconnect: Gateway(connect),
}
OPERATIONS = {"up": up, "destroy": destroy}


@dataclass(frozen=True)
class Job:
    namespace: str
    kind: str
    operation: str
    recorded: Recorded | None
    inputs: Properties
    fault: Fault | None
    undo_after: int


@dataclass(frozen=True)
class Runner:
    """Where Pulumi runs. `undo_after`, in seconds: until a host takes back by itself what nobody confirmed."""

    lab: Lab
    undo_after: int = undo.SECONDS

    def run(self, kind: str, operation: str, recorded: Recorded | None, inputs: Properties) -> Done:
        """To its end, undisturbed. Raises AssertionError with the traceback when it fails."""
        answer = self._child(Job(self._namespace, kind, operation, recorded, inputs, None, self.undo_after))
        assert isinstance(answer, Done), f"{operation} of {kind} {answer or 'was killed'}"
        return answer

    def killed(self, kind: str, operation: str, recorded: Recorded | None, inputs: Properties, fault: Fault) -> None:
        """Until the fault."""
        answer = self._child(Job(self._namespace, kind, operation, recorded, inputs, fault, self.undo_after))
        assert answer is None, f"{operation} of {kind} was to be killed at step {fault}, but {answer}"

    @property
    def _namespace(self) -> str:
        return f"/run/netns/{self.lab.namespace('runner')}"

    def _child(self, job: Job) -> Done | str | None:
        """What it answered: None when it was killed before it could."""
        receive, send = _processes.Pipe(duplex=False)
        child = _processes.Process(target=_child, args=(job, send))
        child.start()
        send.close()
        try:
            assert receive.poll(PATIENCE), f"{job.operation} of {job.kind} did not end within {PATIENCE:g} s"
            answer: Done | str = receive.recv()
        except EOFError:
            answer = None  # type: ignore[assignment]
        finally:
            child.kill()
            child.join()
        return answer


# Forked from a process that has loaded all this and has no threads.
_processes = multiprocessing.get_context("forkserver")
_processes.set_forkserver_preload([__name__])


def _child(job: Job, answer: Pipe) -> None:
    _enter(job.namespace)
    steps = Steps(job.fault)
    ssh_host.exchange = steps.exchange
    undo.SECONDS = job.undo_after
    kind = OnHost(KINDS[job.kind](*_connecting(steps)))
    try:
        recorded = OPERATIONS[job.operation](kind, job.recorded, job.inputs)
        steps.fault, taken = None, list(steps.done)
        answer.send(Done(recorded, taken, steps.writes, _differs(kind, recorded) if recorded else []))
    except BaseException as error:
        answer.send(f"failed: {error.reason if isinstance(error, Partial) else error}\n{traceback.format_exc()}")


def _differs(kind: Kind, recorded: Recorded) -> list[str]:
    """What a preview right after it would show."""
    found = kind.read(recorded.id, recorded.state, recorded.inputs)
    return ["all of it"] if found is None else [change.path for change in kind.diff(*found, recorded.inputs).changes]


def _connecting(steps: Steps) -> tuple[Callable[[Connection], Host], Callable[[Connection], Any]]:
    @contextmanager
    def reconnect(to: Connection) -> Iterator[Host]:
        with pool.new_connection(to) as host:
            yield Counted(host, steps)

    return lambda to: Counted(pool.connect(to), steps), reconnect


def _enter(namespace: str) -> None:
    file = os.open(namespace, os.O_RDONLY)
    try:
        if ctypes.CDLL(None, use_errno=True).setns(file, CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), "setns")
    finally:
        os.close(file)


def schedule(done: Done) -> list[Fault]:
    """Each of these steps, in each way that there is for it."""
    ways: dict[bool, tuple[How, ...]] = {True: ("half", "sent", "done"), False: ("sent", "done")}
    return [Fault(number, how) for number in range(1, len(done.steps) + 1) for how in ways[number in done.writes]]
