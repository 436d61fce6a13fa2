"""A command's input, none of which is ever sent after the close of its channel.

paramiko judges whether a channel is open, lets go of its lock, and sends only then, while its own thread answers the
server's close. OpenSSH ends the whole connection for what comes late ("ieof packet referred to nonexistent channel").
Holding that lock while sending would not do either: in a key exchange nothing may be sent until paramiko's thread has
gone on, which may be waiting for the lock. So what is sent is judged once more by whoever has its turn to send: a
channel is marked closed before its close waits for that turn.

The parts of paramiko's Channel and Transport that are meant here are those its types don't tell of.
"""

from __future__ import annotations

from typing import Any

from paramiko.common import cMSG_CHANNEL_DATA
from paramiko.message import Message

TURN = 0.1  # seconds between two looks whether the channel has been closed, while keys are exchanged


def send(channel: Any, data: bytes) -> None:
    """All of `data`, as the far side makes room for it. Raises OSError where the channel is closed before."""
    view = memoryview(data)
    while view:
        with channel.lock:
            size = channel._wait_for_send_window(len(view))
        if size == 0:
            raise OSError("the channel is closed")
        message = Message()
        message.add_byte(cMSG_CHANNEL_DATA)
        message.add_int(channel.remote_chanid)
        message.add_string(bytes(view[:size]))
        _in_turn(channel, message)
        view = view[size:]


def end(channel: Any) -> None:
    """Nothing more comes. Raises OSError where the channel is closed."""
    with channel.lock:
        message = channel._send_eof()
    if message is not None:
        _in_turn(channel, message)


def _in_turn(channel: Any, message: Message) -> None:
    transport = channel.transport
    while True:
        transport.clear_to_send.wait(TURN)
        with transport.clear_to_send_lock:
            if channel.closed or not transport.active:
                raise OSError("the channel is closed")
            if transport.clear_to_send.is_set():
                transport._send_message(message)
                return
