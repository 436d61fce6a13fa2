"""One framed command on one channel: input in, both outputs out, each stage with a limit that holds.

Whatever the far side does, and at whatever stage it stops doing anything, the channel is closed under our own waits.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import paramiko

from pulumi_wgnode.call import deadline
from pulumi_wgnode.hosts.ssh import channel_input
from pulumi_wgnode.hosts.ssh.frame import Frame, Stream
from pulumi_wgnode.hosts.ssh.watchdog import Watchdog

CHUNK = 1 << 17  # bytes
EXEC_TIMEOUT = 10.0  # seconds until sshd has answered that it starts the login shell
START_TIMEOUT = 30.0  # seconds more until start-up files and sudo have come to our command
GRACE = 10.0  # seconds that a command may take to end, and to say so, once its limit on the host is over
LINGER = 2.0  # seconds for what others still do and print after our command


@dataclass(frozen=True)
class Outcome:
    """`status` is what sshd says of the login shell, None for nothing; `late` names the limit that was not kept, or
    is "refused" where sshd starts no command at all."""

    out: Stream
    err: Stream
    status: int | None
    late: str = ""


class Shell:
    """What one connection has shown of its user's login shell: whether it came to our own command once, and whether
    what precedes that leaves its input alone."""

    def __init__(self) -> None:
        self.proven = False
        self.reads = False


def exchange(
    channel: paramiko.Channel,
    frame: Frame,
    line: str,
    key: bytes,
    data: Iterable[bytes] | None,
    limit: float,
    shell: Shell,
) -> Outcome:
    """Run `line`, for at most `limit` seconds from when it begins, with `key` and then `data` as its input.

    Raises SSHException, OSError or EOFError.

    Nobody but our command gets the input: with a shell that is not proven, or reads, it waits for the beginning.
    """
    out, err = frame.outputs()
    begun = threading.Event()
    if data is None or (shell.proven and not shell.reads):
        begun.set()
    with Watchdog(channel.close) as watchdog:
        watchdog.limit(deadline.at_most(EXEC_TIMEOUT), "exec")
        try:
            channel.exec_command(line)
        except (paramiko.SSHException, OSError, EOFError):
            if not watchdog.late and not channel.get_transport().is_active():
                raise
            return Outcome(out, err, None, watchdog.late or "refused")
        watchdog.limit(deadline.at_most(START_TIMEOUT), "start")

        def progress() -> None:
            if out.garbled:
                channel.close()
            elif out.ended and err.ended:
                watchdog.limit(LINGER, "linger")
            elif out.began and not begun_once.is_set():
                begun_once.set()
                watchdog.limit(deadline.at_most(limit + GRACE), "end")
                begun.set()

        begun_once = threading.Event()
        reader = _thread(lambda: _read(channel.recv_stderr, err, progress))
        _thread(lambda: _feed(channel, key, data or (), begun))
        _read(channel.recv, out, progress)
        reader.join()
        status = None if out.ended else _status(channel, watchdog)
        begun.set()
        late = "" if out.ended or watchdog.late in ("status", "linger") else watchdog.late
    return Outcome(out, err, status, late)


def _status(channel: paramiko.Channel, watchdog: Watchdog) -> int | None:
    watchdog.limit(LINGER, "status")
    code = channel.recv_exit_status()
    return None if code == -1 else code


def _thread(run: Callable[[], None]) -> threading.Thread:
    """Threads, because each of input and both outputs can block the others."""
    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    return thread


def _read(receive: Callable[[int], bytes], into: Stream, progress: Callable[[], None]) -> None:
    """To the end of the output, also where the command's own has ended: else sshd would count a session too many."""
    while chunk := receive(CHUNK):
        was = into.began, into.ended
        into.feed(chunk)
        if into.garbled or was != (into.began, into.ended):
            progress()


def _feed(channel: paramiko.Channel, key: bytes, data: Iterable[bytes], begun: threading.Event) -> None:
    gone = contextlib.suppress(OSError, EOFError, paramiko.SSHException)  # it ended before it had read all
    with gone:
        begun.wait()
        if key:
            channel_input.send(channel, key)
        for piece in data:
            channel_input.send(channel, piece)
    with gone:  # also where our own file cannot be read to its end: the command waits for no more
        channel_input.end(channel)
