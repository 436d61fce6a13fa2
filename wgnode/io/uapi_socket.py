"""The UAPI socket /var/run/wireguard/NAME.sock: many clients, any number of requests on each connection.

Standard library only, and no knowledge of devices: `wgnode device` answers from its own, hostd asks the gateway.
"""

from __future__ import annotations

import ctypes
import errno
import os
import secrets
import socket
from collections.abc import Callable
from pathlib import Path

from wgnode.io.accept import Acceptor
from wgnode.io.loop import Loop
from wgnode.io.unix_client import PIECE, UnixClient

DIRECTORY = Path("/var/run/wireguard")
LARGEST_REQUEST = 16 << 20
"""Bytes. One that is a little larger is answered with an error; one whose end is not in sight then is cut off."""
TOO_LARGE = f"errno=-{errno.EMSGSIZE}\n\n"
MOST_CLIENTS = 64
IN_DELETE, IN_MOVED_FROM, IN_DELETE_SELF, IN_MOVE_SELF = 0x200, 0x40, 0x400, 0x800

Reply = Callable[[str], None]
Handler = Callable[[str, Reply], None]
"""Gets one whole request and answers it now or later, once; "" closes the connection without an answer."""


class UapiListener:
    """Serves one socket file, readable by its owner only. A stale file is replaced.

    Raises FileExistsError when a process answers there already, OSError when the socket can't be made.
    `largest` is a lower limit than LARGEST_REQUEST, in bytes: a request between the two is read, not kept, and answered
    with an error. `on_removed` is called when someone else removes the file.
    """

    def __init__(
        self,
        loop: Loop,
        name: str,
        handler: Handler,
        *,
        directory: Path = DIRECTORY,
        largest: int | None = None,
        on_removed: Callable[[], None] | None = None,
    ) -> None:
        self.loop, self.handler, self.on_removed, self.largest = loop, handler, on_removed, largest
        self.path = directory / f"{name}.sock"
        self._clients: set[_Client] = set()
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        refuse_or_unlink(self.path)
        self._socket = listen(self.path)
        self._identity = self._stat()
        self._acceptor = Acceptor(loop, self._socket, self._accept)
        self._watch = _watch_directory(directory) if on_removed is not None else -1
        if self._watch >= 0:
            loop.add_reader(self._watch, self._directory_changed)

    def close(self) -> None:
        """Disconnect everybody and remove the file, unless it is another's by now."""
        for client in list(self._clients):
            client.close()
        self._acceptor.close()
        self._socket.close()
        if self._watch >= 0:
            self.loop.remove_reader(self._watch)
            os.close(self._watch)
            self._watch = -1
        if self._stat() == self._identity:
            self.path.unlink(missing_ok=True)

    def _stat(self) -> tuple[int, int] | None:
        try:
            found = os.stat(self.path)
        except OSError:
            return None
        return found.st_dev, found.st_ino

    def _accept(self, connection: socket.socket) -> None:
        if len(self._clients) >= MOST_CLIENTS:
            connection.close()
            return
        self._clients.add(_Client(self.loop, connection, self.handler, self._clients.discard, self.largest))

    def _directory_changed(self) -> None:
        os.read(self._watch, PIECE)
        if self._stat() != self._identity and self.on_removed is not None:
            self.on_removed()


class _Client(UnixClient):
    """One connection. Requests are answered in order: the next is not read before the last is answered."""

    def __init__(
        self,
        loop: Loop,
        connection: socket.socket,
        handler: Handler,
        on_close: Callable[[_Client], None],
        largest: int | None = None,
    ) -> None:
        self.handler, self.largest = handler, LARGEST_REQUEST if largest is None else largest
        self.waiting = bytearray()
        self.discarded = 0
        self.busy = False
        super().__init__(loop, connection, on_close)

    def received(self, data: bytes) -> None:
        searched = max(0, len(self.waiting) - 1)
        self.waiting += data
        if self.discarded:
            return self._discard()
        self._next(searched)

    def sent(self) -> None:
        self.loop.add_reader(self.fd, self._readable)
        self.loop.call_later(0, self._next)

    def _next(self, searched: int = 0) -> None:
        """Hand over the next request, if it is whole."""
        if self.busy or self.unsent or self.fd < 0:
            return
        length = request_length(self.waiting, searched)
        if (len(self.waiting) if length is None else length) > self.largest:
            return self._discard()
        if length is None:
            return
        request = bytes(self.waiting[:length])
        del self.waiting[:length]
        self.busy = True
        self.loop.remove_reader(self.fd)
        self.handler(request.decode("utf-8", "replace"), self._reply)

    def _discard(self) -> None:
        """Read on to the end of a request that is too large: a client that still writes would not see an answer."""
        end = self.waiting.find(b"\n\n")
        gone = len(self.waiting) - 1 if end < 0 else end + 2  # one byte stays: the blank line may begin with it
        self.discarded += gone
        del self.waiting[:gone]
        if end >= 0:
            self.discarded, self.busy = 0, True
            self.loop.remove_reader(self.fd)
            self._reply(TOO_LARGE)
        elif self.discarded >= LARGEST_REQUEST + LARGEST_REQUEST // 256:
            self.close()

    def _reply(self, text: str) -> None:
        self.busy = False
        if text:
            self.send(text.encode())
        else:
            self.close()


def request_length(data: bytes | bytearray, searched: int = 0) -> int | None:
    """Bytes of the request that `data` begins with, None while it is not whole.

    `searched` bytes are known to hold no blank line. A request ends with a blank line; one that can't be right is
    whole as soon as that shows: an unknown operation at its first line, a get at its second.
    """
    first = data.find(b"\n")
    if first < 0:
        return None if len(data) <= len(b"get=1") else len(data)
    operation = bytes(data[:first])
    if operation == b"set=1":
        end = data.find(b"\n\n", searched)
        return None if end < 0 else end + 2
    if operation == b"get=1":
        return None if len(data) == first + 1 else (first + 2 if data[first + 1] == 0x0A else len(data))
    return first + 1


def refuse_or_unlink(path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        try:
            probe.connect(str(path))
        except FileNotFoundError:
            return
        except ConnectionRefusedError:
            path.unlink(missing_ok=True)
            return
        except BlockingIOError:
            pass
    raise _taken(path)


def _taken(path: Path) -> FileExistsError:
    return FileExistsError(errno.EEXIST, f"{path} belongs to a running process")


def listen(path: Path) -> socket.socket:
    """A socket file that never had a wider mode than 0600, nor its name before it answers.

    `wg show` removes a socket that refuses its connection, which one does between bind(2) and listen(2): the device
    would run on without one. Raises FileExistsError where another process was quicker.
    """
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
    unnamed = path.with_suffix(f".{secrets.token_hex(3)}")  # wg looks at what ends in .sock
    before = os.umask(0o177)
    try:
        made.bind(str(unnamed))
        made.listen(MOST_CLIENTS)
        os.link(unnamed, path)
    except FileExistsError:
        made.close()
        raise _taken(path) from None
    except BaseException:
        made.close()
        raise
    finally:
        os.umask(before)
        unnamed.unlink(missing_ok=True)
    return made


def _watch_directory(directory: Path) -> int:
    """A descriptor that is readable after something was removed from the directory, -1 where inotify is missing."""
    libc = ctypes.CDLL(None, use_errno=True)
    fd = int(libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC))
    mask = IN_DELETE | IN_MOVED_FROM | IN_DELETE_SELF | IN_MOVE_SELF
    if fd >= 0 and libc.inotify_add_watch(fd, os.fsencode(directory), mask) < 0:
        os.close(fd)
        return -1
    return fd
