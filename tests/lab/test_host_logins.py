"""What opens a real host and what does not: login shells, sudo, keys, ports, pins, hosts that are away."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from lab.api import Lab
from pulumi_wgnode.hosts.host import Connection, Host, HostError, HostKeyMismatch, HostUnreachable, NoRoot, NoShell
from pulumi_wgnode.hosts.ssh import pool
from pulumi_wgnode.resources import successor
from pulumi_wgnode.resources.inputs import connection
from pulumi_wgnode.resources.unread import OnHost
from tests.unit.pulumi_wgnode.hosts.ssh_server import new_key

from .sites import Site, berlin, cabin

pytestmark = [pytest.mark.lab, pytest.mark.in_turn("hosts")]

__all__ = ["berlin", "cabin"]


_DIRTY = """echo welcome; echo welcome >&2; printf 'no newline'; printf 'nor here' >&2; stty sane
trap 'echo bye; echo bye >&2; exit 9' EXIT; shopt -s expand_aliases; alias env=echo sudo=echo; sudo() { echo; }
export CDPATH=/ TMPDIR=/nowhere LC_ALL=xx_YY.UTF-8; cd /; umask 777; set -eu; read -t 0.1 line || true
"""
_BINARY = bytes(range(256)) * 40


def test_what_a_real_login_shell_and_sudo_print_is_told_from_answers_and_what_cannot_work_is_named(
    cabin: Site,
) -> None:
    to = connection(cabin.host_inputs())

    def refused(kind: type[HostError], said: str, break_it: str, mend_it: str) -> None:
        cabin.shell(break_it)
        try:
            for ask in (lambda: _fresh(to).run(["true"], check=False), lambda: _fresh(to).write_file("/etc/no", b"x")):
                with pytest.raises(kind, match=said):
                    cabin.run(ask)
        finally:
            cabin.shell(mend_it)

    cabin.shell(f"cp /home/ops/.bashrc /root/bashrc; cat >/home/ops/.bashrc <<'X'\n{_DIRTY}X\n")
    cabin.shell("echo 'printf profile' >/etc/profile.d/dirty.sh; echo motd >/etc/motd")
    try:
        host = cabin.run(lambda: _fresh(to))
        result = cabin.run(lambda: host.run(["sh", "-c", "cat; id -un; echo err >&2; exit 3"], input=b"x", check=False))
        assert (result.code, result.stdout, result.stderr) == (3, "xroot\n", "err\n")
        assert cabin.run(lambda: host.write_file("/etc/dirty", _BINARY, mode=0o640)) is True
        assert cabin.run(lambda: host.read_file("/etc/dirty")) == _BINARY
        assert cabin.shell("stat -c '%a %U' /etc/dirty") == "640 root\n"
        state = cabin.create(cabin.firewall, cabin.firewall_inputs())
        assert cabin.drift(cabin.firewall, state, cabin.firewall_inputs())[1] == []
    finally:
        cabin.shell("rm -f /etc/dirty /etc/profile.d/dirty.sh; : >/etc/motd; mv /root/bashrc /home/ops/.bashrc")
    shell = "usermod -s /bin/bash ops"
    refused(NoShell, r"has nologin for a login shell .*usermod -s", "usermod -s /usr/sbin/nologin ops", shell)
    refused(NoShell, r"exit code 1, printed nothing", "usermod -s /bin/false ops", shell)
    rc = "sed -i '1iecho only people; exit 0' /home/ops/.bashrc"
    refused(NoShell, "printed 'only people'", rc, "sed -i 1d /home/ops/.bashrc")
    keys = "/home/ops/.ssh/authorized_keys"
    refused(
        NoShell,
        "printed 'rsync only'",
        f"sed -i 's/^/command=\"echo rsync only\" /' {keys}",
        f"sed -i 's/^command=.* ssh-/ssh-/' {keys}",
    )
    tty = "/etc/sudoers.d/zz-tty"
    refused(NoRoot, "only on a terminal.*!requiretty", f"echo 'Defaults requiretty' >{tty}", f"rm {tty}")
    refused(NoRoot, "without a password.*NOPASSWD", f"echo 'ops ALL=(ALL) ALL' >{tty}", f"rm {tty}")
    refused(NoRoot, "finds no sudo there", "mv /usr/bin/sudo /usr/bin/sudo.away", "mv /usr/bin/sudo.away /usr/bin/sudo")
    assert cabin.run(lambda: _fresh(to).run(["id", "-un"]).stdout) == "root\n"


_SSHD = "/etc/ssh/sshd_config.d/a.conf"
_KEYS = "/home/ops/.ssh/authorized_keys"
# What happened to the host since the last update, what is configured since, and what brings the host back.
_WAYS: tuple[tuple[str, dict[str, Any], str, str], ...] = (
    (  # a key instead of the agent
        "true",
        {"agent": False},
        "unread",
        "true",
    ),
    (  # another key
        f"sed -i 's/^ssh-/#ssh-/; $ a '{{new}} {_KEYS}",
        {},
        "unread",
        f"sed -i '$ d; s/^#ssh-/ssh-/' {_KEYS}",
    ),
    (  # root instead of sudo
        f"echo 'ops ALL=(ALL) ALL' >/etc/sudoers.d/zz; mkdir -m 700 /root/.ssh; cp {_KEYS} /root/.ssh/;"
        f" echo 'PermitRootLogin prohibit-password' >{_SSHD}; systemctl restart ssh",
        {"user": "root"},
        "unread",
        f"rm -r /etc/sudoers.d/zz /root/.ssh {_SSHD}; systemctl restart ssh",
    ),
    (  # another port
        f"echo 'Port 2222' >{_SSHD}; systemctl restart ssh;"
        " nft insert rule inet wgnode input-end tcp dport 2222 accept",
        {"port": 2222},
        "unreached",
        f"rm {_SSHD}; systemctl restart ssh; nft insert rule inet wgnode input-end tcp dport 22 accept",
    ),
)


def test_what_opened_a_host_is_replaced_by_what_does_now_in_one_update(cabin: Site) -> None:
    """The read before an update has the former connection: it leaves a mark, and the update has the present one."""
    own = cabin.connection
    kinds = ((OnHost(cabin.host), cabin.host_inputs), (OnHost(cabin.firewall), cabin.firewall_inputs))
    states = [cabin.create(kind, inputs()) for kind, inputs in kinds]
    private, public = new_key()
    for happens, configured, mark, back in _WAYS:
        former, present = own, {**own, **(configured or {"privateKey": private})}
        if "agent" in configured:  # it is the former that had it
            former = {**{name: value for name, value in own.items() if name != "privateKey"}, "agent": True}
        for used in (own, former, present):
            pool.forget(connection({"connection": used}))
        successor._now.clear()  # another run of the engine
        cabin.shell(happens.format(new=f"'{public.get_name()} {public.get_base64()}'"))
        try:
            for number, (kind, inputs) in enumerate(kinds):
                marked = mark if number == 0 else None  # the next one's read is told of the present connection
                states[number] = _replaced(cabin, kind, inputs, (former, present), states[number], marked)
        finally:
            for used in (own, former, present):
                pool.forget(connection({"connection": used}))
            cabin.shell(back)
            cabin.connection = own


def _replaced(
    cabin: Site, kind: OnHost, inputs: Callable[[], Any], connections: tuple[Any, Any], state: Any, mark: str | None
) -> Any:
    """The state after a read by the former of two connections and an update by the present one."""
    former, present = connections
    cabin.connection = former
    state, read = cabin.read(kind, {**state, "connection": cabin.connection}, inputs())
    assert {"unread", "unreached"} & state.keys() == ({mark} if mark else set())
    cabin.connection = present
    new = inputs()
    successor.learn(new, read)  # as the check does by which the engine begins
    changes = cabin.run(lambda: kind.diff(state, read, new)).changes
    paths = {change.path.partition(".")[0] for change in changes}
    assert "connection" in paths, "what differs is told as it is, as the SSH port of the firewall is with another one"
    assert not paths & {"unread", "unreached"}
    assert former["port"] != present["port"] or paths == {"connection"}, "no drift that isn't there"
    updated = cabin.run(lambda: kind.update("id", state, new, False))
    assert cabin.drift(kind, updated, new)[1] == []
    return updated


def _fresh(to: Connection) -> Host:
    pool.forget(to)
    return pool.connect(to)


def test_another_host_key_than_the_pinned_one_is_refused(berlin: Site, lab: Lab) -> None:
    before = berlin.shell("journalctl -u ssh -u 'ssh@*' | grep -c Accepted || true")
    berlin.connection["hostKeys"] = lab.inventory["hosts"]["cabin"]["host_keys"]
    try:
        with pytest.raises(HostKeyMismatch, match="nothing was sent"):
            berlin.create(berlin.firewall, berlin.firewall_inputs())
        assert berlin.shell("journalctl -u ssh -u 'ssh@*' | grep -c Accepted || true") == before
    finally:
        berlin.connection["hostKeys"] = lab.inventory["hosts"]["berlin"]["host_keys"]


@pytest.mark.parametrize("address", ["198.51.100.77", "192.0.2.77"])
def test_an_unreachable_host_fails_by_name_within_ten_seconds(berlin: Site, address: str) -> None:
    inputs = berlin.firewall_inputs(connection={**berlin.connection, "address": address})
    start = time.monotonic()
    with pytest.raises(HostUnreachable, match=f"@{address}: cannot connect"):
        berlin.create(berlin.firewall, inputs)
    assert time.monotonic() - start < 10
