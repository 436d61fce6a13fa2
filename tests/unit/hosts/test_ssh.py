"""The SSH host against a real SSH server on the loopback, run as the current user."""

from __future__ import annotations

import errno
import hashlib
import os
import pwd
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from infra.hosts import pool, ssh
from infra.hosts.host import (
    HostError,
    HostHangs,
    HostKeyMismatch,
    HostUnreachable,
    LoginRefused,
    NoSsh,
    NotAsked,
    ShutOut,
)
from infra.hosts.query import Query, ask
from tests.unit.hosts import ssh_server
from tests.unit.hosts.ssh_server import new_key

ME = pwd.getpwuid(os.getuid()).pw_name


def test_a_command_gives_its_code_and_both_outputs(host):
    result = host.run(["sh", "-c", "cat; echo err >&2; exit 3"], input=b"hello", check=False)
    assert (result.code, result.stdout, result.stderr) == (3, "hello", "err\n")


def test_arguments_reach_the_command_unchanged(host):
    assert host.run(["printf", "%s|", "a b", "$HOME", "it's", ""]).stdout == "a b|$HOME|it's||"


def test_a_failing_command_raises_with_host_command_and_what_it_said(host, server):
    with pytest.raises(HostError, match=rf"root@127.0.0.1:{server.port}: `sh -c .*exited with 4: it is broken"):
        host.run(["sh", "-c", "echo it is broken >&2; exit 4"])


def test_many_commands_go_in_one_round_trip_each_with_its_own_code_and_output(host, server):
    host.run(["true"])
    before = len(server.commands)
    results = host.run_all(
        [["printf", "%s|", "a b", "$HOME", "it's"], ["sh", "-c", "echo; echo x; echo err >&2; exit 3"], ["true"]]
    )
    assert [(result.code, result.stdout) for result in results] == [(0, "a b|$HOME|it's|"), (3, "\nx\n"), (0, "")]
    assert results[1].stderr == "err\n"
    assert len(server.commands) == before + 1


def test_many_commands_give_large_outputs_and_other_alphabets_whole(host):
    text = "Straße 7\n" * 50_000
    assert host.run_all([["printf", "ü"], ["sh", "-c", "yes 'Straße 7' | head -n 50000"]])[1].stdout == text


def test_what_is_asked_with_others_is_judged_by_itself(host):
    good, bad = Query(["echo", "1"], lambda said: int(said.stdout)), Query(["false"], lambda said: said.code)
    assert ask(host, {"good": good, "bad": bad}) == {"good": 1, "bad": 1}
    with pytest.raises(HostError, match=r"root@\S+: `false` exited with 1"):
        ask(host, {"good": good, "bad": replace(bad, check=True)})


def test_a_secret_commands_text_stays_out_of_the_error(host):
    with pytest.raises(HostError) as raised:
        host.run(["sh", "-c", "echo hunter2 >&2; exit 1"], secret=True)
    assert "hunter2" not in str(raised.value)


def test_a_command_that_takes_too_long_is_ended(host):
    start = time.monotonic()
    with pytest.raises(HostError, match="did not end within 1 s"):
        host.run(["sleep", "20"], timeout=1)
    assert time.monotonic() - start < 8


def test_large_input_and_output_do_not_block_each_other(host):
    data = os.urandom(6 << 20).hex().encode()
    assert host.run(["cat"], input=data).stdout.encode() == data


def test_a_file_is_written_only_when_content_or_metadata_differ(host, tmp_path):
    path = str(tmp_path / "a file")
    own = {"owner": ME, "group": str(os.getgid())}
    assert host.write_file(path, b"one", mode=0o600, **own) is True
    inode = os.stat(path).st_ino
    assert host.read_file(path) == b"one"
    assert host.write_file(path, b"two", mode=0o600, **own) is True
    assert os.stat(path).st_ino != inode  # replaced, never written in place
    assert host.write_file(path, b"two", mode=0o640, **own) is True
    assert os.stat(path).st_mode & 0o777 == 0o640
    assert os.listdir(tmp_path) == ["a file"]


def test_a_file_whose_data_ends_early_leaves_the_old_one(host, tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"old")
    with pytest.raises(HostError, match="data ended early"):
        host._write(str(path), [b"ne"], 3, 10, 0o644, f"{ME}:{os.getgid()}")
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["file"]


def test_a_file_of_ours_that_cannot_be_read_to_its_end_leaves_the_old_one_at_once(host, tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"old")

    def broken():
        yield b"ne"
        raise OSError(5, "Input/output error")

    start = time.monotonic()
    with pytest.raises(HostError, match="data ended early"):
        host._write(str(path), broken(), 3, 30, 0o644, f"{ME}:{os.getgid()}")
    assert time.monotonic() - start < 5
    assert path.read_bytes() == b"old"


def test_a_write_that_is_ended_by_its_time_limit_leaves_nothing_behind(host, tmp_path):
    ended = threading.Event()

    def slow():
        yield b"secret"
        ended.wait(20)

    with pytest.raises(HostError, match="did not end within 1 s"):
        host._write(str(tmp_path / "file"), slow(), 100, 1, 0o600, f"{ME}:{os.getgid()}")
    ended.set()
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_write_left_goes_at_the_next_one(host, tmp_path):
    left, fresh, other = (tmp_path / name for name in ("file.new-aaaaaaaa", "file.new-bbbbbbbb", "fil.new-aaaaaaaa"))
    for path in (left, fresh, other):
        path.write_bytes(b"secret")
    for path in (left, other):
        os.utime(path, (time.time() - 660,) * 2)
    host.write_file(str(tmp_path / "file"), b"one", owner=ME, group=str(os.getgid()))
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(["file", fresh.name, other.name])


def test_an_unchanged_file_is_left_alone(host, tmp_path):
    path = str(tmp_path / "file")
    group = host.run(["id", "-gn"]).stdout.strip()
    host.write_file(path, b"one", owner=ME, group=group)
    inode = os.stat(path).st_ino
    assert host.write_file(path, b"one", owner=ME, group=group) is False
    assert os.stat(path).st_ino == inode


def test_stat_tells_digest_size_mode_and_owner_of_what_exists(host, tmp_path):
    (tmp_path / "x y").write_bytes(b"data")
    os.chmod(tmp_path / "x y", 0o604)
    (tmp_path / "link").symlink_to("x y")
    found = host.stat([str(tmp_path / "x y"), str(tmp_path / "none"), str(tmp_path / "link"), str(tmp_path)])
    assert list(found) == [str(tmp_path / "x y")]
    file = found[str(tmp_path / "x y")]
    assert (file.sha256, file.size, file.mode, file.owner) == (hashlib.sha256(b"data").hexdigest(), 4, 0o604, ME)


def test_a_missing_file_reads_as_none_and_is_no_error_to_remove(host, tmp_path):
    assert host.read_file(str(tmp_path / "none")) is None
    host.remove(str(tmp_path / "none"))


def test_remove_takes_files_and_empty_directories_only(host, tmp_path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").write_text("x")
    host.remove(str(tmp_path / "full"))
    assert (tmp_path / "full" / "file").exists()
    host.remove(str(tmp_path / "full" / "file"))
    host.remove(str(tmp_path / "full"))
    assert os.listdir(tmp_path) == []


def test_an_upload_reports_progress_and_arrives_whole(host, tmp_path):
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_bytes(os.urandom(1 << 20))
    seen = []
    with pytest.raises(HostError, match="cannot write"):
        host.upload(str(tmp_path / "nowhere" / "target"), str(source))
    own = {"owner": ME, "group": str(os.getgid())}
    host.upload(str(target), str(source), progress=lambda sent, size: seen.append((sent, size)), **own)
    assert target.read_bytes() == source.read_bytes()
    assert seen[-1] == (1 << 20, 1 << 20)


def test_one_connection_serves_all_and_runs_eight_commands_at_most(connection, server):
    threads = [threading.Thread(target=lambda: pool.connect(connection).run(["sleep", "0.3"])) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(server.transports) == 1
    assert server.most_sessions == 8


def test_a_session_that_is_refused_is_asked_for_again_and_cuts_no_other(host, server):
    host.run(["true"])
    with ThreadPoolExecutor(1) as other:
        slow = other.submit(host.run, ["sh", "-c", "sleep 0.5; echo done"])
        while not server.sessions:
            time.sleep(0.01)
        server.refuse = 3
        assert host.run(["echo", "in"]).stdout == "in\n"
        assert slow.result().stdout == "done\n"
    assert len(server.transports) == 1


def test_a_broken_connection_is_made_again(connection, host, server):
    host.run(["true"])
    server.transports[0].close()
    assert host.run(["echo", "back"]).stdout == "back\n"
    assert len(server.transports) == 2


def test_a_new_connection_is_another_one(connection, host, server):
    host.run(["true"])
    with pool.new_connection(connection) as fresh:
        fresh.run(["true"])
    assert len(server.transports) == 2


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
    monkeypatch.setattr(ssh, "_load_key", lambda _: [new_key()[1] for _ in range(12)])  # this server takes 10
    with pytest.raises(LoginRefused, match=r"the agent's 12 keys \(its MaxAuthTries\)"):
        pool.connect(connection)


def test_a_connection_that_goes_dead_at_login_is_unreachable_not_refused(connection, monkeypatch):
    monkeypatch.setattr(ssh, "HANDSHAKE_TIMEOUT", 1.0)
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

    monkeypatch.setattr(ssh.socket, "getaddrinfo", fail)
    with pytest.raises(NotAsked, match=told):
        pool.connect(connection)


@pytest.mark.parametrize("code", [errno.ENETUNREACH, errno.EPERM])
def test_nor_does_a_machine_without_a_way_to_it(connection, monkeypatch, code):
    def fail(*_):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(ssh.dialling, "_start", fail)
    with pytest.raises(NotAsked, match=f"cannot connect to port .*{os.strerror(code)}"):
        pool.connect(connection)


@pytest.mark.parametrize("code", [errno.EHOSTUNREACH, errno.ETIMEDOUT, errno.ECONNREFUSED])
def test_a_host_that_nobody_gets_to_is_away(connection, monkeypatch, code):
    def fail(*_):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(ssh.dialling, "_start", fail)
    with pytest.raises(HostUnreachable) as raised:
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


def test_a_host_whose_connection_broke_gets_less_time_to_connect_again(connection, host, server, monkeypatch):
    patience = []
    opened = ssh.open_transport
    monkeypatch.setattr(pool, "open_transport", lambda to, given: patience.append(given) or opened(to, given))
    with pytest.raises(HostUnreachable, match="the connection broke in the middle of `sh`"):
        _cut(host, server)
    assert host.run(["echo", "back"]).stdout == "back\n"
    assert patience == [ssh.RECONNECT_TIMEOUT]


def _cut(host, server):
    timer = threading.Timer(0.3, server.transports[0].close)
    timer.start()
    host.run(["sh", "-c", "sleep 5"])


def test_an_unusable_private_key_says_so(connection):
    with pytest.raises(HostError, match="cannot be used: this is not an SSH private key"):
        pool.connect(replace(connection, private_key="nonsense"))


def test_no_key_and_no_agent_says_so(connection, monkeypatch):
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    with pytest.raises(HostError, match="no SSH agent"):
        pool.connect(replace(connection, private_key=None))


def test_an_ordinary_user_runs_everything_through_sudo(connection, server):
    host = pool.connect(replace(connection, user="ops"))
    with pytest.raises(HostError):
        host.run(["false"])
    assert server.commands[0].startswith("'env' LC_ALL=C sudo -n -- /bin/sh -c ")


def test_a_warning_of_sudo_is_not_taken_for_its_refusal(connection, server, tmp_path, monkeypatch):
    sudo = tmp_path / "sudo"
    sudo.write_text('#!/bin/sh\necho "sudo: unable to resolve host site" >&2; shift 2; exec "$@"\n')
    sudo.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    user = replace(connection, user="ops")
    with pytest.raises(HostError, match="exited with 4: it is broken"):
        pool.connect(user).run(["sh", "-c", "echo it is broken >&2; exit 4"])
    pool.forget(user)
