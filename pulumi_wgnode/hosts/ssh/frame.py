"""How one command is told from all else that a login shell, its start-up files and their wrappers print. Pure.

sshd hands a command to the user's login shell, which may print before it, after it, on both outputs, may read its
input, end with another exit code, or be none of POSIX's. So the line that is sent has only signs that mean themselves
to every shell, and starts /bin/sh; that marks, with a number drawn for this command, where each output begins and ends,
and says the exit code itself. docs/decisions/login-shells.md.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

_PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# What start-up files may have set that makes tools answer otherwise. Proxies stay: apt needs them.
_UNWANTED: Final = (
    "CDPATH ENV BASH_ENV POSIXLY_CORRECT GREP_OPTIONS TAR_OPTIONS TMPDIR BLOCKSIZE BLOCK_SIZE DF_BLOCK_SIZE"
    " DU_BLOCK_SIZE TIME_STYLE QUOTING_STYLE LS_COLORS LANGUAGE LD_PRELOAD LD_LIBRARY_PATH"
    " PYTHONPATH PYTHONHOME SYSTEMD_COLORS SYSTEMD_PAGER SYSTEMCTL_FORCE_BUS"
)
EATEN: Final = "eaten"  # instead of an exit code, or behind it: the key did not arrive, so neither has the input
LONGEST: Final = 128 << 10  # bytes of one argument in Linux (MAX_ARG_STRLEN); sshd makes one of the whole line
_KEPT = 4096  # bytes of what is printed before our own output that are kept for a message
# In single quotes, these alone don't mean themselves to each of sh, bash, zsh, fish, csh and tcsh.
_SPECIAL = re.compile(rb"[^ -~]|['\\!]")
_START = '\'eval "$(printf %b "$1")"\' wgnode'


@dataclass(frozen=True)
class Frame:
    """`first` and `second` are the halves of the number: no process list ever shows it whole."""

    first: str
    second: str

    @property
    def number(self) -> str:
        return self.first + self.second

    @property
    def key(self) -> bytes:
        """What precedes a command's input, which proves that nobody has read of it."""
        return f"{self.number}\n".encode()

    def line(self, argv: Sequence[str], *, sudo: bool, limit: float, fed: bool, probe: bool = False) -> str:
        """What to send: runs `argv` as root for at most `limit` seconds; `fed` says whether it gets any input.

        `probe`: it gets none, but the key alone, to see whether that arrives.

        By way of env and in quotes, so that no alias and no function of that name is run in sudo's place.
        """
        way = "'env' LC_ALL=C " + ("sudo -n -- " if sudo else "")
        return f"{way}/bin/sh -c {_START} '{_plain(self._script(argv, limit, fed, probe))}'"

    def outputs(self) -> tuple[Stream, Stream]:
        """Standard output and standard error, to be fed."""
        return Stream(self._mark("out"), self._mark("end:")), Stream(self._mark("err"), self._mark("fin"))

    def _mark(self, what: str) -> bytes:
        return f"{self.number}:{what}".encode() + (b"" if what.endswith(":") else b"\n")

    def _script(self, argv: Sequence[str], limit: float, fed: bool, probe: bool) -> str:
        number = f"'{self.first}''{self.second}'"
        lines = [
            f"export LC_ALL=C DEBIAN_FRONTEND=noninteractive PATH={_PATH}",
            f"unset {_UNWANTED}",
            f"say() {{ printf '%s:%s\\n' {number} \"$1\"; }}",
            "say out; say err >&2",
        ]
        whole = f'[ "$(head -c {len(self.key)})" = {number} ]'
        if fed:
            lines.append(f"{whole} || {{ say end:{EATEN}; say fin >&2; exit 1; }}")
        elif probe:
            lines.append(f"{whole} && eaten= || eaten=:{EATEN}")
        lines.append(f"timeout -k 5 {max(0.1, limit):.1f} {shlex.join(argv)}")
        lines.append('say "end:$?$eaten"; say fin >&2' if probe and not fed else 'say "end:$?"; say fin >&2')
        return "\n".join(lines)


def _plain(script: str) -> str:
    """As printf's %b reads it back, without a sign that any shell takes for its own inside single quotes."""
    escaped = _SPECIAL.sub(lambda found: b"\\0%03o" % found.group()[0], script.encode(errors="surrogateescape"))
    return escaped.decode()


class Stream:
    """One output of a command: what others print, the beginning, its own bytes, the end, what others print."""

    def __init__(self, begin: bytes, end: bytes) -> None:
        self._begin, self._end = begin, end
        self._data = bytearray()
        self._searched = 0
        self._first = b""
        self.before = 0  # bytes that others printed first
        self.began = self.ended = False
        self.garbled = False  # it began, but not with the bytes that were sent
        self.code = ""  # what followed the end

    def feed(self, chunk: bytes) -> None:
        if self.ended:
            return
        self._data += chunk
        if not self.began:
            self._look_for_begin()
        if self.began:
            self._look_for_end()

    @property
    def own(self) -> bytes:
        """The command's own bytes, exactly; nothing where it never began."""
        return bytes(self._data) if self.began else b""

    @property
    def others(self) -> bytes:
        """The first and the last of what was printed before, at most 8 KiB."""
        last = b"" if self.began else bytes(self._data[-_KEPT:])
        return self._first + last if self.before <= len(self._first) else self._first + b" ... " + last

    def _look_for_begin(self) -> None:
        at = self._data.find(self._begin)
        if at >= 0:
            self.began = True
            self._drop(at)
            del self._data[: len(self._begin)]
        elif 0 <= (at := self._data.find(self._begin[:-1])) < len(self._data) - len(self._begin):
            self.garbled = True
        elif len(self._data) > 2 * _KEPT:  # nobody's start-up files may fill our memory
            self._drop(len(self._data) - _KEPT)

    def _drop(self, size: int) -> None:
        if len(self._first) < _KEPT:
            self._first += bytes(self._data[: min(size, _KEPT - len(self._first))])
        self.before += size
        del self._data[:size]

    def _look_for_end(self) -> None:
        """The end is whole once its line is."""
        at = self._data.find(self._end, self._searched)
        if at < 0:
            self._searched = max(0, len(self._data) - len(self._end))
            return
        self._searched = at
        after = at + len(self._end)
        newline = after - 1 if self._end.endswith(b"\n") else self._data.find(b"\n", after)
        if newline >= 0:
            self.ended = True
            self.code = self._data[after:newline].decode(errors="replace")
            del self._data[at:]
