"""Private SSH keys: what the configuration takes can log in, and what can't says why and never shows itself."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import paramiko
import pytest
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, rsa, x25519
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from pulumi_wgnode.hosts.host import Connection
from pulumi_wgnode.hosts.ssh import pool, private_key
from pulumi_wgnode.model import Model
from pulumi_wgnode.values import PrivateKey
from tests.unit.pulumi_wgnode.hosts.ssh_server import ssh_server

RSA = rsa.generate_private_key(65537, 2048)
ED25519 = ed25519.Ed25519PrivateKey.generate()
KEYS: dict[str, Any] = {
    "ed25519": ED25519,
    "rsa": RSA,
    "p256": ec.generate_private_key(ec.SECP256R1()),
    "p384": ec.generate_private_key(ec.SECP384R1()),
    "p521": ec.generate_private_key(ec.SECP521R1()),
}
FORMATS = {
    "openssh": PrivateFormat.OpenSSH,
    "pkcs8": PrivateFormat.PKCS8,
    "traditional": PrivateFormat.TraditionalOpenSSL,
}


class Configured(Model):
    """A key as configuration has it, beside its passphrase."""

    passphrase: str | None = None
    private_key: PrivateKey


def text_of(key: Any, form: PrivateFormat = PrivateFormat.PKCS8, passphrase: bytes | None = None) -> str:
    encryption = BestAvailableEncryption(passphrase) if passphrase else NoEncryption()
    text: str = key.private_bytes(Encoding.PEM, form, encryption).decode()
    return text


def blob_of(key: Any) -> bytes:
    """The public half in SSH's wire format, by another way than the code's."""
    line: bytes = key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
    return paramiko.PublicBlob.from_string(line.decode()).key_blob


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("kind", KEYS)
def test_every_form_that_programs_write_is_taken_by_configuration_and_login(kind: str, form: str) -> None:
    if (kind, form) == ("ed25519", "traditional"):
        form = "pkcs8"  # there is no other for it
    text = text_of(KEYS[kind], FORMATS[form])
    assert private_key.load(text).asbytes() == blob_of(KEYS[kind])
    assert Configured(private_key=text).private_key == text


@pytest.mark.parametrize("kind", KEYS)
def test_a_pkcs8_key_logs_in(kind: str) -> None:
    text = text_of(KEYS[kind])
    with ssh_server(private_key.load(text)) as server:
        connection = Connection("127.0.0.1", (server.pin,), server.port, "root", text)
        assert pool.connect(connection).run(["echo", "in"]).stdout == "in\n"
        pool.forget(connection)


def test_keys_of_ssh_keygen_itself_are_taken(tmp_path: Path) -> None:
    for number, more in enumerate((["-t", "ed25519"], ["-t", "rsa", "-m", "PEM"], ["-t", "ecdsa", "-m", "PKCS8"])):
        file = tmp_path / str(number)
        subprocess.run(["ssh-keygen", "-q", "-N", "", "-f", str(file), *more], check=True)
        kind, blob = file.with_suffix(".pub").read_text().split()[:2]
        loaded = private_key.load(file.read_text())
        assert (loaded.get_name(), loaded.get_base64()) == (kind, blob)


@pytest.mark.parametrize(
    "around",
    [
        lambda text: text.rstrip("\n"),
        lambda text: "\n\n" + text + "\n\n",
        lambda text: text.replace("\n", "\r\n"),
        lambda text: "\ufeff" + text,
        lambda text: "".join(f"    {line}\n" for line in text.splitlines()),
        lambda text: text.replace("\n", "\n      "),
        lambda text: text.replace("\n", " \n"),
    ],
)
@pytest.mark.parametrize("form", ["openssh", "pkcs8"])
def test_what_editors_put_around_a_key_does_not_matter(around: Any, form: str) -> None:
    assert private_key.load(around(text_of(ED25519, FORMATS[form]))).asbytes() == blob_of(ED25519)


BAD = {
    "a passphrase, OpenSSH": (text_of(ED25519, PrivateFormat.OpenSSH, b"x"), "protected by a passphrase"),
    "a passphrase, PKCS#8": (text_of(RSA, PrivateFormat.PKCS8, b"x"), "protected by a passphrase"),
    "a passphrase, PEM": (text_of(RSA, PrivateFormat.TraditionalOpenSSL, b"x"), "protected by a passphrase"),
    "half a key": (text_of(ED25519)[:-50], "not an SSH private key"),
    "nothing": ("", "not an SSH private key"),
    "a word": ("hunter2", "not an SSH private key"),
    "a file's name": ("~/.ssh/id_ed25519", "not an SSH private key"),
    "the public half": ("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI", "public half"),
    "the public half, PEM": (
        RSA.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode(),
        "public half",
    ),
    "PuTTY": ("PuTTY-User-Key-File-3: ssh-ed25519\nEncryption: none\n", "puttygen KEYFILE -O private-openssh"),
    "another curve": (text_of(ec.generate_private_key(ec.SECP256K1())), "curve secp256k1"),
    "Ed448": (text_of(ed448.Ed448PrivateKey.generate()), "Ed448"),
    "X25519": (text_of(x25519.X25519PrivateKey.generate()), "X25519"),
    "DSA": (text_of(dsa.generate_private_key(1024)), "DSA"),
    "a token's": ("sk-ssh-ed25519@openssh.com AAAA", "agent: true"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_cannot_log_in_is_refused_by_name_and_not_shown(case: str) -> None:
    text, says = BAD[case]
    for judge in (lambda: private_key.load(text), lambda: Configured(private_key=text)):
        with pytest.raises(ValueError, match=r".") as caught:
            judge()
        assert says in str(caught.value)
        assert len(text) < 30 or text[30:60] not in str(caught.value)
