"""How a host is reached, by real connections: keys and certificates from anywhere, authorities of hosts, jump hosts."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

import paramiko
import pytest

from pulumi_wgnode.hosts.host import (
    Connection,
    HostError,
    HostKeyMismatch,
    HostUnreachable,
    JumpRefused,
    LoginRefused,
    NotAsked,
    NotPinned,
    NoWay,
)
from pulumi_wgnode.hosts.ssh import pool, private_key
from tests.unit.pulumi_wgnode.hosts.ssh_server import SshServer, new_key, ssh_server
from tests.unit.pulumi_wgnode.hosts.ways import KeyFile, certify, keygen

PHRASE = "open sesame"


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A runner without keys, agent and files of known hosts."""
    for name in [name for name in os.environ if name.startswith("WGNODE_SSH_")]:
        monkeypatch.delenv(name)
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    (tmp_path / "home" / ".ssh").mkdir(parents=True)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))


@pytest.fixture
def own(tmp_path: Path) -> KeyFile:
    return keygen(tmp_path / "own")


@pytest.fixture
def authority(tmp_path: Path) -> KeyFile:
    return keygen(tmp_path / "authority")


@pytest.fixture
def server(own: KeyFile) -> Iterator[SshServer]:
    with ssh_server(private_key.load(own.text)) as running:
        yield running


def to(server: SshServer, **more: object) -> Connection:
    given = {"host_keys": (server.pin,), "port": server.port, **more}
    return Connection("127.0.0.1", **given)


def gets_in(connection: Connection) -> bool:
    try:
        return pool.connect(connection).run(["echo", "in"]).stdout == "in\n"
    finally:
        pool.forget(connection)


def refused(connection: Connection, kind: type[HostError] = LoginRefused) -> str:
    with pytest.raises(kind) as caught:
        pool.connect(connection)
    pool.forget(connection)
    assert type(caught.value) is kind
    return str(caught.value)


@contextmanager
def agent(monkeypatch: pytest.MonkeyPatch, folder: Path, *keys: KeyFile) -> Iterator[None]:
    """A real ssh-agent with these, and with the certificates beside them."""
    socket = folder / "agent"
    running = subprocess.Popen(["ssh-agent", "-D", "-a", str(socket)], stdout=subprocess.DEVNULL)
    try:
        while not socket.exists():
            assert running.poll() is None
        monkeypatch.setenv("SSH_AUTH_SOCK", str(socket))
        for key in keys:
            subprocess.run(["ssh-add", "-q", str(key.path)], check=True)
        yield
    finally:
        running.terminate()
        running.wait()


# Keys.


def test_a_key_of_the_environment_logs_in_and_is_in_no_input(server, own, monkeypatch):
    refused(to(server))
    monkeypatch.setenv("WGNODE_SSH_PRIVATE_KEY", own.text)
    assert gets_in(to(server))
    monkeypatch.delenv("WGNODE_SSH_PRIVATE_KEY")
    monkeypatch.setenv("WGNODE_SSH_PRIVATE_KEY_FILE", str(own.path))
    assert gets_in(to(server))


def test_port_and_user_come_from_the_environment_where_nothing_says_them(server, own, monkeypatch):
    monkeypatch.setenv("WGNODE_SSH_PORT", str(server.port))
    monkeypatch.setenv("WGNODE_SSH_USER", "root")
    monkeypatch.setenv("WGNODE_SSH_PRIVATE_KEY_FILE", str(own.path))
    assert gets_in(Connection("127.0.0.1", (server.pin,)))
    monkeypatch.setenv("WGNODE_SSH_USER", "somebody")
    assert "host root@127.0.0.1:" in refused(to(server, user="root", private_key=new_key()[0]))
    assert "host somebody@127.0.0.1:" in refused(to(server, private_key=new_key()[0]))


@pytest.mark.parametrize("where", ["beside it", "environment"])
def test_a_key_with_a_passphrase_is_opened_by_it(server, own, tmp_path, monkeypatch, where):
    locked = keygen(tmp_path / "locked", passphrase=PHRASE)
    server.allowed = private_key.load(locked.text, PHRASE)
    assert "protected by a passphrase" in refused(to(server, private_key=locked.text))
    wrong = refused(to(server, private_key=locked.text, passphrase=PHRASE * 2))
    assert "another passphrase" in wrong
    assert "sesame" not in wrong
    if where == "environment":
        monkeypatch.setenv("WGNODE_SSH_PASSPHRASE", PHRASE)
    given = {} if where == "environment" else {"passphrase": PHRASE}
    assert gets_in(to(server, private_key=locked.text, **given))


def test_what_the_connection_says_goes_before_the_environment(server, own, monkeypatch):
    monkeypatch.setenv("WGNODE_SSH_PRIVATE_KEY", new_key()[0])
    assert "WGNODE_SSH_PRIVATE_KEY)" in refused(to(server))
    assert gets_in(to(server, private_key=own.text))


def test_the_agent_is_taken_without_a_key_and_when_it_is_asked_for(server, own, tmp_path, monkeypatch):
    with agent(monkeypatch, tmp_path, own):
        assert gets_in(to(server))
        monkeypatch.setenv("WGNODE_SSH_PRIVATE_KEY", new_key()[0])
        refused(to(server))
        assert gets_in(to(server, agent=True))
    with agent(monkeypatch, tmp_path, keygen(tmp_path / "other")):
        assert "(the agent's)" in refused(to(server, agent=True))


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("WGNODE_SSH_KEY", "x", "did you mean WGNODE_SSH_"),
        ("WGNODE_SSH_PORT", "ssh", "WGNODE_SSH_PORT=ssh is no port"),
        ("WGNODE_SSH_AGENT", "perhaps", "must be true or false"),
        ("WGNODE_SSH_PRIVATE_KEY_FILE", "keys/id", "Begin it with / or ~"),
        ("WGNODE_SSH_JUMP_HOSTS", "a b", "is not of the form [USER@]HOST[:PORT]"),
    ],
)
def test_a_variable_that_can_not_be_used_is_named(server, own, monkeypatch, name, value, says):
    monkeypatch.setenv(name, value)
    said = refused(to(server, private_key=own.text), NoWay)
    assert says in said
    assert said.startswith("host 127.0.0.1:")


def test_a_key_file_that_is_not_there_is_named(server, monkeypatch):
    monkeypatch.setenv("WGNODE_SSH_PRIVATE_KEY_FILE", "/nowhere/id")
    assert "WGNODE_SSH_PRIVATE_KEY_FILE /nowhere/id is not there" in refused(to(server))


# Certificates of users.


@pytest.mark.parametrize(
    ("kind", "way"),
    [
        ("ecdsa", "connection"),
        ("rsa", "connection"),
        ("rsa", "agent"),
        ("ed25519", "agent"),
        ("ed25519", "environment"),
        ("ed25519", "beside the file"),
    ],
)
def test_a_certificate_logs_in_where_the_key_alone_does_not(authority, tmp_path, monkeypatch, kind, way):
    key = keygen(tmp_path / "key", "-t", kind)
    with ssh_server(new_key()[1]) as server, ExitStack() as stack:
        server.authority = authority.public
        refused(to(server, private_key=key.text))
        text = certify(authority, key, "root")
        connection = to(server)
        if way == "connection":
            connection = to(server, private_key=key.text, certificate=text)
        elif way == "agent":
            stack.enter_context(agent(monkeypatch, tmp_path, key))
        elif way == "beside the file":
            monkeypatch.setenv("WGNODE_SSH_PRIVATE_KEY_FILE", str(key.path))
        else:
            moved = key.path.with_name("key-cert.pub").rename(tmp_path / "elsewhere")
            monkeypatch.setenv("WGNODE_SSH_PRIVATE_KEY_FILE", str(key.path))
            monkeypatch.setenv("WGNODE_SSH_CERTIFICATE_FILE", str(moved))
        server.offered.clear()
        assert gets_in(connection)
        assert server.offered[-1].endswith("-cert-v01@openssh.com")


def test_a_refused_certificate_is_named_with_whose_it_is_and_what_is_wrong(authority, own, tmp_path):
    with ssh_server(new_key()[1]) as server:
        server.authority = authority.public
        late = certify(authority, own, "root", validity="-2h:-1h")
        said = refused(to(server, private_key=own.text, certificate=late))
        assert "certificate 'an id' for root, signed by SHA256:" in said
        assert "expired at" in said
        assert "(its privateKey)" in said
        stranger = certify(keygen(tmp_path / "stranger"), own, "root")
        assert "TrustedUserCAKeys" in refused(to(server, private_key=own.text, certificate=stranger))


def test_a_certificate_of_another_key_is_told_before_anything_is_asked(server, authority, own, tmp_path):
    other = certify(authority, keygen(tmp_path / "other"), "root")
    assert "is of another key" in refused(to(server, private_key=own.text, certificate=other))
    assert server.logins == []


# Which host is believed.


def certified(server: SshServer, authority: KeyFile, tmp_path: Path, names: str, *more: str, **how: str) -> None:
    path = tmp_path / f"host{server.port}"
    path.write_text(server.host_text)
    path.chmod(0o600)
    path.with_name(path.name + ".pub").write_text(server.pin + "\n")
    server.certificate = certify(authority, KeyFile(path), names, *more, **how)


def test_a_host_with_a_certificate_of_the_authority_is_believed_without_a_pin(server, authority, own, tmp_path):
    certified(server, authority, tmp_path, "127.0.0.1", "-h")
    given = {"host_keys": (), "private_key": own.text}
    assert gets_in(to(server, authorities=(authority.public,), **given))
    stranger = keygen(tmp_path / "stranger").public
    assert "none of the authorities" in refused(to(server, authorities=(stranger,), **given), HostKeyMismatch)
    assert len(server.logins) == 1, "nothing was sent to it"


@pytest.mark.parametrize(
    ("names", "more", "validity", "says"),
    [
        ("192.0.2.1", ("-h",), "-1m:+1h", "is for 192.0.2.1, not for 127.0.0.1"),
        ("", ("-h",), "-1m:+1h", "is for nobody by name"),
        ("127.0.0.1", ("-h",), "-2h:-1h", "expired at"),
        ("127.0.0.1", ("-h",), "+1h:+2h", "is valid from"),
        ("127.0.0.1", (), "-1m:+1h", "is one of a user"),
    ],
)
def test_a_host_certificate_that_does_not_count_is_refused_with_the_reason(
    server, authority, own, tmp_path, names, more, validity, says
):
    certified(server, authority, tmp_path, names, *more, validity=validity)
    connection = to(server, host_keys=(), authorities=(authority.public,), private_key=own.text)
    assert says in refused(connection, HostKeyMismatch)
    assert server.logins == []


@pytest.mark.parametrize("kind", ["ed25519", "ecdsa", "rsa"])
def test_an_authority_of_any_kind_counts_and_one_that_signs_by_sha1_does_not(server, own, tmp_path, kind):
    authority = keygen(tmp_path / "ca", "-t", kind)
    certified(server, authority, tmp_path, "*.0.0.1", "-h")
    connection = to(server, host_keys=(), authorities=(authority.public,), private_key=own.text)
    assert gets_in(connection)
    if kind == "rsa":
        certified(server, authority, tmp_path, "*.0.0.1", "-h", "-t", "ssh-rsa")
        assert "signature that is not its authority's" in refused(connection, HostKeyMismatch)


def test_a_host_without_a_certificate_is_believed_by_its_pin_beside_an_authority(server, authority, own):
    assert gets_in(to(server, authorities=(authority.public,), private_key=own.text))
    unpinned = to(server, host_keys=(), authorities=(authority.public,), private_key=own.text)
    assert "wanted is a certificate by SHA256:" in refused(unpinned, HostKeyMismatch)


def test_a_host_of_which_nothing_is_pinned_is_never_connected_to(server, own):
    said = refused(to(server, host_keys=(), private_key=own.text), NotPinned)
    assert "no key of it is pinned" in said
    assert "wgnode host scan 127.0.0.1" in said
    assert server.transports == []


# Jump hosts.


@pytest.fixture
def bastion(own: KeyFile) -> Iterator[SshServer]:
    with ssh_server(private_key.load(own.text)) as running:
        yield running


def jump(server: SshServer, **more: object) -> Connection:
    return replace(to(server, **more), is_jump=True)


def test_a_host_is_reached_through_jump_hosts_each_pinned_and_by_its_login(server, bastion, own):
    key = {"private_key": own.text}
    assert gets_in(to(server, jumps=(jump(bastion, user="ops"),), **key))
    assert bastion.through == [("127.0.0.1", server.port)]
    assert set(bastion.logins) == {"ops"}
    assert set(server.logins) == {"root"}
    with ssh_server(private_key.load(own.text)) as second:
        assert gets_in(to(server, jumps=(jump(bastion), jump(second)), **key))
        assert bastion.through[-1] == ("127.0.0.1", second.port)
        assert second.through == [("127.0.0.1", server.port)]


def test_all_hosts_behind_a_jump_host_share_one_connection_to_it(server, bastion, own):
    way = {"jumps": (jump(bastion),), "private_key": own.text}
    with ssh_server(private_key.load(own.text)) as other:
        first, second = to(server, **way), to(other, **way)
        assert pool.connect(first).run(["echo", "1"]).stdout == "1\n"
        assert pool.connect(second).run(["echo", "2"]).stdout == "2\n"
        assert len(bastion.transports) == 1
        pool.forget(first)
        assert pool.connect(second).run(["echo", "2"]).stdout == "2\n", "the other's way in stays"
        pool.forget(second)


def test_the_wrong_key_of_a_jump_host_is_the_jump_host_s(server, bastion, own):
    other = f"ssh-ed25519 {new_key()[1].get_base64()}"
    said = refused(to(server, jumps=(jump(bastion, host_keys=(other,)),), private_key=own.text), JumpRefused)
    assert said.startswith(
        f"host root@127.0.0.1:{server.port}: its jump host root@127.0.0.1:{bastion.port}: shows host key"
    )
    assert bastion.logins == []
    assert server.transports == []
    said = refused(to(server, host_keys=(other,), jumps=(jump(bastion),), private_key=own.text), HostKeyMismatch)
    assert said.startswith(f"host root@127.0.0.1:{server.port}: shows host key")


def test_a_jump_host_without_pins_is_never_asked(server, bastion, own):
    said = refused(to(server, jumps=(jump(bastion, host_keys=()),), private_key=own.text), JumpRefused)
    assert f"its jump host root@127.0.0.1:{bastion.port}: no key of it is pinned" in said
    assert bastion.transports == []


def test_a_jump_host_that_refuses_us_or_is_away_says_nothing_of_the_host(server, bastion, own):
    stranger = jump(bastion, private_key=new_key()[0])
    assert "its jump host" in refused(to(server, jumps=(stranger,), private_key=own.text), JumpRefused)
    away = replace(jump(bastion), port=1)
    assert "cannot connect to port 1" in refused(to(server, jumps=(away,), private_key=own.text), NotAsked)


def test_a_jump_host_that_lets_nobody_through_and_a_host_that_is_away_behind_it(server, bastion, own):
    gone = to(server, jumps=(jump(bastion),), private_key=own.text)
    bastion.lets_through = paramiko.OPEN_FAILED_ADMINISTRATIVELY_PROHIBITED
    assert "AllowTcpForwarding" in refused(gone, JumpRefused)
    bastion.lets_through = paramiko.OPEN_SUCCEEDED
    said = refused(replace(gone, port=1), HostUnreachable)
    assert "cannot connect to 127.0.0.1 port 1" in said


def test_a_jump_host_of_the_environment_is_pinned_by_known_hosts(server, bastion, own, tmp_path, monkeypatch):
    monkeypatch.setenv("WGNODE_SSH_JUMP_HOSTS", f"ops@127.0.0.1:{bastion.port}")
    assert "no key of it is pinned" in refused(to(server, private_key=own.text), JumpRefused)
    (tmp_path / "home/.ssh/known_hosts").write_text(f"[127.0.0.1]:{bastion.port} {bastion.pin}\n")
    assert gets_in(to(server, private_key=own.text))
    assert bastion.logins[-1] == "ops"
    reached = len(bastion.through)
    assert gets_in(to(server, private_key=own.text, jumps=()))
    assert len(bastion.through) == reached, "an empty list is none"


# A host of an SSH configuration file.


def configured(tmp_path: Path, text: str) -> None:
    (tmp_path / "home/.ssh/config").write_text(text)


def test_a_host_of_the_configuration_file_is_reached_as_ssh_would(server, bastion, own, tmp_path):
    known = tmp_path / "known"
    known.write_text(f"[127.0.0.1]:{server.port} {server.pin}\n[127.0.0.1]:{bastion.port} {bastion.pin}\n")
    configured(
        tmp_path,
        f"""
        Host bastion
            HostName 127.0.0.1
            Port {bastion.port}
            User ops
        Host berlin
            HostName 127.0.0.1
            Port {server.port}
            ProxyJump bastion
        Host *
            User root
            StrictHostKeyChecking no
            IdentityFile {own.path}
            UserKnownHostsFile {known}
        """,
    )
    connection = Connection(None, ssh_host="berlin")
    assert gets_in(connection)
    assert bastion.logins[-1] == "ops"
    assert bastion.through == [("127.0.0.1", server.port)]
    known.write_text(f"[127.0.0.1]:{bastion.port} {bastion.pin}\n")
    assert "no key of it is pinned" in refused(connection, NotPinned), "whatever StrictHostKeyChecking says"


def test_entries_that_lead_to_one_another_are_told(own, tmp_path):
    configured(tmp_path, "Host a\n ProxyJump b\nHost b\n ProxyJump a\n")
    assert "lead to one another" in refused(Connection(None, ("ssh-ed25519 AAAA",), ssh_host="a"), NoWay)
