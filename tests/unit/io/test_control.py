"""Frames of the control channel, over pieces of every size and over a line that hangs up and comes back."""

from __future__ import annotations

import os
import socket
import struct
import tty
from collections.abc import Iterator

import pytest

from wgnode.io import control
from wgnode.io.control import Channel, Decoder, FrameError, Message, encode
from wgnode.io.loop import Loop

HELLO: Message = {"type": "hello", "name": "berlin", "ümlaut": "ß"}


def test_a_frame_is_a_big_endian_length_and_json() -> None:
    frame = encode({"type": "heartbeat"})
    assert frame == b"\0\0\0\x14" + b'{"type":"heartbeat"}'


@pytest.mark.parametrize("size", [1, 2, 3, 5, 17, 1000])
def test_frames_come_out_whole_whatever_pieces_they_arrive_in(size: int) -> None:
    messages = [HELLO, {"type": "reply", "id": 1, "text": "x" * 200}, {"type": "heartbeat"}]
    stream = b"".join(encode(message) for message in messages)
    decoder = Decoder()
    found = [message for at in range(0, len(stream), size) for message in decoder.feed(stream[at : at + size])]
    assert found == messages


def test_a_frame_of_the_largest_size_passes_and_one_byte_more_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control, "LARGEST_FRAME", 30)
    fits = {"type": "log", "text": "123456"}
    assert len(encode(fits)) == 4 + 30
    assert Decoder().feed(encode(fits)) == [fits]
    with pytest.raises(FrameError, match="'log' message of 31 bytes"):
        encode({"type": "log", "text": "1234567"})
    with pytest.raises(FrameError, match="31 bytes"):
        Decoder().feed(struct.pack(">I", 31))


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b'"type"', b'{"id":1}', b'{"type":1}', b"\xff\xfe{\0}\0", b"[" * 9999]
)
def test_a_frame_that_is_no_typed_object_is_refused_and_forgotten(body: bytes) -> None:
    decoder = Decoder()
    with pytest.raises(FrameError):
        decoder.feed(struct.pack(">I", len(body)) + body + b"rest")
    assert decoder.feed(encode(HELLO)) == [HELLO]


def test_reset_forgets_half_a_frame() -> None:
    decoder = Decoder()
    assert decoder.feed(encode(HELLO)[:-1]) == []
    decoder.reset()
    assert decoder.feed(encode(HELLO)) == [HELLO]


class Ends:
    """A channel over one end of a socket pair; the other end in our hands."""

    def __init__(self) -> None:
        self.loop = Loop()
        self.ours, self.theirs = socket.socketpair()
        self.theirs.setblocking(False)
        self.messages: list[Message] = []
        self.closed: list[str | None] = []
        self.channel = Channel(self.loop, self.ours.fileno(), self.messages.append, self.closed.append)


@pytest.fixture
def ends() -> Iterator[Ends]:
    made = Ends()
    yield made
    made.channel.close()
    made.loop.close()
    made.ours.close()
    made.theirs.close()


def test_channel_delivers_messages_both_ways(ends: Ends) -> None:
    ends.theirs.send(encode(HELLO) + encode({"type": "heartbeat"})[:7])
    ends.loop.run_once(0)
    assert ends.messages == [HELLO]
    assert ends.channel.send(HELLO)
    assert Decoder().feed(ends.theirs.recv(1000)) == [HELLO]


def test_channel_keeps_what_a_slow_reader_does_not_take_and_sends_it_in_order(ends: Ends) -> None:
    sent: list[Message] = [{"type": "log", "number": number, "text": "x" * 50_000} for number in range(20)]
    assert all(ends.channel.send(message) for message in sent)
    decoder, found = Decoder(), list[Message]()
    for _ in range(1000):
        ends.loop.run_once(0)
        try:
            found += decoder.feed(ends.theirs.recv(1 << 20))
        except BlockingIOError:
            break
    assert found == sent


def test_channel_drops_what_would_exceed_its_backlog(ends: Ends, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control, "LARGEST_BACKLOG", 1 << 20)
    large: Message = {"type": "log", "text": "x" * 400_000}
    assert [ends.channel.send(large) for _ in range(10)].count(True) in (3, 4)
    assert ends.channel.dropped in (6, 7)


def test_channel_reports_once_that_the_other_end_has_gone(ends: Ends) -> None:
    ends.theirs.close()
    ends.loop.run_once(0)
    ends.loop.run_once(0)
    assert ends.closed == [None]
    assert not ends.channel.send(HELLO)


def test_channel_parts_from_an_end_that_sends_rubbish(ends: Ends) -> None:
    ends.theirs.send(b"\xff" * 8)
    ends.loop.run_once(0)
    assert len(ends.closed) == 1
    assert "4294967295 bytes" in str(ends.closed[0])


def test_persistent_channel_survives_its_client_and_forgets_half_frames(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control, "RETRY", 0.01)
    loop, messages, events = Loop(), list[Message](), list[str]()
    port, client = os.openpty()
    path = os.ttyname(client)
    tty.setraw(client)
    channel = Channel(
        loop,
        port,
        messages.append,
        lambda _: events.append("close"),
        persistent=True,
        on_open=lambda: events.append("open"),
    )
    os.write(client, encode(HELLO)[:9])
    loop.run_once(1)
    os.close(client)
    loop.run_once(1)
    assert events == ["open", "close"]
    assert not channel.send(HELLO)

    client = os.open(path, os.O_RDWR | os.O_NOCTTY)
    tty.setraw(client)
    os.write(client, encode(HELLO))
    deadline = loop.now() + 5
    while not messages and loop.now() < deadline:
        loop.run_once(0.1)
    assert messages == [HELLO]
    assert events == ["open", "close", "open"]
    channel.close()
    os.close(client)
    os.close(port)
    loop.close()
