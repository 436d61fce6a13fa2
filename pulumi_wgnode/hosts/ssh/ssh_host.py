"""A host over SSH: commands as root, files replaced atomically. One round trip each."""

from __future__ import annotations

import os
import re
import shlex
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from secrets import token_hex
from typing import Final

import paramiko

from pulumi_wgnode.call import deadline
from pulumi_wgnode.hosts import files, query
from pulumi_wgnode.hosts.host import File, HostError, HostHangs, HostUnreachable, NoShell, OutOfTime, Result
from pulumi_wgnode.hosts.ssh import refusals
from pulumi_wgnode.hosts.ssh.exchange import CHUNK, EXEC_TIMEOUT, START_TIMEOUT, Outcome, Shell, exchange
from pulumi_wgnode.hosts.ssh.frame import EATEN, LONGEST, Frame

UPLOAD_RATE = 64 << 10  # bytes a second below which an upload is given up
_FULL = "No space left on device"
_REMEDIES: Final = {
    _FULL: "`df` and `df -i` there show which file system is full",
    "Read-only file system": "`findmnt` there shows which file system is read-only, `dmesg` why (an error of the disk"
    " makes it so); mount it writable again (`mount -o remount,rw DIRECTORY`)",
    "Disk quota exceeded": "`quota` there shows whose",
}
_CANNOT_START = ("126", "127", f"126:{EATEN}", f"127:{EATEN}")  # what a shell says of a program
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
_REMOVE = """code=0; for path; do if [ -d "$path" ] && [ ! -L "$path" ]; then
rmdir --ignore-fail-on-non-empty -- "$path" || [ ! -e "$path" ] || code=1; else rm -f -- "$path" || code=1; fi; done
exit $code"""

# Each output follows its length in bytes and the command's exit code.
_RUN_ALL = r"""for command; do
    out=$(eval "$command"; printf '\n%s' "$?")
    code=${out##*
} out=${out%
*}
    printf '%s %s\n%s' "${#out}" "$code" "$out"
done"""

_ONE = re.compile(rb"(?P<size>\d{1,12}) (?P<code>\d{1,3})\n")

OpenChannel = Callable[[], AbstractContextManager[paramiko.Channel]]


class SshHost:
    """Implements `Host`. `open_channel` gives a session of the host's one connection (see pool.py)."""

    def __init__(self, name: str, user: str, open_channel: OpenChannel, shell: Shell | None = None) -> None:
        self.name, self._user = name, user
        self._open_channel = open_channel
        self._shell = shell or Shell()
        self._sudo = user != "root"

    def run(
        self, argv: Sequence[str], *, input: bytes = b"", check: bool = True, timeout: float = 60, secret: bool = False
    ) -> Result:
        code, out, err = self._run(argv, [input] if input else None, timeout)
        result = Result(code, out.decode(errors="replace"), err.decode(errors="replace"))
        if check and code != 0:
            raise self._failure(argv, result, secret)
        return result

    def run_all(self, commands: Sequence[Sequence[str]]) -> list[Result]:
        argv = ["sh", "-c", _RUN_ALL, "all", *(shlex.join(command) for command in commands)]
        code, out, err = self._run(argv, None, 60)
        said = err.decode(errors="replace")
        if code != 0:
            raise self._failure(commands[0], Result(code, "", said), secret=False)
        results = list(_results(out, said))
        if len(results) != len(commands):
            raise HostError(
                f"host {self.name}: {len(results)} of {len(commands)} commands answered: {said.strip()[-2000:]}; what"
                " was printed in between came from something else than they (a job of a start-up file?)"
            )
        return results

    def stat(self, paths: Sequence[str]) -> dict[str, File]:
        return query.answer(self, files.metadata(paths)) if paths else {}

    def read_file(self, path: str) -> bytes | None:
        argv = files.content(path).argv
        code, out, err = self._run(argv, None, 60)
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

    def remove(self, *paths: str) -> None:
        self.run(["sh", "-c", _REMOVE, "remove", *paths])

    def _write(self, path: str, data: Iterable[bytes], size: int, timeout: float, mode: int, owner: str) -> bool:
        argv = ["sh", "-c", _WRITE, "write", path, f"{mode:o}", owner, str(size)]
        try:
            code, out, err = self._run(argv, data, timeout)
        except HostUnreachable as error:
            raise HostUnreachable(f"{error}, writing {path}; what was there is as it was") from None
        if code != 0:
            said = err.decode(errors="replace").strip()
            full = self._room(os.path.dirname(path), size) if _FULL in said else ""
            raise HostError(f"host {self.name}: cannot write {path}: {full or said + _way_out(said)}")
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

    def _run(self, argv: Sequence[str], data: Iterable[bytes] | None, timeout: float) -> tuple[int, bytes, bytes]:
        """(exit code, output, error output). The limit is kept on the host too, so nothing runs on unseen."""
        self._require_time(argv)
        frame = Frame(token_hex(8), token_hex(8))
        limit = deadline.at_most(timeout)
        fed, probe = data is not None, not self._shell.proven
        line = frame.line(argv, sudo=self._sudo, limit=limit, fed=fed, probe=probe)
        if len(line.encode()) > LONGEST:
            raise HostError(f"host {self.name}: `{_shown(argv)}` is too long for one command ({len(line)} bytes)")
        try:
            with self._open_channel() as channel:
                outcome = exchange(channel, frame, line, frame.key if fed or probe else b"", data, limit, self._shell)
                if outcome.late:
                    self._require_time(argv)
                    raise self._silence(argv, outcome, limit)
                if not outcome.out.ended and not channel.get_transport().is_active():
                    raise EOFError
        except (paramiko.SSHException, OSError, EOFError) as error:
            raise self._in_the_middle(argv, error) from None
        if probe and not fed and outcome.out.ended:
            self._shell.proven, self._shell.reads = True, outcome.out.code.endswith(EATEN)
        return self._judged(argv, frame, outcome, limit)

    def _judged(self, argv: Sequence[str], frame: Frame, outcome: Outcome, limit: float) -> tuple[int, bytes, bytes]:
        """Raises HostError unless the command has said its exit code itself."""
        out, err, user = outcome.out, outcome.err, self._user
        if not out.began or (not err.began and frame.number.encode() in out.own):
            raise refusals.explain(self.name, user, self._sudo, frame, outcome)
        if out.code in (EATEN, *_CANNOT_START) and (problem := refusals.no_program(self.name, user, err.own)):
            raise problem
        if out.code == EATEN:
            raise refusals.eaten(self.name, user)
        code = out.code.partition(":")[0]
        if not code.isdecimal():
            raise self._in_the_middle(argv, EOFError("no exit status"))
        if int(code) == _TIMED_OUT:
            self._require_time(argv)
            raise HostError(f"host {self.name}: `{argv[0]}` did not end within {limit:.0f} s")
        return int(code), out.own, err.own

    def _require_time(self, argv: Sequence[str]) -> None:
        """Raises OutOfTime once the operation's own time is over."""
        if why := deadline.over():
            raise OutOfTime(f"host {self.name}: {why} at `{argv[0]}`; give it more, or see what is slow there")

    def _silence(self, argv: Sequence[str], outcome: Outcome, limit: float) -> HostError:
        if outcome.late == "refused":
            return NoShell(
                f"host {self.name}: lets {self._user} in, but to run no command; see its sshd_config and what"
                " precedes the key in authorized_keys"
            )
        if outcome.late == "exec":
            return HostHangs(
                f"host {self.name}: its sshd lets us in, but has not started `{argv[0]}` within {EXEC_TIMEOUT:g} s;"
                " look at the load of the host, and restart its sshd"
            )
        if outcome.late == "start":
            return HostHangs(refusals.slow(self.name, self._user, outcome, START_TIMEOUT))
        return HostUnreachable(
            f"host {self.name}: `{argv[0]}` did not end within {limit:.0f} s, and the host does not end it either"
        )

    def _in_the_middle(self, argv: Sequence[str], error: Exception) -> HostError:
        return HostUnreachable(
            f"host {self.name}: the connection broke in the middle of `{argv[0]}` ({str(error) or 'ended'})"
        )

    def _failure(self, argv: Sequence[str], result: Result, secret: bool) -> HostError:
        said = (result.stderr.strip() or result.stdout.strip())[-2000:]
        if secret:
            return HostError(f"host {self.name}: `{argv[0]}` exited with {result.code} (its text is kept secret)")
        return HostError(f"host {self.name}: `{_shown(argv)}` exited with {result.code}: {said}{_way_out(said)}")


def _way_out(said: str) -> str:
    return next((f"; {remedy}" for text, remedy in _REMEDIES.items() if text in said), "")


def _shown(argv: Sequence[str]) -> str:
    text = shlex.join(argv).split("\n")[0]
    return text if len(text) <= 200 else text[:200] + "..."


def _results(answer: bytes, said: str) -> Iterator[Result]:
    """As _RUN_ALL writes them, as far as it is that."""
    while found := _ONE.match(answer):
        size, end = int(found["size"]), found.end()
        if len(answer) < end + size:
            return
        yield Result(int(found["code"]), answer[end : end + size].decode(errors="replace"), said)
        answer = answer[end + size :]


def _pieces(source: str, size: int, progress: Callable[[int, int], None] | None) -> Iterator[bytes]:
    sent, told = 0, 0.0
    with open(source, "rb") as stream:
        while piece := stream.read(CHUNK):
            yield piece
            sent += len(piece)
            if progress and (sent == size or time.monotonic() - told > 0.5):
                told = time.monotonic()
                progress(sent, size)
