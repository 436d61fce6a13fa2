"""Users whose login shell, start-up files, forced command or sudo do more, or less, than run a command.

The shells are real ones, run as sshd runs them, with a start-up file that is dirty in one way.
"""

from __future__ import annotations

import os
import shutil
import time
from dataclasses import replace

import pytest

from pulumi_wgnode.hosts.host import HostError, HostUnreachable, NoRoot, NoShell
from pulumi_wgnode.hosts.ssh import exchange, pool
from pulumi_wgnode.hosts.ssh.exchange import Outcome
from pulumi_wgnode.hosts.ssh.frame import Frame
from pulumi_wgnode.operations import site_status
from pulumi_wgnode.resources.unread import OnHost
from tests.unit.pulumi_wgnode.hosts.ssh_server import new_key

BINARY = bytes(range(256)) * 4


@pytest.fixture
def home(server, tmp_path):
    """The user's, who has bash, as Debian builds it: it reads .bashrc where sshd runs it."""
    server.shell = ("bash",)
    server.environment = {"HOME": str(tmp_path), "SSH_CLIENT": "192.0.2.1 1 22", "SSH_CONNECTION": "", "SHLVL": "0"}
    return tmp_path


@pytest.fixture
def script(server, tmp_path):
    """Makes a login shell of a script."""

    def made(name, text):
        path = tmp_path / name
        path.write_text(text)
        path.chmod(0o755)
        server.shell = (str(path),)

    return made


DIRTY = {
    "a line": "echo welcome",
    "no newline": "printf welcome",
    "standard error": "echo welcome >&2; printf more >&2",
    "like our answers": r"printf '3 0\nabc'; printf '\n0'",
    "binary": r"printf '\000\377\001\n'; head -c 3000 /dev/urandom",
    "huge": "yes motd | head -c 5000000; yes motd | head -c 2000000 >&2",
    "a locale that is not there": "export LC_ALL=xx_YY.UTF-8 LANG=xx_YY.UTF-8 LANGUAGE=de",
    "no terminal": "stty erase '^H'; mesg n; tput init; tty",
    "after the end": "trap 'echo bye; echo bye >&2; exit 7' EXIT",
    "set -e": "set -e; set -o pipefail",
    "set -u": "set -u",
    "trace": "set -x",
    "verbose": "set -v; PS4=welcome",
    "no globbing": "set -f; IFS=0123456789",
    "aliases": "shopt -s expand_aliases; alias env='echo no'; alias sudo='sudo -k'; alias sh='zsh'; alias cat='bat -p'",
    "functions": "sudo() { echo no; }; cat() { echo no; }; timeout() { echo no; }; export -f sudo cat timeout",
    "variables": "export CDPATH=/ ENV=/nowhere BASH_ENV=/nowhere POSIXLY_CORRECT=1 TMPDIR=/nowhere PATH=$PATH:~/bin",
    "slow": "sleep 0.5",
    "its own input": "read -t 1 line",
    "another directory": "cd /tmp; umask 777",
    "a job": "sleep 30 >/dev/null 2>&1 &",
    "unguarded return": '[ -z "$PS1" ] && return; echo never',
    "broken": "if; then",
    "terminal codes": r"printf '\033]0;title\007\033[1;31mred\033[0m'",
}


@pytest.mark.parametrize("dirt", DIRTY.values(), ids=DIRTY.keys())
def test_what_start_up_files_do_changes_no_answer(host, home, dirt, tmp_path):
    (home / ".bashrc").write_text(dirt + "\n")
    (tmp_path / "file").write_bytes(BINARY)
    assert host.read_file(str(tmp_path / "file")) == BINARY
    result = host.run(["sh", "-c", "cat; printf err >&2; exit 3"], input=b"no newline", check=False)
    assert (result.code, result.stdout, result.stderr) == (3, "no newline", "err")
    answers = host.run_all([["printf", "%s", "1\n2"], ["sh", "-c", "exit 5"]])
    assert [(each.code, each.stdout) for each in answers] == [(0, "1\n2"), (5, "")]
    own = {"owner": str(os.getuid()), "group": str(os.getgid())}
    host.write_file(str(tmp_path / "written"), BINARY, mode=0o640, **own)
    assert (tmp_path / "written").read_bytes() == BINARY
    assert (tmp_path / "written").stat().st_mode & 0o777 == 0o640
    assert host.read_file(str(tmp_path / "none")) is None


def test_start_up_files_are_really_read(host, home, server):
    (home / ".bashrc").write_text(f"touch {home}/read")
    host.run(["true"])
    assert (home / "read").exists()


def test_no_command_costs_another_round_trip(host, home, server):
    host.run(["cat"], input=b"x")
    host.run_all([["true"], ["true"]])
    assert len(server.commands) == 2


def test_nobody_but_our_command_gets_its_input(connection, home, server, tmp_path, monkeypatch):
    """Of a shell that has not shown yet that it comes to our command."""
    monkeypatch.setattr(exchange, "START_TIMEOUT", 1.0)
    (home / ".bashrc").write_text(f"exec cat >{home}/stolen")
    with pytest.raises(HostError):
        pool.connect(connection)._write(str(tmp_path / "file"), [b"secret"], 6, 1, 0o600, "root:root")
    pool.forget(connection)
    time.sleep(0.2)
    assert b"secret" not in (home / "stolen").read_bytes()


def test_a_shell_that_reads_gets_nothing_to_read_from_the_second_command_on(host, home, server, tmp_path):
    (home / ".bashrc").write_text(f"cat >>{home}/stolen & read -t 0.5 line; kill %1")
    for text in (b"secret", b"more"):
        host.run(["true"])
        assert host.run(["cat"], input=text).stdout.encode() == text
    assert b"secret" not in (home / "stolen").read_bytes()


def test_a_start_up_file_that_has_read_of_the_input_is_an_error_and_no_half_of_it(host, home, server, tmp_path):
    host.run(["true"])
    (home / ".bashrc").write_text("read -t 5 line")
    with pytest.raises(NoShell, match=r"root@\S+: the start-up files of root read the input .*\.bashrc"):
        host.run(["sh", "-s"], input=f"\ntouch {tmp_path}/half\n".encode())
    assert not (tmp_path / "half").exists()


def test_a_start_up_file_that_waits_is_named_with_what_it_printed(connection, home, monkeypatch):
    monkeypatch.setattr(exchange, "START_TIMEOUT", 1.0)
    (home / ".bashrc").write_text("echo 'mounting /home'; sleep 20")
    with pytest.raises(HostUnreachable, match="did not come to our command within 30 s; it printed 'mounting /home'"):
        pool.connect(connection).run(["true"])


REFUSALS = {
    "nologin": ("echo 'This account is currently not available.'; exit 1", "nologin.*usermod -s /bin/bash root"),
    "false": ("exit 1", r"do not come to our command \(exit code 1, printed nothing\).*getent passwd root"),
    "true": ("exit 0", r"\(exit code 0, printed nothing\)"),
    "git-shell": ("echo \"fatal: unrecognized command '$2'\" >&2; exit 128", "git-shell.*usermod"),
    "rbash": ("echo 'rbash: line 1: env: command not found' >&2; exit 127", "restricted login shell.*PATH"),
    "csh": ("echo \"Unmatched '''.\" >&2; exit 1", "none of POSIX's.*usermod"),
    "cloud": (
        'echo \'Please login as the user "debian" rather than the user "root".\'; exit 142',
        'forced command.*login as the user "debian".*host.user',
    ),
    "backup": ("echo 'rsync only' >&2; exit 2", r"printed 'rsync only'\).*command= in its authorized_keys"),
    "expired": (
        "echo 'WARNING: Your password has expired.'; echo 'Password change required but no TTY available.'; exit 1",
        "must change its password.*has expired.*chage -l root",
    ),
    "killed": ("kill -9 $$", "do not come to our command"),
    "a terminal": ('exec sh -c "$2" | sed -u "s/$/\\r/"', "changed on the way"),
    "both outputs in one": ('exec sh -c "$2" 2>&1', "changed on the way.*ForceCommand"),
}


@pytest.mark.parametrize(("does", "said"), REFUSALS.values(), ids=REFUSALS.keys())
def test_a_shell_that_runs_no_command_is_one_error_with_what_it_said(host, script, does, said):
    script("shell", f"#!/bin/bash\n{does}\n")
    for ask in (
        lambda: host.run(["true"], check=False),
        lambda: host.run_all([["true"]]),
        lambda: host.read_file("/etc/hostname"),
        lambda: host.stat(["/etc/hostname"]),
        lambda: host.write_file("/nowhere/file", b"data"),
    ):
        with pytest.raises(NoShell, match=rf"(?s)^host root@127.0.0.1:\d+: .*{said}") as raised:
            ask()
        assert "\n" not in str(raised.value).split(": ", 1)[0]


def test_exit_in_a_start_up_file_is_named(host, home):
    (home / ".bashrc").write_text("echo only people here; exit 0")
    with pytest.raises(NoShell, match=r"exit code 0, printed 'only people here'\).*no `exit` in its .bashrc"):
        host.run(["true"])


def test_a_forced_command_that_runs_what_was_asked_for_is_no_matter(host, script):
    script(
        "shell", '#!/bin/sh\necho "Authorized use only"; sh -c "$2"; code=$?; echo logged >&2; echo bye; exit $code\n'
    )
    assert host.run(["sh", "-c", "echo mine; exit 4"], check=False).stdout == "mine\n"
    assert host.run(["sh", "-c", "exit 4"], check=False).code == 4


def test_a_shell_that_drops_errors_gives_none(host, script):
    script("shell", '#!/bin/sh\nexec sh -c "$2" 2>/dev/null\n')
    result = host.run(["sh", "-c", "echo mine; echo err >&2"])
    assert (result.stdout, result.stderr) == ("mine\n", "")


def test_a_restricted_bash_that_finds_env_and_sudo_works(host, server, tmp_path):
    server.shell = ("rbash",)
    assert host.run(["cat"], input=b"data").stdout == "data"


SUDO = {
    "password": ("sudo: a password is required", "may not use sudo without a password.*NOPASSWD"),
    "lecture": (
        "\\n[1mWe trust you have received the usual lecture[0m\\nsudo: a password is required",
        r"\(sudo: a password is required\)",
    ),
    "warning": (
        "sudo: unable to resolve host x: no\\nsudo: a password is required",
        r"\(sudo: a password is required\)",
    ),
    "requiretty": ("sudo: sorry, you must have a tty to run sudo", "only on a terminal.*Defaults:ops !requiretty"),
    "not in sudoers": ("ops is not in the sudoers file.", "add a line 'ops ALL"),
    "not allowed": (
        "Sorry, user ops is not allowed to execute '/bin/sh -c x' as root on site.",
        r"not allowed to execute.*NOPASSWD: ALL",
    ),
    "setuid": ("sudo: /usr/bin/sudo must be owned by uid 0 and have the setuid bit set", "is broken.*console"),
    "expired": ("sudo: Account or password is expired, reset your password and try again", "has expired.*chage"),
}


@pytest.fixture
def sudo(server, tmp_path):
    """Puts a sudo of that script first on the path of the user's login shell."""
    (tmp_path / "bin").mkdir()

    def made(text):
        (tmp_path / "bin" / "sudo").write_text(text)
        (tmp_path / "bin" / "sudo").chmod(0o755)
        server.environment["PATH"] = f"{tmp_path / 'bin'}:{os.environ['PATH']}"

    return made


@pytest.fixture
def ops(connection):
    user = replace(connection, user="ops")
    yield pool.connect(user)
    pool.forget(user)


@pytest.mark.parametrize(("printed", "said"), SUDO.values(), ids=SUDO.keys())
def test_a_sudo_that_refuses_is_named_with_the_way_out(ops, sudo, printed, said):
    sudo(f"#!/bin/sh\nprintf '%b\\n' \"{printed}\" >&2; exit 1\n")
    with pytest.raises(NoRoot, match=rf"(?s)^host ops@127.0.0.1:\d+: ops .*{said}"):
        ops.run(["true"])


def test_a_host_without_sudo_says_so(ops, server, tmp_path):
    (tmp_path / "bin").mkdir()
    for name in ("env", "sh"):
        (tmp_path / "bin" / name).symlink_to(shutil.which(name))
    server.environment["PATH"] = str(tmp_path / "bin")
    server.shell = ("/bin/sh",)
    with pytest.raises(NoRoot, match=r"finds no sudo there.*apt-get install sudo"):
        ops.run(["true"])


@pytest.mark.parametrize(
    ("code", "err", "said"),
    [
        (126, b"wgnode: 7: timeout: Permission denied\n", "can start no `timeout` as root.*NOEXEC"),
        (127, b"wgnode: 7: timeout: not found\n", "can start no `timeout` as root.*coreutils"),
        ("eaten", b"wgnode: 5: head: Permission denied\n", "can start no `head` as root.*NOEXEC"),
    ],
)
def test_a_root_that_can_start_nothing_is_named(ops, code, err, said):
    frame = Frame("1" * 16, "2" * 16)
    out, errors = frame.outputs()
    out.feed(b"%b:out\n%b:end:%b\n" % (frame.number.encode(), frame.number.encode(), str(code).encode()))
    errors.feed(b"%b:err\n%b%b:fin\n" % (frame.number.encode(), err, frame.number.encode()))
    with pytest.raises(NoRoot, match=said):
        ops._judged(["true"], frame, Outcome(out, errors, 0), 60)


def test_a_command_that_exits_with_126_itself_is_its_own_matter(host):
    assert host.run(["sh", "-c", "echo timeout: not found >&2; exit 126"], check=False).code == 126


def test_an_sshd_that_starts_no_command_says_so(connection, server):
    server.refuse_exec = True
    with pytest.raises(NoShell, match="lets root in, but to run no command"):
        pool.connect(connection).run(["true"])
    assert len(server.transports) == 1


def test_an_sshd_that_opens_no_session_says_where_that_is_set(connection, server, monkeypatch):
    monkeypatch.setattr(pool, "CHANNEL_TIMEOUT", 0.3)
    server.refuse = 1000
    with pytest.raises(NoShell, match="MaxSessions"):
        pool.connect(connection).run(["true"])


def test_what_sudo_prints_beside_a_command_is_nobodys_answer(ops, sudo):
    sudo(
        '#!/bin/sh\necho "sudo: unable to resolve host site: Name or service not known" >&2\n'
        'echo "sudo: unable to mkdir /var/lib/sudo/lectured: Read-only file system" >&2\n'
        'shift 2; "$@"; code=$?; echo "sudo: unable to write log" >&2; exit $code\n'
    )
    assert ops.run(["sh", "-c", "echo out; echo err >&2"]).stderr == "err\n"
    with pytest.raises(HostError, match="exited with 4: it is broken"):
        ops.run(["sh", "-c", "echo it is broken >&2; exit 4"])


@pytest.mark.parametrize(
    ("user", "line"),
    [
        ("EXAMPLE\\jane.doe", r"EXAMPLE\\jane.doe ALL"),
        ("jane@example.org", r"jane\@example.org ALL"),
        ("ops", "ops ALL"),
    ],
)
def test_sudoers_are_told_as_sudo_reads_them(connection, sudo, user, line):
    sudo("#!/bin/sh\necho 'sudo: a password is required' >&2; exit 1\n")
    with pytest.raises(NoRoot) as raised:
        pool.connect(replace(connection, user=user)).run(["true"])
    assert f"add a line '{line}=(ALL) NOPASSWD: ALL'" in str(raised.value)
    assert ("no file that has a dot in its name" in str(raised.value)) == ("." in user)


@pytest.mark.parametrize(
    ("said", "remedy"),
    [
        ("Read-only file system", "mount it writable again"),
        ("No space left on device", "is full|shows which"),
        ("Disk quota exceeded", "quota"),
    ],
)
def test_a_file_system_that_takes_nothing_is_named_with_the_way_out(host, said, remedy):
    with pytest.raises(HostError, match=remedy):
        host.run(["sh", "-c", f"echo 'mkdir: cannot create directory /var/lib/x: {said}' >&2; exit 1"])


def test_a_command_that_is_too_long_for_any_host_says_so(host):
    with pytest.raises(HostError, match="is too long for one command"):
        host.run(["true", "x" * (128 << 10)])


def of(to):
    return {"connection": {"address": to.address, "hostKeys": list(to.host_keys), "port": to.port}}


def test_a_host_without_a_usable_shell_or_root_is_unread_and_not_the_end(connection, script):
    """So that an update with another user, or with another shell, can be made."""

    class Kind:
        def read(self, id, state, inputs):
            pool.connect(connection).run(["true"])

    script("shell", "#!/bin/sh\nexit 1\n")
    state, _ = OnHost(Kind()).read("id", {"rules": {}}, of(connection))
    assert "do not come to our command" in state["unread"]


@pytest.mark.parametrize(
    "does", ["exit 1", "exit 0", "echo '{}'; exit 0", "echo fatal: unrecognized command >&2; exit 128"]
)
def test_the_status_of_such_a_host_is_not_that_no_gateway_is_deployed(host, script, does):
    script("shell", f"#!/bin/sh\n{does}\n")
    with pytest.raises(NoShell):
        site_status.ask(host, "berlin")


def test_the_status_of_a_host_with_dirty_start_up_files_is_what_its_hostd_says(host, home, monkeypatch):
    (home / ".bashrc").write_text('echo welcome; echo \'{"status": "gone"}\'\n')
    monkeypatch.setattr(site_status, "_READ", """echo '{"status": "running"}'; echo images/""" + "ab" * 32)
    answer = site_status.ask(host, "berlin")
    assert (answer.health, answer.image, answer.config) == ({"status": "running"}, "ab" * 32, None)


def test_no_agent_and_an_unusable_key_are_unread_too(connection, monkeypatch):
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)

    class Kind:
        def __init__(self, to):
            self.to = to

        def read(self, id, state, inputs):
            pool.connect(self.to)

    for to in (replace(connection, private_key=None), replace(connection, private_key=new_key()[0])):
        state, _ = OnHost(Kind(to)).read("id", {}, of(to))
        assert "unread" in state
