"""The SSH host against a real SSH server on the loopback, run as the current user."""

from __future__ import annotations

import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from pulumi_wgnode.hosts.host import HostError, HostUnreachable
from pulumi_wgnode.hosts.query import Query, ask
from pulumi_wgnode.hosts.ssh import login, pool


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


def test_a_host_whose_connection_broke_gets_less_time_to_connect_again(connection, host, server, monkeypatch):
    patience = []
    opened = login.open_transport
    monkeypatch.setattr(pool, "open_transport", lambda to, given, through: patience.append(given) or opened(to, given))
    with pytest.raises(HostUnreachable, match="the connection broke in the middle of `sh`"):
        _cut(host, server)
    assert host.run(["echo", "back"]).stdout == "back\n"
    assert patience == [login.RECONNECT_TIMEOUT]


def _cut(host, server):
    timer = threading.Timer(0.3, server.transports[0].close)
    timer.start()
    host.run(["sh", "-c", "sleep 5"])


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
