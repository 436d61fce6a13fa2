"""Each Debian's own sshd, in a namespace of its own: certificates of both sides, an agent, itself as a jump host."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from pulumi_wgnode.hosts.host import Connection, HostError
from pulumi_wgnode.hosts.ssh import pool
from tests.lab.interop import wait_for
from tests.lab.userland import Userland, userland
from tests.unit.pulumi_wgnode.hosts.test_ways import agent
from tests.unit.pulumi_wgnode.hosts.ways import KeyFile, certify, keygen

pytestmark = [pytest.mark.lab, pytest.mark.sampled(0)]  # in make test-long

SSHD = """mkdir -p /run/sshd /etc/ssh /root && cd /etc/ssh
printf %s "$1" >host && printf %s "$2" >host-cert.pub && printf '%s\n' "$3" >users && chmod 600 host
exec /usr/sbin/sshd -D -h /etc/ssh/host -o HostCertificate=/etc/ssh/host-cert.pub -o TrustedUserCAKeys=/etc/ssh/users"""


@pytest.fixture(params=["bookworm", "trixie"])
def programs(request: pytest.FixtureRequest) -> Iterator[Userland]:
    with userland(request.param) as made:
        yield made


@pytest.mark.parametrize("kind", ["ed25519", "ecdsa", "rsa"])
def test_a_certified_user_gets_into_a_certified_host_and_through_it(
    programs: Userland, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    hosts, users = keygen(tmp_path / "hosts", "-t", kind), keygen(tmp_path / "users", "-t", kind)
    host, key = keygen(tmp_path / "host", "-t", kind), keygen(tmp_path / "key", "-t", kind)
    certify(hosts, host, "127.0.0.1,localhost", "-h")
    text = certify(users, key, "root")
    programs.space.spawn(*programs.argv(["sh", "-c", SSHD, "sh", host.text, host.certificate, users.public]))
    wait_for(lambda: programs.space.run("ss", "-H", "-l", "-t", "-n", "sport = :22"), "sshd to listen")
    to = Connection("127.0.0.1", authorities=(hosts.public,), private_key=key.text, certificate=text)

    def gets_in(connection: Connection) -> bool:
        try:
            return pool.connect(connection).run(["echo", "in"]).stdout == "in\n"
        finally:
            pool.forget(connection)

    assert programs.space.call(lambda: gets_in(to))
    jump = replace(to, is_jump=True, address="localhost", private_key=None, certificate=None)
    assert programs.space.call(lambda: gets_in(replace(to, jumps=(jump,))))
    with agent(monkeypatch, tmp_path, key):
        assert programs.space.call(lambda: gets_in(replace(to, private_key=None, certificate=None)))
    refuses(programs, replace(to, certificate=None), "refuses the key")
    refuses(programs, replace(to, authorities=(users.public,)), "none of the authorities")
    refuses(programs, replace(to, certificate=certify(users, KeyFile(key.path), "somebody")), "for somebody, signed by")


def refuses(programs: Userland, connection: Connection, says: str) -> None:
    def attempt() -> str:
        with pytest.raises(HostError) as refused:
            pool.connect(connection)
        pool.forget(connection)
        return str(refused.value)

    assert says in programs.space.call(attempt)
