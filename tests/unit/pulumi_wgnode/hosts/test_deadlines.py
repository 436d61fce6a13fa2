"""A server that does nothing more, at each stage at which it may: what we do ends, says where, and goes on."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from pulumi_wgnode.call import deadline
from pulumi_wgnode.hosts.host import HostError, HostKeyMismatch, HostUnreachable, LoginRefused, OutOfTime
from pulumi_wgnode.hosts.ssh import exchange, login, pool
from tests.unit.pulumi_wgnode.hosts.ssh_server import new_key, ssh_server


@pytest.fixture(autouse=True)
def sooner(monkeypatch):
    """Each stage's limit is one second, so no sum of them is above six."""
    for name in ("EXEC_TIMEOUT", "START_TIMEOUT", "GRACE", "LINGER"):
        monkeypatch.setattr(exchange, name, 1.0)
    for name in ("CONNECT_TIMEOUT", "BANNER_GRACE", "HANDSHAKE_TIMEOUT"):
        monkeypatch.setattr(login, name, 1.0)
    monkeypatch.setattr(pool, "CHANNEL_TIMEOUT", 1.0)


@contextlib.contextmanager
def ends_within(seconds):
    start = time.monotonic()
    yield
    assert time.monotonic() - start < seconds


@contextlib.contextmanager
def listening(serve):
    """The port of a server that does `serve(socket)` with each connection, then nothing more with it."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        taken = []

        def accept():
            with contextlib.suppress(OSError):
                while True:
                    taken.append(listener.accept()[0])
                    threading.Thread(target=serve, args=(taken[-1],), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        try:
            yield listener.getsockname()[1]
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            for sock in taken:
                sock.close()


def trickle(sock):
    with contextlib.suppress(OSError):
        while True:
            sock.sendall(b"no SSH yet\r\n")
            time.sleep(0.2)


@pytest.mark.parametrize(
    "serve",
    [
        pytest.param(lambda sock: None, id="accept"),
        pytest.param(lambda sock: sock.sendall(b"SSH-2.0-"), id="half a banner"),
        pytest.param(trickle, id="lines before the banner for ever"),
        pytest.param(lambda sock: sock.sendall(b"SSH-2.0-OpenSSH_9.2\r\n"), id="kex"),
        pytest.param(lambda sock: sock.sendall(b"SSH-2.0-OpenSSH_9.2\r\n\0\0\1\0\4\x14"), id="half a kex"),
        pytest.param(lambda sock: sock.close(), id="closed at once"),
    ],
)
def test_before_the_login(connection, serve):
    said = r"root@127.0.0.1:\d+: port \d+ answers, but not as an SSH server should"
    with listening(serve) as port, ends_within(6), pytest.raises(HostUnreachable, match=said):
        pool.connect(replace(connection, port=port))


@pytest.mark.parametrize(
    ("stage", "said"),
    [
        ("auth", "the connection ended at login"),
        ("session", "its sshd let us in, but opens no session"),
        ("exec", "its sshd lets us in, but has not started `true`"),
        ("output", "`true` did not end within 1 s, and the host does not end it either"),
    ],
)
def test_after_the_connection_each_stage_ends_and_the_next_command_makes_a_new_one(connection, server, stage, said):
    server.hang = stage
    with ends_within(6), pytest.raises(HostUnreachable, match=rf"root@127.0.0.1:{server.port}: {said}"):
        pool.connect(connection).run(["true"], timeout=1)
    server.hang = ""
    server.released.set()
    pool.forget(connection)
    with ends_within(3):
        assert pool.connect(connection).run(["echo", "back"]).stdout == "back\n"


def test_a_command_that_has_said_its_end_needs_no_exit_status(host, server):
    server.hang = "status"
    with ends_within(3):
        assert host.run(["echo", "done"]).stdout == "done\n"


def test_an_output_without_end_and_status_is_a_broken_connection(host, server):
    server.hang = "status"
    with ends_within(4), pytest.raises(HostUnreachable, match="in the middle of `sh`"):
        host.run(["sh", "-c", "kill -9 $(ps -o ppid= -p $PPID)"])


def test_output_that_trickles_does_not_prolong_it(host):
    slow = "trap '' TERM; while :; do echo; sleep 0.1; done & disown; while :; do echo; sleep 0.1; done"
    with ends_within(6), pytest.raises(HostError, match="did not end within 1 s"):
        host.run(["bash", "-c", slow], timeout=1)


@pytest.mark.parametrize("stage", ["session", "exec", "output"])
def test_an_upload_ends_too(host, server, tmp_path, stage):
    source = tmp_path / "source"
    source.write_bytes(b"x" * (8 << 20))  # more than any buffer on the way
    server.hang = stage
    with ends_within(6), pytest.raises(HostUnreachable):
        host._write(str(tmp_path / "target"), [source.read_bytes()], 8 << 20, 1, 0o600, "root:root")


def test_of_a_host_that_hangs_the_next_resource_is_told_at_once(connection, server):
    server.hang = "exec"
    for limit in (6, 0.5):
        with ends_within(limit), pytest.raises(HostUnreachable, match="its sshd lets us in"):
            pool.connect(connection).run(["true"])
    assert len(server.logins) == 1


def test_an_operation_out_of_its_own_time_tells_the_next_one_nothing_of_the_host(connection, server, monkeypatch):
    """Of two with the same time, each is told of its own."""
    monkeypatch.setattr(pool, "CHANNEL_TIMEOUT", 10.0)
    server.hang = "session"
    for operation in ("create of firewall", "create of host"):
        with deadline.within(0.8, operation), pytest.raises(OutOfTime, match=f"{operation} may take 0.8 s"):
            pool.connect(connection).run(["true"])
    server.hang = ""
    assert pool.connect(connection).run(["echo", "back"]).stdout == "back\n"


def test_closing_a_connection_that_hangs_does_not_wait(connection, server):
    server.hang = "exec"
    with pytest.raises(HostUnreachable):
        pool.connect(connection).run(["true"])
    with ends_within(0.5):
        pool.forget(connection)


def test_a_command_that_is_slow_on_a_connection_does_not_end_the_others(connection, server, host):
    host.run(["true"])
    done = []
    other = threading.Thread(target=lambda: done.append(host.run(["sh", "-c", "sleep 4; echo in time"]).stdout))
    other.start()
    time.sleep(0.5)
    server.hang = "output"
    with pytest.raises(HostUnreachable, match="does not end it either"):
        host.run(["sh", "-c", "echo; sleep 9"], timeout=1)
    server.hang = ""
    assert host.run(["echo", "new"]).stdout == "new\n"
    assert len(server.transports) == 2
    other.join()
    assert done == ["in time\n"]


def test_an_operations_own_time_ends_a_command_by_name(host, server):
    host.run(["true"])
    said = "create of site-host may take 1 s by its customTimeouts"
    with ends_within(2.5), pytest.raises(OutOfTime, match=said), deadline.within(1, "create of site-host"):
        host.run(["sleep", "20"])
    with deadline.within(0.01, "create of site-host"):
        time.sleep(0.02)
        with pytest.raises(OutOfTime):
            host.run(["true"])
    assert "sleep" in server.commands[-1], "what comes after the time is not even begun"
    assert host.run(["echo", "still there"]).stdout == "still there\n"
    assert len(server.transports) == 1


@pytest.mark.parametrize("stage", ["auth", "session", "exec"])
def test_an_operations_own_time_holds_where_the_host_hangs(connection, server, stage, monkeypatch):
    monkeypatch.setattr(exchange, "EXEC_TIMEOUT", 20)
    monkeypatch.setattr(pool, "CHANNEL_TIMEOUT", 20)
    monkeypatch.setattr(login, "HANDSHAKE_TIMEOUT", 20)
    server.hang = stage
    said = "update of x may take 1 s"
    with ends_within(3), pytest.raises(OutOfTime, match=said), deadline.within(1, "update of x"):
        pool.connect(connection).run(["true"])


def test_no_time_given_is_no_limit():
    with deadline.within(0, "create of x"):
        assert deadline.current() is None
        assert deadline.over() == ""
        assert deadline.at_most(7) == 7


def test_a_refused_login_and_another_host_key_are_tried_once_a_run(connection, server, key):
    stranger = replace(connection, private_key=new_key()[0])
    for _ in range(5):
        with pytest.raises(LoginRefused, match="authorized_keys"):
            pool.connect(stranger)
    with pytest.raises(LoginRefused), pool.new_connection(stranger):
        pass
    assert server.logins == ["root"]
    before = len(server.transports)
    for _ in range(5):
        with pytest.raises(HostKeyMismatch):
            pool.connect(replace(connection, host_keys=(f"ssh-ed25519 {key[1].get_base64()}",)))
    assert len(server.transports) == before + 1
    assert pool.connect(connection).run(["true"]).code == 0, "another key, or pin, is another login"
    pool.forget(stranger)
    with pytest.raises(LoginRefused):
        pool.connect(stranger)
    assert len(server.logins) == 3


def test_the_same_refused_login_asked_for_by_many_at_once_is_one_attempt(connection, server):
    stranger = replace(connection, private_key=new_key()[0])
    with ThreadPoolExecutor(8) as many:
        errors = [many.submit(pool.connect, stranger).exception() for _ in range(8)]
    assert len({str(error) for error in errors}) == 1
    assert len({id(error) for error in errors}) == 8, "each its own, so that no traceback grows"
    assert server.logins == ["root"]


def test_a_second_server_answers_where_the_first_address_is_one_that_hangs(connection, key, monkeypatch):
    with ssh_server(key[1]) as server, listening(lambda sock: None) as mute:
        known = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port)) for port in (mute, server.port)]
        monkeypatch.setattr(login, "_resolve", lambda *_: known)
        to = replace(connection, host_keys=(server.pin,))
        with ends_within(4), pool.new_connection(to) as host:
            assert host.run(["true"]).code == 0
