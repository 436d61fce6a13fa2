"""Which ports a gateway's firewall takes and lets SSH in by, and who had them before."""

from __future__ import annotations

import pytest

from pulumi_wgnode.hosts.host import HostError
from tests.unit.pulumi_wgnode.resources.firewall_case import NEWS, created, host, kind
from wgnode.firewall import nft

__all__ = ["host", "kind"]


LISTENING = "UNCONN 0 0 {} 0.0.0.0:* {}"


PROCESS = 'users:(("openvpn",pid=77,fd=3))'


@pytest.mark.parametrize(
    ("line", "wireguard", "owner"),
    [
        (LISTENING.format("0.0.0.0:51820", PROCESS), "", r"openvpn \(pid 77\)"),
        (LISTENING.format("*:51820", PROCESS), "", r"openvpn \(pid 77\)"),
        (LISTENING.format("198.51.100.2%wan0:51820", PROCESS), "", r"openvpn \(pid 77\)"),
        (LISTENING.format("[::]:51820", ""), "wg7\t51820\nwg8\t51821\n", "the WireGuard interface wg7"),
        (LISTENING.format("[::]:51820", ""), "", "the kernel"),
    ],
)
def test_a_port_that_is_taken_is_told_with_its_owner_and_nothing_is_changed(kind, host, line, wireguard, owner):
    host.listeners, host.wireguard = line, wireguard
    with pytest.raises(HostError, match=rf"UDP port 51820 is taken by {owner}, .*`wgmesh:mesh\.listenPort`"):
        created(kind)
    assert host.events == []


@pytest.mark.parametrize("local", ["127.0.0.1:51820", "[::1]:51820", "127.0.0.53%lo:51820", "0.0.0.0:51821", "*:5182"])
def test_other_ports_and_the_loopbacks_are_free_to_be_taken(kind, host, local):
    host.listeners = LISTENING.format(local, PROCESS)
    created(kind)


FORWARDED = {**NEWS["connection"], "port": 2222}


def test_ssh_is_let_in_at_the_port_of_the_connection(kind, host):
    host.ssh_connection = "192.0.2.10 40000 198.51.100.2 2222"
    created(kind, connection=FORWARDED)
    assert "tcp dport 2222 mark set" in nft.described(host.table).rules["input-ssh-v4"]


def test_ssh_is_let_in_at_the_hosts_own_port_where_it_is_given(kind, host):
    host.ssh_connection = "192.0.2.10 40000 198.51.100.2 22"
    inputs, _, state = created(kind, connection=FORWARDED, sshPort=22)
    assert "tcp dport 22 mark set" in nft.described(host.table).rules["input-ssh-v4"]
    assert kind.diff(state, inputs, inputs).changes == ()
    without_it = kind.check({**NEWS, "connection": FORWARDED}, inputs)
    assert "sshPort" in [change.path for change in kind.diff(state, inputs, without_it).changes]


def test_a_port_that_is_forwarded_to_another_is_named_and_nothing_is_changed(kind, host):
    host.ssh_connection = "192.0.2.10 40000 10.0.0.2 22"
    with pytest.raises(HostError, match=r"port 22 behind a forward of port 2222.*`sshPort: 22`"):
        created(kind, connection=FORWARDED)
    assert host.events == []


@pytest.mark.parametrize("said", ["", "127.0.0.1 40000 127.0.0.1 22", "::1 40000 ::1 22"])
def test_of_a_host_that_does_not_tell_the_port_that_ssh_came_in_by_nothing_is_presumed(kind, host, said):
    host.ssh_connection = said
    created(kind, connection=FORWARDED)
    assert "tcp dport 2222 mark set" in nft.described(host.table).rules["input-ssh-v4"]
