"""What a resource may do to a host. The SSH implementation is real; tests have a fake one over a dictionary."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from pulumi_wgnode.errors import ExplainedError


class HostError(ExplainedError):
    """A host could not do what was asked; the text names the host, the step and what to do."""


class _NoWayIn(HostError):
    """Meets everything that is to be done on a host: one cause, whatever each attempt saw of it."""

    what = "does not let us work on it"

    @property
    def cause(self) -> str:
        return self.short

    @property
    def short(self) -> str:
        return f"{str(self).partition(': ')[0]} {self.what}"


class HostUnreachable(_NoWayIn):
    """No SSH connection within its time."""

    what = "cannot be reached"


class HostHangs(HostUnreachable):
    """The host let us in, and answers no more."""

    what = "answers no more"


class NoSsh(HostUnreachable):
    """The host is there, and what takes connections on the port is no SSH server, or ends them at the login."""

    what = "answers, but not as an SSH server that lets us in"


class ShutOut(NoSsh):
    """The host is there, and its sshd takes nobody from our address for a while."""

    what = "takes no logins from here for a while"


class NotAsked(HostUnreachable):
    """Nothing has got as far as the host: its name leads to no address, or this machine has no way to that."""

    what = "cannot be asked from this machine"


class NoEntry(_NoWayIn):
    """The host is there, but what is configured does not let us work on it; other keys, pins or users may."""


class LoginRefused(NoEntry):
    """The host takes none of our keys, or we have none."""

    what = "cannot be logged in to"


class HostKeyMismatch(NoEntry):
    """The host showed a key that is not pinned; nothing was sent to it."""

    what = "shows another host key than is pinned"


class NotPinned(NoEntry):
    """Nothing says which key the host must show; nothing was sent to it."""

    what = "has no key that is pinned"


class NoWay(NoEntry):
    """What this machine says of the way to a host can't be used: a variable, a file, an SSH configuration."""

    what = "cannot be reached as this machine is set up"


class JumpRefused(NoEntry):
    """A jump host in front of the host does not let us through, which says nothing of the host itself."""

    what = "cannot be reached through its jump host"


class NoShell(NoEntry):
    """The user's login shell does not run our commands as they are."""

    what = "runs no commands of ours"


class NoRoot(NoEntry):
    """The user gets no root by sudo."""

    what = "gives us no root"


class Unsupported(NoEntry):
    """The host is of a system that gateways are not run on."""

    what = "is of a system that gateways are not run on"


class OutOfTime(HostError):
    """What the program's customTimeouts leave an operation is over."""


@dataclass(frozen=True)
class Connection:
    """How a host is reached, as it is described; what it leaves open, this machine says (ssh/way.py).

    Keys are OpenSSH or PEM text, certificates and `authorities` lines as OpenSSH writes them. `ssh_host` is the name of
    a host in an SSH configuration file. `jumps` are called one through the other, the last of them calls the host; None
    leaves them open, () is none.
    """

    address: str | None
    host_keys: tuple[str, ...] = ()
    port: int | None = None
    user: str | None = None
    private_key: str | None = field(default=None, repr=False)
    passphrase: str | None = field(default=None, repr=False)
    certificate: str | None = None
    agent: bool = False
    authorities: tuple[str, ...] = ()
    ssh_host: str | None = None
    jumps: tuple[Connection, ...] | None = None
    is_jump: bool = False


@dataclass(frozen=True)
class Result:
    code: int
    stdout: str
    stderr: str


@dataclass(frozen=True)
class File:
    """A regular file's metadata; `sha256` is of its content, hex, `mode` like 0o644."""

    sha256: str
    size: int
    mode: int
    owner: str
    group: str


class Host(Protocol):
    """A host reached as root, or as a user through `sudo -n`."""

    @property
    def name(self) -> str:
        """For errors: "root@198.51.100.2"."""
        ...

    def run(
        self, argv: Sequence[str], *, input: bytes = b"", check: bool = True, timeout: float = 60, secret: bool = False
    ) -> Result:
        """Run a command as root, `timeout` in seconds.

        Raises HostError when it exits non-zero and `check`; `secret` keeps what was run and said out of it.
        """
        ...

    def run_all(self, commands: Sequence[Sequence[str]]) -> list[Result]:
        """Run commands as root one after the other, whatever each exits with, in one round trip.

        They share their error output. Raises HostError only where none could be run.
        """
        ...

    def stat(self, paths: Sequence[str]) -> dict[str, File]:
        """The metadata of those paths that exist as regular files, in one round trip."""
        ...

    def read_file(self, path: str) -> bytes | None:
        """The content, or None where there is no such file."""
        ...

    def write_file(
        self, path: str, data: bytes, *, mode: int = 0o644, owner: str = "root", group: str = "root"
    ) -> bool:
        """Atomically (temporary file, fsync, rename). True if anything changed."""
        ...

    def upload(
        self,
        path: str,
        source: str,
        *,
        mode: int = 0o644,
        owner: str = "root",
        group: str = "root",
        progress: Callable[[int, int], None] | None = None,
    ) -> None:
        """A large local file, streamed; `progress` gets (bytes sent, bytes in all). Atomic as write_file is."""
        ...

    def remove(self, *paths: str) -> None:
        """Files or empty directories, in this order and in one go; what is not there is no error."""
        ...
