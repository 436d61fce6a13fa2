"""A command's input and the close of its channel, against a real SSH server on the loopback."""

from __future__ import annotations

import contextlib
import hashlib
import threading
import time

import paramiko
import pytest
from paramiko.common import cMSG_CHANNEL_CLOSE, cMSG_CHANNEL_DATA, cMSG_CHANNEL_EOF

from pulumi_wgnode.hosts.ssh import channel_input


@pytest.fixture
def transport(server, key):
    made = paramiko.Transport(("127.0.0.1", server.port))
    made.connect(username="root", pkey=key[1])
    yield made
    made.close()


def opened(transport, command):
    channel = transport.open_session()
    channel.exec_command(command)
    return channel


class SlowTurn(threading.Event):
    """Whoever sends waits a little for its turn, but for `thread`, which answers the server's close meanwhile."""

    def __init__(self, thread):
        super().__init__()
        self.thread = thread
        self.set()

    def wait(self, timeout=None):
        if threading.current_thread() is not self.thread:
            time.sleep(0.05)
        return super().wait(timeout)


@pytest.mark.parametrize("data", [None, b"more than it reads"], ids=["end", "data"])
def test_no_input_is_sent_after_the_end_of_its_channel(transport, monkeypatch, data):
    """A command that ends at once is closed by the server while it is sent input, or told that nothing more comes."""
    sent = []
    send = transport._send_message

    def noted(message):
        kind = message.asbytes()[0]
        if kind in (cMSG_CHANNEL_DATA[0], cMSG_CHANNEL_EOF[0], cMSG_CHANNEL_CLOSE[0]):
            sent.append((kind, message.asbytes()[1:5]))
        send(message)

    monkeypatch.setattr(transport, "_send_message", noted)
    monkeypatch.setattr(transport, "clear_to_send", SlowTurn(transport))
    for _ in range(5):
        channel = opened(transport, "true")
        with contextlib.suppress(OSError):
            if data:
                channel_input.send(channel, data)
            channel_input.end(channel)
        assert channel.recv(1) == b""
        channel.close()
        kinds = [kind for kind, _ in sent]
        assert kinds[-1] == cMSG_CHANNEL_CLOSE[0]
        assert kinds.count(cMSG_CHANNEL_CLOSE[0]) == 1
        sent.clear()


def test_who_waits_for_an_exchange_of_keys_keeps_nobody_from_it(transport):
    """paramiko's own thread, which goes on with the exchange, takes the channel's lock for whatever comes."""
    channel = opened(transport, "cat")
    transport.clear_to_send.clear()
    waiting = threading.Thread(target=channel_input.end, args=(channel,))
    waiting.start()
    try:
        while not channel.eof_sent:
            time.sleep(0.001)
        assert channel.lock.acquire(timeout=5)
        channel.lock.release()
        assert waiting.is_alive()
    finally:
        transport.clear_to_send.set()
        waiting.join()


def test_input_goes_on_through_exchanges_of_keys(transport):
    channel = opened(transport, "sha256sum")
    piece = bytes(range(256)) * 1024
    for _ in range(4):
        channel_input.send(channel, piece)
        transport.renegotiate_keys()
    channel_input.end(channel)
    assert channel.makefile().read(64).decode() == hashlib.sha256(piece * 4).hexdigest()
