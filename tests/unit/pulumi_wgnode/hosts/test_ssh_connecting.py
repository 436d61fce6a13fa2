"""Connecting to a host: who is let in, who is refused by name, and which host counts as away."""

from __future__ import annotations

import errno
import os
import socket
import threading
import time
from dataclasses import replace

import pytest

from pulumi_wgnode.hosts.host import (
    HostError,
    HostHangs,
    HostKeyMismatch,
    HostUnreachable,
    LoginRefused,
    NoSsh,
    NotAsked,
    ShutOut,
)
from pulumi_wgnode.hosts.ssh import login, pool
from pulumi_wgnode.hosts.ssh.credentials import Offer
from tests.unit.pulumi_wgnode.hosts import ssh_server
from tests.unit.pulumi_wgnode.hosts.ssh_server import new_key


def test_another_host_key_is_refused_before_login(connection, server, key):
    other = "ssh-ed25519 " + key[1].get_base64()
    with pytest.raises(HostKeyMismatch) as raised:
        pool.connect(replace(connection, host_keys=(other,)))
    shown = f"SHA256:{server.host_key.fingerprint.removeprefix('SHA256:')}"
    assert shown in str(raised.value)
    assert "wgnode host scan" in str(raised.value)
    assert server.logins == []
    assert server.commands == []


def test_any_of_several_pinned_keys_will_do(connection, server, key):
    pins = ("ssh-ed25519 " + key[1].get_base64(), server.pin + " a comment")
    assert pool.connect(replace(connection, host_keys=pins)).run(["true"]).code == 0


def test_a_refused_key_is_named_with_the_way_out(connection, server):
    stranger, _ = new_key()
    with pytest.raises(HostError, match="authorized_keys"):
        pool.connect(replace(connection, private_key=stranger))


def test_a_host_that_ends_the_connection_over_an_agents_many_keys_says_so(connection, monkeypatch):
    many = [Offer(new_key()[1], "the agent's") for _ in range(12)]  # this server takes 10
    monkeypatch.setattr(login, "offers", lambda _: many)
    with pytest.raises(LoginRefused, match=r"of 12 keys \(its MaxAuthTries\): the key SHA256:.* \(the agent's\)"):
        pool.connect(connection)


def test_a_connection_that_goes_dead_at_login_is_unreachable_not_refused(connection, monkeypatch):
    monkeypatch.setattr(login, "HANDSHAKE_TIMEOUT", 1.0)
    monkeypatch.setattr(ssh_server, "Server", ssh_server.DeafServer)
    with pytest.raises(HostHangs, match="ended at login"):
        pool.connect(connection)


@pytest.mark.parametrize(
    ("raised", "told"),
    [
        (socket.gaierror(socket.EAI_NONAME, "Name or service not known"), "its name leads to no address \\(Name or"),
        (socket.gaierror(socket.EAI_AGAIN, "Temporary failure"), "its name leads to no address \\(Temporary failure"),
        (UnicodeError("label too long"), "its name leads to no address \\(it is none: label too long"),
    ],
    ids=str,
)
def test_a_name_without_an_address_says_nothing_of_the_host(connection, monkeypatch, raised, told):
    def fail(*_, **__):
        raise raised

    monkeypatch.setattr(login.socket, "getaddrinfo", fail)
    with pytest.raises(NotAsked, match=told):
        pool.connect(connection)


@pytest.mark.parametrize("code", [errno.ENETUNREACH, errno.EPERM])
def test_nor_does_a_machine_without_a_way_to_it(connection, monkeypatch, code):
    def fail(*_):
        raise login.dialling.NotTried(code, os.strerror(code))

    monkeypatch.setattr(login.dialling, "_start", fail)
    with pytest.raises(NotAsked, match=f"cannot connect to port .*{os.strerror(code)}"):
        pool.connect(connection)


@pytest.mark.parametrize("code", [errno.EHOSTUNREACH, errno.ETIMEDOUT, errno.ECONNREFUSED])
def test_a_host_that_nobody_gets_to_is_away(connection, monkeypatch, code):
    def fail(*_):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(login.dialling, "_start", fail)
    with pytest.raises(HostUnreachable) as raised:
        pool.connect(connection)
    assert type(raised.value) is HostUnreachable


@pytest.mark.parametrize("code", [errno.ENETUNREACH, errno.EHOSTUNREACH, errno.EACCES])
def test_nor_does_anybody_get_to_one_of_which_a_router_says_so(connection, monkeypatch, code):
    """ICMP's "net unreachable" and "prohibited" are the errors of a machine that has no way itself, but come later."""
    monkeypatch.setattr(login.dialling.socket.socket, "getsockopt", lambda *_: code)
    with pytest.raises(HostUnreachable, match=os.strerror(code)) as raised:
        pool.connect(connection)
    assert type(raised.value) is HostUnreachable


def test_a_closed_port_is_unreachable_by_name(connection):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(HostUnreachable, match=rf"root@127.0.0.1:{port}: cannot connect"):
        pool.connect(replace(connection, port=port))


def test_a_silent_host_is_unreachable_within_ten_seconds(connection):
    with socket.create_server(("127.0.0.1", 0), backlog=1) as silent:
        port = silent.getsockname()[1]
        fillers = []
        for _ in range(4):  # fill the queue of connections: further ones get no answer, as in a black hole
            filler = socket.socket()
            filler.setblocking(False)
            filler.connect_ex(("127.0.0.1", port))
            fillers.append(filler)
        start = time.monotonic()
        with pytest.raises(HostUnreachable, match=f"root@127.0.0.1:{port}"):
            pool.connect(replace(connection, port=port))
        assert time.monotonic() - start < 10
        for filler in fillers:
            filler.close()


def test_a_server_that_takes_connections_and_says_nothing_is_unreachable_within_ten_seconds(connection):
    with socket.create_server(("127.0.0.1", 0)) as mute:
        start = time.monotonic()
        with pytest.raises(HostUnreachable, match="answers, but not as an SSH server should"):
            pool.connect(replace(connection, port=mute.getsockname()[1]))
        assert time.monotonic() - start < 10


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (b"Not allowed at this time\r\n", "answers 'Not allowed at this time': .*logins that failed.*ExemptList"),
        (b"Exceeded MaxStartups\r\n", "answers 'Exceeded MaxStartups': .*run it again"),
        (b"220 mail ESMTP\r\n", r"answers, but not as an SSH server should \(it said '220 mail ESMTP'\)"),
        (b"\x1b[31mred\x00\r\n" + b"x" * 5000, r"should \(it said '\[31mred'\)"),
        (b"", r"should \((Error reading|it ended|EOF)"),
        (b"Welcome\r\nSSH-1.5-old\r\n", r"should \(Incompatible version \(1.5 instead of 2.0\)"),
    ],
)
def test_what_a_server_says_instead_of_ssh_is_told_with_what_it_means(connection, said, told):
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve():
            taken, _ = listener.accept()
            taken.sendall(said)
            taken.close()  # as sshd does, with the client's own greeting unread

        threading.Thread(target=serve, daemon=True).start()
        to = replace(connection, port=listener.getsockname()[1])
        for _ in range(2):  # the second is told the same, and does not knock again
            with pytest.raises(HostUnreachable, match=told) as refused:
                pool.connect(to)
            shuts_out = b"Not allowed" in said
            assert isinstance(refused.value, NoSsh) is (said != b""), "one that says a word is not away"
            assert isinstance(refused.value, ShutOut) is shuts_out
            assert ("takes no logins from here for a while" in refused.value.short) is shuts_out


def test_an_unusable_private_key_says_so(connection):
    with pytest.raises(HostError, match="cannot be used: this is not an SSH private key"):
        pool.connect(replace(connection, private_key="nonsense"))


def test_no_key_and_no_agent_says_so(connection, monkeypatch):
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    with pytest.raises(HostError, match="no SSH agent"):
        pool.connect(replace(connection, private_key=None))
