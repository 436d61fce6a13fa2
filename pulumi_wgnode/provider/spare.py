"""The plugin's second start in a run of the engine, taken over by a process in which the imports are done already.

The engine starts the plugin for the provider that a state has and again for the program's, and all of that once more
where it previews first. Most of a start is imports. So the first process forks, before it has a thread, a spare one
that waits on a socket of this engine's. A later start hands its output, environment and arguments over to a fork of
that, and stays only to pass signals on. Whatever goes wrong before that is done, the later start goes its own way.

Only Linux has what it takes (abstract sockets, pidfd); elsewhere each start imports for itself. Nothing heavy may be
imported here. docs/decisions/one-start.md
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
import struct
import sys
from collections.abc import Callable

IDLE = 120.0  # seconds after which a spare process that nobody needed ends
ANSWER = 10.0  # seconds in which one takes over; a spare that is gone is noticed at once
_HEADER = struct.Struct("!I")
_CREDENTIALS = struct.Struct("3i")
_LONGEST = 8 << 20  # bytes of an environment
_CODE = os.path.dirname(os.path.abspath(__file__))

Alive = Callable[[], bool]


def possible(engine: str) -> bool:
    """Whether there may be a spare process of the engine at this address ("127.0.0.1:port")."""
    return bool(engine) and sys.platform == "linux" and hasattr(os, "pidfd_open")


def hand_over(engine: str) -> int | None:
    """Let a spare process be the plugin in our stead, until it ends: the code to exit with. None: there is no spare."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(ANSWER)
        try:
            connection.connect(_name(engine))
            if _peer(connection)[1] != os.getuid():
                return None
            start = {"argv": sys.argv, "environment": dict(os.environ), "folder": os.getcwd(), "code": _CODE}
            text = json.dumps(start).encode("utf-8", "surrogateescape")
            socket.send_fds(connection, [_HEADER.pack(len(text))], [0, 1, 2])
            connection.sendall(text)
            (other,) = _HEADER.unpack(_received(connection, _HEADER.size))
            passed = _pass_signals_on(other)
            connection.sendall(b"!")
        except (OSError, EOFError, ValueError):
            return None
        return _outlived(connection, passed)


def offer(engine: str, warm: Callable[[], None]) -> Alive:
    """Fork a spare process, which runs `warm` while it waits. Returns in the caller and, each time that a start was
    handed over, in a process that is to be the plugin of that. What is returned tells whether that is still wanted."""
    wanted, parent = while_child(), os.getppid()
    with socket.socket(socket.AF_UNIX) as listener:
        try:
            listener.bind(_name(engine))
        except OSError:  # there is one already, which did not want us
            return wanted
        listener.listen()
        if os.fork():
            return wanted
        try:
            return _wait(listener, os.pidfd_open(parent), warm)
        except BaseException:
            os._exit(1)  # no second plugin, whatever happens


def while_child() -> Alive:
    """Tells whether the process is there that has started us."""
    parent = os.getppid()
    return lambda: os.getppid() == parent


def _name(engine: str) -> str:
    """An abstract socket's: nothing of it stays behind, and who may use it is asked of the kernel."""
    return f"\0wgnode-plugin/{os.getuid()}/{os.getppid()}/{engine}"


def _pass_signals_on(process: int) -> list[int]:
    """Those that end a plugin, from now on; what is returned has those that came."""
    came: list[int] = []

    def send(number: int, _: object) -> None:
        came.append(number)
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, number)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, send)
    return came


def _outlived(connection: socket.socket, passed: list[int]) -> int:
    """Wait until the plugin in our stead is gone, or the engine."""
    try:
        engine = os.pidfd_open(os.getppid())
    except OSError:
        return 0
    readable, _, _ = select.select([connection.fileno(), engine], [], [])
    return 0 if passed or engine in readable else 1


def _wait(listener: socket.socket, engine: int, warm: Callable[[], None]) -> Alive:
    """As the spare process, of which no output, group or folder of the first must be left: the engine waits for its
    output to close, and may end its whole group."""
    os.setpgid(0, 0)
    os.chdir("/")
    nowhere = os.open(os.devnull, os.O_RDWR)
    for number in range(3):
        os.dup2(nowhere, number)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    warm()
    while True:
        readable, _, _ = select.select([listener.fileno(), engine], [], [], IDLE)
        if listener.fileno() not in readable:
            os._exit(0)
        connection, _ = listener.accept()
        with connection:
            if _wanted(connection) and not os.fork():
                listener.close()
                os.close(engine)
                return _take_over(socket.socket(fileno=connection.detach()))


def _wanted(connection: socket.socket) -> bool:
    return _peer(connection)[1] == os.getuid()


def _take_over(connection: socket.socket) -> Alive:
    """Become what was started there. Raises OSError, EOFError or ValueError where that goes its own way."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    connection.settimeout(ANSWER)
    header, descriptors, _, _ = socket.recv_fds(connection, _HEADER.size, 3)
    (length,) = _HEADER.unpack(header)
    if length > _LONGEST or len(descriptors) != 3:
        raise ValueError("this is no start of a plugin")
    told = json.loads(_received(connection, length).decode("utf-8", "surrogateescape"))
    if told["code"] != _CODE:
        raise ValueError("this is another plugin's")
    starter = _peer(connection)[0]
    with contextlib.suppress(OSError):  # another session's, where nobody ends whole groups
        os.setpgid(0, os.getpgid(starter))
    for number, descriptor in enumerate(descriptors):
        os.dup2(descriptor, number)
        os.close(descriptor)
    os.environ.clear()
    os.environ.update(told["environment"])
    os.chdir(told["folder"])
    sys.argv[:] = told["argv"]
    connection.sendall(_HEADER.pack(os.getpid()))
    if _received(connection, 1) != b"!":
        raise ValueError("it was not waited for")
    connection.setblocking(False)
    return lambda: _open(connection)


def _open(connection: socket.socket) -> bool:
    """Whether who started us is there."""
    try:
        return bool(connection.recv(1))
    except BlockingIOError:
        return True
    except OSError:
        return False


def _received(connection: socket.socket, length: int) -> bytes:
    """So many bytes. Raises EOFError where there are fewer."""
    found = b""
    while len(found) < length:
        if not (piece := connection.recv(min(length - len(found), 1 << 16))):
            raise EOFError
        found += piece
    return found


def _peer(connection: socket.socket) -> tuple[int, int]:
    """Process and user at the other end, as the kernel has them."""
    found = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    process, user, _ = _CREDENTIALS.unpack(found)
    return process, user
