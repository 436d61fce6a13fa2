"""A host over SSH: commands as root, files replaced atomically. One round trip each."""

from __future__ import annotations

import os
import shlex
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Final

import paramiko

from infra.hosts import files, query
from infra.hosts.host import Connection, File, HostError, HostUnreachable, Result
from infra.hosts.ssh import name_of

CHUNK = 1 << 17  # bytes
UPLOAD_RATE = 64 << 10  # bytes a second below which an upload is given up
_ENVIRONMENT: Final = (
    "env",
    "LC_ALL=C",
    "DEBIAN_FRONTEND=noninteractive",
    "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
)
_FULL = "No space left on device"
_TIMED_OUT = 124  # what timeout(1) exits with
# $1 path, $2 mode, $3 owner:group, $4 bytes. The new file is complete and on disk before it takes the old one's name:
# a connection that breaks ends `cat` like the end of the data does, and what is said then reaches nobody: PIPE. dash
# runs its exit trap after a signal only if that is trapped too; what a kill has left goes at the next write, once it is
# older than any write that is still going on.
_WRITE = """set -e; umask 077; trap 'exit 1' TERM HUP INT PIPE; trap 'rm -f -- "$t"' EXIT; t=
find "$(dirname -- "$1")" -maxdepth 1 -type f -name "${1##*/}.new-????????" -mmin +10 -delete 2>/dev/null || true
t=$(mktemp "$1.new-XXXXXXXX")
cat >"$t"; [ "$(stat -c %s -- "$t")" = "$4" ] || { echo "its data ended early" >&2; exit 1; }
chown "$3" -- "$t"; chmod "$2" -- "$t"
if [ -f "$1" ] && [ ! -L "$1" ] && cmp -s -- "$t" "$1" &&
   [ "$(stat -c '%a %U:%G' -- "$t")" = "$(stat -c '%a %U:%G' -- "$1")" ]; then echo same; exit 0; fi
sync -- "$t"; mv -fT -- "$t" "$1"; sync -- "$(dirname -- "$1")"; echo written"""
_REMOVE = """if [ -d "$1" ] && [ ! -L "$1" ]; then rmdir --ignore-fail-on-non-empty -- "$1" ||
[ ! -e "$1" ]; else rm -f -- "$1"; fi"""

# Each output follows its length in bytes and the command's exit code.
_RUN_ALL = r"""for command; do
    out=$(eval "$command"; printf '\n%s' "$?")
    code=${out##*
} out=${out%
*}
    printf '%s %s\n%s' "${#out}" "$code" "$out"
done"""

OpenChannel = Callable[[], AbstractContextManager[paramiko.Channel]]


class SshHost:
    """Implements `Host`. `open_channel` gives a session of the host's one connection (see pool.py)."""

    def __init__(self, connection: Connection, open_channel: OpenChannel) -> None:
        self.connection = connection
        self.name = name_of(connection)
        self._open_channel = open_channel
        self._sudo = () if connection.user == "root" else ("sudo", "-n", "--")

    def run(
        self, argv: Sequence[str], *, input: bytes = b"", check: bool = True, timeout: float = 60, secret: bool = False
    ) -> Result:
        code, out, err = self._run(argv, [input] if input else [], timeout)
        result = Result(code, out.decode(errors="replace"), err.decode(errors="replace"))
        if check and code != 0:
            raise self._failure(argv, result, secret)
        return result

    def run_all(self, commands: Sequence[Sequence[str]]) -> list[Result]:
        argv = ["sh", "-c", _RUN_ALL, "all", *(shlex.join(command) for command in commands)]
        code, out, err = self._run(argv, [], 60)
        said = err.decode(errors="replace")
        if code != 0:
            raise self._failure(commands[0], Result(code, "", said), secret=False)
        results, rest = [], out
        while rest:
            head, _, rest = rest.partition(b"\n")
            length, exited = map(int, head.split())
            results.append(Result(exited, rest[:length].decode(errors="replace"), said))
            rest = rest[length:]
        return results

    def stat(self, paths: Sequence[str]) -> dict[str, File]:
        return query.answer(self, files.metadata(paths)) if paths else {}

    def read_file(self, path: str) -> bytes | None:
        argv = files.content(path).argv
        code, out, err = self._run(argv, [], 60)
        if code == files.NO_FILE:
            return None
        if code != 0:
            raise self._failure(argv, Result(code, "", err.decode(errors="replace")), secret=False)
        return out

    def write_file(
        self, path: str, data: bytes, *, mode: int = 0o644, owner: str = "root", group: str = "root"
    ) -> bool:
        return self._write(path, [data], len(data), 60, mode, f"{owner}:{group}")

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
        size = os.stat(source).st_size
        timeout = 60 + size / UPLOAD_RATE
        self._write(path, _pieces(source, size, progress), size, timeout, mode, f"{owner}:{group}")

    def remove(self, path: str) -> None:
        self.run(["sh", "-c", _REMOVE, "remove", path])

    def _write(self, path: str, data: Iterable[bytes], size: int, timeout: float, mode: int, owner: str) -> bool:
        argv = ["sh", "-c", _WRITE, "write", path, f"{mode:o}", owner, str(size)]
        try:
            code, out, err = self._run(argv, data, timeout)
        except HostUnreachable as error:
            raise HostUnreachable(f"{error}, writing {path}; what was there is as it was") from None
        if code != 0:
            said = err.decode(errors="replace").strip()
            full = self._room(os.path.dirname(path), size) if _FULL in said else ""
            raise HostError(f"host {self.name}: cannot write {path}: {full or said}")
        return out.strip() == b"written"

    def _room(self, directory: str, size: int) -> str:
        """Why a file of `size` bytes has no place there."""
        shown = self.run(["df", "--block-size=1", "--output=avail,iavail,target", directory], check=False)
        free, nodes, where = (shown.stdout.strip().splitlines()[-1:] or ["? ? ?"])[0].split(maxsplit=2)
        room = "no inode is" if nodes == "0" else f"{free} are"
        return (
            f"{_FULL}: the file system {where} is full, {size} bytes are needed and {room} free; make room there, then"
            " run it again"
        )

    def _run(self, argv: Sequence[str], data: Iterable[bytes], timeout: float) -> tuple[int, bytes, bytes]:
        """(exit code, output, error output). The limit is kept on the host too, so nothing runs on unseen."""
        limit = ("timeout", "-k", "5", f"{timeout:.0f}")
        command = shlex.join([*self._sudo, *_ENVIRONMENT, *limit, *argv])
        try:
            with self._open_channel() as channel:
                channel.settimeout(timeout + 10)
                channel.exec_command(command)
                code, out, err = _exchange(channel, data)
        except (paramiko.SSHException, OSError, EOFError) as error:
            raise HostUnreachable(
                f"host {self.name}: the connection broke in the middle of `{argv[0]}` ({error or 'ended'})"
            ) from None
        if code == _TIMED_OUT:
            raise HostError(f"host {self.name}: `{argv[0]}` did not end within {timeout:.0f} s")
        return code, out, err

    def _failure(self, argv: Sequence[str], result: Result, secret: bool) -> HostError:
        said = (_without_warning(result.stderr) or result.stdout.strip())[-2000:]
        if self._sudo and said.startswith("sudo:"):
            user = self.connection.user
            return HostError(
                f"host {self.name}: {user} may not use sudo without a password ({said}); add a line"
                f" '{user} ALL=(ALL) NOPASSWD: ALL' to its sudoers, or log in as root"
            )
        if secret:
            return HostError(f"host {self.name}: `{argv[0]}` exited with {result.code} (its text is kept secret)")
        way_out = "; `df` and `df -i` there show which file system is full" if _FULL in said else ""
        return HostError(f"host {self.name}: `{_shown(argv)}` exited with {result.code}: {said}{way_out}")


def _without_warning(errors: str) -> str:
    """sudo warns before the command's own words where a host's name is not in its /etc/hosts, as on many clouds."""
    first, _, rest = errors.strip().partition("\n")
    return rest.strip() if first.startswith("sudo:") and rest.strip() else errors.strip()


def _shown(argv: Sequence[str]) -> str:
    text = shlex.join(argv).split("\n")[0]
    return text if len(text) <= 200 else text[:200] + "..."


def _exchange(channel: paramiko.Channel, data: Iterable[bytes]) -> tuple[int, bytes, bytes]:
    """Feed standard input, collect both outputs. Threads, because each of the three can block the others."""
    errors: list[bytes] = []
    reader = threading.Thread(target=lambda: errors.extend(_drain(channel.recv_stderr)), daemon=True)
    feeder = threading.Thread(target=_feed, args=(channel, data), daemon=True)
    reader.start()
    feeder.start()
    out = b"".join(_drain(channel.recv))
    code = channel.recv_exit_status()
    reader.join(5)
    if code == -1:
        raise EOFError("no exit status")
    return code, out, b"".join(errors)


def _drain(receive: Callable[[int], bytes]) -> Iterator[bytes]:
    while chunk := receive(CHUNK):
        yield chunk


def _feed(channel: paramiko.Channel, data: Iterable[bytes]) -> None:
    try:
        for piece in data:
            channel.sendall(piece)
        channel.shutdown_write()
    except (OSError, EOFError, paramiko.SSHException):
        return  # the command ended before it had read all; its exit code tells


def _pieces(source: str, size: int, progress: Callable[[int, int], None] | None) -> Iterator[bytes]:
    sent, told = 0, 0.0
    with open(source, "rb") as stream:
        while piece := stream.read(CHUNK):
            yield piece
            sent += len(piece)
            if progress and (sent == size or time.monotonic() - told > 0.5):
                told = time.monotonic()
                progress(sent, size)
