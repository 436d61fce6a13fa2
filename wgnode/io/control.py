"""Framing of the gateway's control channel: u32 big-endian length, then a UTF-8 JSON object with a "type".

Used at both ends (PID 1 in the gateway, hostd on the host), so standard library only.
"""

from __future__ import annotations

import errno
import json
import math
import os
import select
import struct
from collections import deque
from collections.abc import Callable
from typing import Any, Generic, TypeVar, cast

from wgnode.io.loop import Loop, Timer

Message = dict[str, Any]
Heard = TypeVar("Heard")

LARGEST_FRAME = 16 << 20
"""Bytes of JSON."""
LARGEST_BACKLOG = 2 * LARGEST_FRAME
"""Bytes that may wait for a slow reader."""
RETRY = 0.25
"""Seconds until a port without a reader at the other end is tried again."""
HEADER = struct.Struct(">I")
PIECE = 65536


class FrameError(ValueError):
    """The stream is no longer in step: reset the decoder, or close the channel."""


def encode(message: Message) -> bytes:
    """A frame. Raises FrameError when it would be larger than the other end accepts."""
    body = json.dumps(message, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "replace")
    if len(body) > LARGEST_FRAME:
        raise FrameError(f"a {message.get('type')!r} message of {len(body)} bytes; the limit is {LARGEST_FRAME}")
    return HEADER.pack(len(body)) + body


class Frames:
    """The bodies of frames out of any pieces. Holds at most one frame and the last piece."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[bytes]:
        """The bodies that `data` completes. After FrameError nothing of the stream is held."""
        self._buffer += data
        bodies: list[bytes] = []
        start = 0
        while len(self._buffer) - start >= HEADER.size:
            (length,) = HEADER.unpack_from(self._buffer, start)
            if length > LARGEST_FRAME:
                self.reset()
                raise FrameError(f"a frame claims {length} bytes; the limit is {LARGEST_FRAME}")
            end = start + HEADER.size + length
            if len(self._buffer) < end:
                break
            with memoryview(self._buffer) as view:  # of a large frame one copy less
                bodies.append(bytes(view[start + HEADER.size : end]))
            start = end
        del self._buffer[:start]
        return bodies

    def reset(self) -> None:
        """Forget half a frame, because a new client is at the other end."""
        self._buffer.clear()


class Decoder(Frames):
    """Messages instead of bodies, for an end that trusts the other."""

    def feed(self, data: bytes) -> list[Message]:  # type: ignore[override]
        """The messages that `data` completes. After FrameError the decoder is empty."""
        try:
            return [parse(body) for body in super().feed(data)]
        except FrameError:
            self.reset()
            raise


def parse(body: bytes) -> Message:
    """Raises FrameError."""
    try:
        message = json.loads(body.decode())
    except (ValueError, RecursionError):
        raise FrameError("a frame is no JSON") from None
    if not isinstance(message, dict) or not isinstance(message.get("type"), str):
        raise FrameError('a frame is no JSON object with a "type"')
    return message


_READ = cast(Any, parse)


class Channel(Generic[Heard]):
    """Messages over a descriptor (a virtio-serial port, a socket): never blocks, never lets a slow reader cost memory.

    `on_message` gets what `read` makes of each frame's body; it may raise FrameError. `on_close` is called once the
    other end has gone; it gets what was wrong, or None.
    With `persistent`, as PID 1 needs it for its port, the channel outlives the other end: it forgets half frames
    in both directions and waits for the next client; then `on_open` and `on_close` are called each time one comes
    and goes. The caller owns the descriptor, and closes it after `close()`.
    """

    def __init__(
        self,
        loop: Loop,
        fd: int,
        on_message: Callable[[Heard], None],
        on_close: Callable[[str | None], None] | None = None,
        *,
        read: Callable[[bytes], Heard] = _READ,
        persistent: bool = False,
        on_open: Callable[[], None] | None = None,
    ) -> None:
        os.set_blocking(fd, False)
        self.loop, self.fd, self.persistent = loop, fd, persistent
        self.on_message, self.on_close, self.on_open = on_message, on_close, on_open
        self.read = read
        self.dropped = 0
        self.connected = False
        self._decoder = Frames()
        self._outbox: deque[memoryview] = deque()
        self._waiting = 0
        self._open = True
        self._resting: Timer | None = None
        self._resume()

    def send(self, message: Message) -> bool:
        """Queue a message; False when it was dropped because the reader is away or too slow (counted in `dropped`)."""
        frame = encode(message)
        if not self.connected or self._waiting + len(frame) > LARGEST_BACKLOG:
            self.dropped += 1
            return False
        self._outbox.append(memoryview(frame))
        self._waiting += len(frame)
        if len(self._outbox) == 1:
            self._writable()
        return True

    def rest(self, seconds: float = math.inf) -> None:
        """Read on only then: until that the other end has to wait, since nothing is read that could be kept."""
        self.loop.remove_reader(self.fd)
        if self._resting is not None:
            self._resting.cancel()
        self._resting = self.loop.call_later(seconds, self.read_on)

    def read_on(self) -> None:
        """No matter how long it was to rest."""
        if self._resting is not None:
            self._resting.cancel()
        if self.connected:
            self.loop.add_reader(self.fd, self._readable)

    def close(self) -> None:
        """Stop using the descriptor. `on_close` is not called."""
        if not self._open:
            return
        self._open = False
        self._pause()

    def _readable(self) -> None:
        try:
            data = os.read(self.fd, PIECE)
        except BlockingIOError:
            return
        except OSError as error:
            return self._parted(os.strerror(error.errno or 0))
        if not data:
            return self._parted(None)
        try:
            for body in self._decoder.feed(data):
                message = self.read(body)
                if self.connected:
                    self.on_message(message)
        except FrameError as error:
            return self._parted(str(error))

    def _writable(self) -> None:
        try:
            while self._outbox:
                frame = self._outbox[0]
                written = os.write(self.fd, frame)
                self._waiting -= written
                if written < len(frame):
                    self._outbox[0] = frame[written:]
                else:
                    self._outbox.popleft()
        except BlockingIOError:
            self.loop.add_writer(self.fd, self._writable)
        except OSError as error:
            self._parted(None if error.errno == errno.EPIPE else os.strerror(error.errno or 0))
        else:
            self.loop.remove_writer(self.fd)

    def _parted(self, why: str | None) -> None:
        if not self.connected:
            return
        self._pause()
        self._decoder.reset()
        self._outbox.clear()
        self._waiting = 0
        if self.persistent:
            self.loop.call_later(RETRY, self._resume)
        else:
            self._open = False
        if self.on_close is not None:
            self.on_close(why)

    def _pause(self) -> None:
        """A hung-up descriptor is always ready: watched, it would keep the loop spinning."""
        self.connected = False
        if self._resting is not None:
            self._resting.cancel()
        self.loop.remove_writer(self.fd)
        self.loop.remove_reader(self.fd)

    def _resume(self) -> None:
        if not self._open:
            return
        if self.persistent and _hung_up(self.fd):
            self.loop.call_later(RETRY, self._resume)
            return
        self.connected = True
        self.loop.add_reader(self.fd, self._readable)
        if self.on_open is not None:
            self.on_open()


def _hung_up(fd: int) -> bool:
    poll = select.poll()
    poll.register(fd, 0)
    return bool(poll.poll(0))
