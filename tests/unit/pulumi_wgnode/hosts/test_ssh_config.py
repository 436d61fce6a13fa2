"""What SSH configuration files and files of known hosts say: held against `ssh -G`, which is OpenSSH itself."""

from __future__ import annotations

import subprocess
from pathlib import Path

import paramiko
import pytest

from pulumi_wgnode.hosts.host import NoWay
from pulumi_wgnode.hosts.ssh import known_hosts, ssh_config
from pulumi_wgnode.hosts.ssh.known_hosts import Known

CONFIG = """
Include more/*
Host berlin farm-?
    HostName 192.0.2.1      # behind a value
    Port=2222
    User "ops"
    CertificateFile %d/cert-%h
    HostKeyAlias berlin.example
    IdentitiesOnly yes
Host cabin
    HostName %h.example.org
    ProxyJump ops@bastion:2200,[2001:db8::1]:22
Match host berlin
    User never
Host *
    User anybody
    IdentityFile ~/.ssh/id_%h
    UserKnownHostsFile ~/known "/a b"
"""


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "more").mkdir()
    (tmp_path / "more/one").write_text("Host oslo\n  HostName 192.0.2.9\n  User included\n")
    (tmp_path / "config").write_text(CONFIG)
    return tmp_path / "config"


def of_ssh(file: Path, name: str) -> dict[str, list[str]]:
    said = subprocess.run(["ssh", "-G", "-F", str(file), name], capture_output=True, text=True, check=True).stdout
    found: dict[str, list[str]] = {}
    for key, _, value in (line.partition(" ") for line in said.splitlines()):
        found.setdefault(key, []).append(value)
    return found


@pytest.mark.parametrize("name", ["berlin", "farm-1", "cabin", "oslo"])
def test_what_the_file_says_of_a_host_is_what_ssh_takes_of_it(file: Path, name: str) -> None:
    (file.parent / "more/one").rename(file.parent / "one")
    text = file.read_text().replace("Include more/*", f"Include {file.parent}/one")  # ssh has its own idea of ~
    file.write_text(text)
    entry, wanted = ssh_config.lookup(name, file), of_ssh(file, name)
    assert entry.address == wanted["hostname"][0]
    assert str(entry.port or 22) == wanted["port"][0]
    assert entry.user == wanted["user"][0]
    assert (entry.jumps or "none") == wanted.get("proxyjump", ["none"])[0]
    assert entry.key_alias == wanted.get("hostkeyalias", [None])[0]
    assert entry.agent == (wanted["identitiesonly"] == ["no"])


def test_paths_of_files_have_their_tokens_filled_in(file: Path) -> None:
    home, entry = file.parent, ssh_config.lookup("berlin", file)
    assert entry.certificates == (home / "cert-192.0.2.1",)
    assert entry.keys == (home / ".ssh/id_192.0.2.1",)
    assert entry.known_hosts[:2] == (home / "known", Path("/a b"))


def test_included_files_of_the_file_s_own_folder_count(file: Path) -> None:
    assert ssh_config.lookup("oslo", file).user == "included"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("Host other\n Port 1\n", "says nothing of the host berlin"),
        ("Host *\n Port 1\n", "says nothing of the host berlin"),
        ("Host berlin\n ProxyCommand nc %h %p\n", "use ProxyJump"),
        ("Host berlin\n IdentityAgent /run/agent\n", "set SSH_AUTH_SOCK"),
        ("Host berlin\n Port none\n", "can't be read for the host berlin"),
        ("Host berlin\n Port 1\nMatch exec true\n Port 2\n", "`Match exec` is not supported"),
        ("Host berlin\n CertificateFile /%k\n", "%k in the path of a file"),
        ("Host berlin\n Include {folder}/sub\n", "included below `Host berlin`"),
    ],
)
def test_what_can_not_be_followed_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, says: str
) -> None:
    monkeypatch.setattr(paramiko.config, "invoke", None)  # as in the plugin
    monkeypatch.setattr(paramiko.config, "invoke_import_error", ImportError())
    (tmp_path / "sub").write_text("Host x\n Port 2\n")
    (tmp_path / "config").write_text(text.format(folder=tmp_path))
    with pytest.raises(NoWay) as caught:
        ssh_config.lookup("berlin", tmp_path / "config")
    assert says in str(caught.value)


def test_files_that_include_one_another_end(tmp_path: Path) -> None:
    (tmp_path / "config").write_text(f"Include {tmp_path}/config\n")
    with pytest.raises(NoWay, match="include one another"):
        ssh_config.lookup("berlin", tmp_path / "config")


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(NoWay, match=r"nothing on this machine can't be read \(No such file"):
        ssh_config.lookup("berlin", tmp_path / "nothing")


KEYS = {
    name: f"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI{name:A<34}="
    for name in ("plain", "hashed", "pattern", "port", "ca", "bad")
}


def test_known_hosts_are_found_by_every_way_of_writing_them(tmp_path: Path) -> None:
    (tmp_path / "known").write_text(
        f"# a comment\n\nberlin,192.0.2.1 {KEYS['plain']} with a comment\n"
        f"{paramiko.HostKeys.hash_host('berlin')} {KEYS['hashed']}\n"
        f"*.example,!no.example {KEYS['pattern']}\n"
        f"[berlin]:2222 {KEYS['port']}\n"
        f"@cert-authority *.example,berlin {KEYS['ca']}\n"
        f"@revoked * {KEYS['bad']}\n@unknown berlin {KEYS['bad']}\n|1|nothing| {KEYS['bad']}\nhalf a-line\n"
    )

    def known(name: str) -> Known:
        return known_hosts.of([name], [tmp_path / "missing", tmp_path / "known"])

    assert known("Berlin") == Known((KEYS["plain"], KEYS["hashed"]), (KEYS["ca"],), (KEYS["bad"],))
    assert known("192.0.2.1").keys == (KEYS["plain"],)
    assert known("a.example") == Known((KEYS["pattern"],), (KEYS["ca"],), (KEYS["bad"],))
    assert known("no.example").keys == ()
    assert known(known_hosts.name("berlin", 2222)).keys == (KEYS["port"],)
    assert known(known_hosts.name("berlin", 22)).keys == (KEYS["plain"], KEYS["hashed"])
