"""Framing of the gateway's control channel: u32 big-endian length, then a UTF-8 JSON object with a "type".

Used at both ends (PID 1 in the gateway, hostd on the host), so standard library only.
"""

from __future__ import annotations

import errno
import json
import os
import select
import struct
from collections import deque
from collections.abc import Callable
from typing import Any

from wgnode.io.loop import Loop

Message = dict[str, Any]

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


class Decoder:
    """Frames out of any pieces. Holds at most one frame and the last piece."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[Message]:
        """The messages that `data` completes. After FrameError the decoder is empty."""
        self._buffer += data
        messages: list[Message] = []
        start = 0
        try:
            while len(self._buffer) - start >= HEADER.size:
                (length,) = HEADER.unpack_from(self._buffer, start)
                if length > LARGEST_FRAME:
                    raise FrameError(f"a frame claims {length} bytes; the limit is {LARGEST_FRAME}")
                end = start + HEADER.size + length
                if len(self._buffer) < end:
                    break
                messages.append(_parse(bytes(self._buffer[start + HEADER.size : end])))
                start = end
        except FrameError:
            self.reset()
            raise
        del self._buffer[:start]
        return messages

    def reset(self) -> None:
        """Forget half a frame, because a new client is at the other end."""
        self._buffer.clear()


def _parse(body: bytes) -> Message:
    try:
        message = json.loads(body.decode())
    except (ValueError, RecursionError):
        raise FrameError("a frame is no JSON") from None
    if not isinstance(message, dict) or not isinstance(message.get("type"), str):
        raise FrameError('a frame is no JSON object with a "type"')
    return message


class Channel:
    """Messages over a descriptor (a virtio-serial port, a socket): never blocks, never lets a slow reader cost memory.

    `on_message` gets each message. `on_close` is called once the other end has gone; it gets what was wrong, or None.
    With `persistent`, as PID 1 needs it for its port, the channel outlives the other end: it forgets half frames
    in both directions and waits for the next client; then `on_open` and `on_close` are called each time one comes
    and goes. The caller owns the descriptor, and closes it after `close()`.
    """

    def __init__(
        self,
        loop: Loop,
        fd: int,
        on_message: Callable[[Message], None],
        on_close: Callable[[str | None], None] | None = None,
        *,
        persistent: bool = False,
        on_open: Callable[[], None] | None = None,
    ) -> None:
        os.set_blocking(fd, False)
        self.loop, self.fd, self.persistent = loop, fd, persistent
        self.on_message, self.on_close, self.on_open = on_message, on_close, on_open
        self.dropped = 0
        self.connected = False
        self._decoder = Decoder()
        self._outbox: deque[memoryview] = deque()
        self._waiting = 0
        self._open = True
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
            messages = self._decoder.feed(data)
        except FrameError as error:
            return self._parted(str(error))
        for message in messages:
            if self.connected:
                self.on_message(message)

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
