"""`wgnode host scan`: one key of each type, as they go into a stack file."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from io import StringIO
from pathlib import Path

import paramiko
import pytest
import yaml
from click.testing import CliRunner
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from wgnode.cli.host import command, fetch
from wgnode.cli.stackfile import with_host_keys

ROOT = Path(__file__).resolve().parents[3]


def ed25519_key() -> paramiko.PKey:
    pem = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())
    return paramiko.Ed25519Key(file_obj=StringIO(pem.decode()))


KEYS = [ed25519_key(), paramiko.ECDSAKey.generate(bits=256)]


@pytest.fixture
def ssh_server() -> Iterator[int]:
    """The port of a server that shows KEYS to whoever connects, and lets nobody in."""
    listener = socket.create_server(("127.0.0.1", 0))
    transports: list[paramiko.Transport] = []

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            transport = paramiko.Transport(connection)
            transports.append(transport)
            for key in KEYS:
                transport.add_server_key(key)
            try:
                transport.start_server(server=paramiko.ServerInterface())
            except (paramiko.SSHException, EOFError, OSError):
                continue

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield listener.getsockname()[1]
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    for transport in transports:
        transport.close()
    thread.join(5)


def pins() -> list[str]:
    return [f"{key.get_name()} {key.get_base64()}" for key in KEYS]


def test_every_key_of_the_host_is_printed_as_pin_and_fingerprint(ssh_server: int) -> None:
    answer = CliRunner().invoke(command, ["scan", "127.0.0.1", "--port", str(ssh_server)])
    assert answer.exit_code == 0, answer.output
    assert yaml.safe_load(answer.stdout) == {"hostKeys": pins()}
    assert all(key.fingerprint in answer.stderr for key in KEYS)


def test_a_host_is_asked_for_no_key_that_it_has_not(ssh_server: int, monkeypatch: pytest.MonkeyPatch) -> None:
    made, connect = [], socket.create_connection
    monkeypatch.setattr(socket, "create_connection", lambda *to, **how: made.append(to) or connect(*to, **how))
    assert [key.pin for key in fetch("127.0.0.1", ssh_server)] == pins()
    assert len(made) == len(KEYS)


def test_pins_go_into_a_stack_file_and_nothing_else_changes(ssh_server: int, tmp_path: Path) -> None:
    file = tmp_path / "Pulumi.dev-berlin.yaml"
    before = (ROOT / "stacks/Pulumi.dev-berlin.yaml").read_text()
    file.write_text(before)
    for _ in range(2):
        answer = CliRunner().invoke(command, ["scan", "127.0.0.1", "--port", str(ssh_server), "--write", str(file)])
        assert answer.exit_code == 0, answer.output
    after = file.read_text()
    assert yaml.safe_load(after)["config"]["wgmesh:site"]["host"]["hostKeys"] == pins()
    assert [line for line in after.splitlines() if "ssh-ed25519" not in line and "ecdsa" not in line] == [
        line.replace("hostKeys: []", "hostKeys:") for line in before.splitlines()
    ]


def test_old_pins_are_replaced_and_a_comment_behind_the_key_stays() -> None:
    text = "host:\n  hostKeys:  # reviewed\n    - old\n    - older\n  port: 22\n"
    assert with_host_keys(text, ["new"]) == "host:\n  hostKeys:  # reviewed\n    - new\n  port: 22\n"
    assert with_host_keys("a:\n  hostKeys:\n  - old\nb: 1\n", ["new"]) == "a:\n  hostKeys:\n  - new\nb: 1\n"
    with pytest.raises(ValueError, match="no `hostKeys:` line"):
        with_host_keys("host:\n", ["new"])


def test_a_host_that_does_not_answer_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    answer = CliRunner().invoke(command, ["scan", "127.0.0.1", "--port", str(port)])
    assert answer.exit_code == 1
    assert f"127.0.0.1 port {port}: no SSH connection (Connection refused)" in answer.output


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (b"Not allowed at this time\r\n", "answers 'Not allowed at this time': its sshd takes nobody"),
        (b"HTTP/1.1 400 Bad Request\r\n", "but not as an SSH server should (it said 'HTTP/1.1 400 Bad Request')"),
        (b"", "but not as an SSH server should ("),
    ],
)
def test_what_a_server_says_instead_of_ssh_is_told(said: bytes, told: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            taken, _ = listener.accept()
            taken.sendall(said)
            taken.close()

        threading.Thread(target=serve, daemon=True).start()
        port = listener.getsockname()[1]
        answer = CliRunner().invoke(command, ["scan", "127.0.0.1", "--port", str(port)])
    assert answer.exit_code == 1
    assert f"127.0.0.1 port {port} answers" in answer.output
    assert told in answer.output


def test_a_key_type_that_the_host_lacks_puts_no_traceback_on_the_terminal(ssh_server: int) -> None:
    argv = [
        sys.executable,
        "-c",
        "from wgnode.cli import main; main()",
        "host",
        "scan",
        "127.0.0.1",
        "--port",
        str(ssh_server),
    ]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=True)
    assert len(done.stderr.splitlines()) == len(KEYS), done.stderr
