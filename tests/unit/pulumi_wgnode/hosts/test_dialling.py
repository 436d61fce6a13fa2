"""Which of a name's addresses is connected to, and in what time."""

from __future__ import annotations

import socket
import time
from contextlib import ExitStack, contextmanager

import pytest

from pulumi_wgnode.hosts.host import HostUnreachable
from pulumi_wgnode.hosts.ssh import dialling, login, pool


def at(port, family=socket.AF_INET):
    host = ("127.0.0.1", port) if family == socket.AF_INET else ("::1", port, 0, 0)
    return (family, socket.SOCK_STREAM, 6, "", host)


@contextmanager
def black_hole():
    """Its queue of connections is full, so that further ones get no answer at all."""
    with socket.create_server(("127.0.0.1", 0), backlog=1) as listener, ExitStack() as fillers:
        for _ in range(4):
            filler = fillers.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
        yield listener.getsockname()[1]


def closed():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def first(addresses, seconds):
    """The port that was reached, after how long, and how many others were left."""
    start = time.monotonic()
    attempts = dialling.connected(addresses, start + seconds)
    sock, others = next(attempts)
    took = time.monotonic() - start
    port = sock.getpeername()[1]
    sock.close()
    attempts.close()
    return port, took, others


@pytest.mark.parametrize("holes", [1, 2])
def test_addresses_that_swallow_packets_cost_the_next_one_a_moment(holes):
    with ExitStack() as stack:
        addresses = [at(stack.enter_context(black_hole())) for _ in range(holes)]
        good = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        port, took, others = first([*addresses, at(good.getsockname()[1])], 5)
        assert port == good.getsockname()[1]
        assert took < holes * dialling.STAGGER + 0.5
        assert others == holes


def test_one_that_refuses_costs_nothing_and_the_last_word_is_the_error():
    with socket.create_server(("127.0.0.1", 0)) as good:
        port, took, _ = first([at(closed()), at(closed()), at(good.getsockname()[1])], 5)
        assert port == good.getsockname()[1]
        assert took < 0.2
    with pytest.raises(ConnectionRefusedError):
        first([at(closed())], 5)


def test_all_that_swallow_packets_end_at_the_deadline_together():
    with black_hole() as one, black_hole() as other:
        start = time.monotonic()
        with pytest.raises(TimeoutError):
            first([at(one), at(other)], 1)
        assert 0.9 < time.monotonic() - start < 1.4


def test_the_families_take_turns():
    six, four = socket.AF_INET6, socket.AF_INET
    many = [at(1, six), at(2, six), at(3, six), at(4, four), at(5, four)]
    assert [one[4][1] for one in dialling.in_turn(many)] == [1, 4, 2, 5, 3]
    assert dialling.in_turn([]) == []


def test_no_socket_is_left_open(recwarn):
    with black_hole() as hole, socket.create_server(("127.0.0.1", 0)) as good:
        attempts = dialling.connected([at(hole), at(good.getsockname()[1])], time.monotonic() + 5)
        sock, _ = next(attempts)
        attempts.close()
        sock.close()
    assert [str(one.message) for one in recwarn if one.category is ResourceWarning] == []


def test_a_host_whose_first_address_is_a_black_hole_is_reached(connection, server, monkeypatch):
    with black_hole() as hole:
        monkeypatch.setattr(login, "_resolve", lambda *_: [at(hole), at(server.port)])
        start = time.monotonic()
        with pool.new_connection(connection) as host:
            assert host.run(["true"]).code == 0
        assert time.monotonic() - start < 2


def test_a_name_that_cannot_be_resolved_in_time_does_not_keep_the_process(connection, monkeypatch):
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: time.sleep(3) or [])
    monkeypatch.setattr(login, "CONNECT_TIMEOUT", 1.0)
    start = time.monotonic()
    with (
        pytest.raises(HostUnreachable, match="its name could not be resolved in time"),
        pool.new_connection(connection),
    ):
        pass
    assert time.monotonic() - start < 1.5
