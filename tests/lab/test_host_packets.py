"""What the firewall of a real host lets pass, tried by packets."""

from __future__ import annotations

import contextlib
import shlex
import subprocess
import time
from collections.abc import Callable, Iterator

import pytest

from lab.api import Lab

from .sites import Site, berlin, until

pytestmark = [pytest.mark.lab, pytest.mark.in_turn("hosts")]

__all__ = ["berlin"]


def test_only_what_is_configured_comes_in_over_the_uplink(berlin: Site, lab: Lab) -> None:
    berlin.create(berlin.firewall, berlin.firewall_inputs(allow=[{"protocol": "tcp", "port": 8080}]))
    berlin.shell("for p in 8080 8081; do systemd-run -q --unit test-$p python3 -m http.server $p; done")
    try:
        until(lambda: _opens(lab, berlin.lan["host"][0].split("/")[0], 8081, "berlin.client"))
        assert _opens(lab, berlin.address, 8080)
        assert not _opens(lab, berlin.address, 8081)
        assert lab.ping("runner", berlin.address)
    finally:
        berlin.shell("systemctl stop test-8080 test-8081")


def _opens(lab: Lab, address: str, port: int, role: str = "runner") -> bool:
    probe = f"import socket; socket.create_connection(({address!r}, {port}), 1.5).close()"
    return lab.run_in(role, ["python3", "-c", probe], check=False).returncode == 0


GUEST, GUEST_V6 = "172.31.255.254", "fd77:676e:6f64:6500::2"
# A network namespace at the other end of the link instead of the gateway, with a process to find it by.
BECOME_THE_GUEST = f"""ip link del wgnode-wan
systemd-run -q --unit test-guest -p PrivateNetwork=yes sleep infinity
pid=$(systemctl show -P MainPID test-guest)
ip link add wgnode-wan type veth peer name wan netns $pid
ip addr add 172.31.255.253/30 dev wgnode-wan; ip addr add fd77:676e:6f64:6500::1/126 dev wgnode-wan nodad
ip link set wgnode-wan up
nsenter -t $pid -n sh -c 'ip link set wan up; ip addr add {GUEST}/30 dev wan; ip addr add 10.66.0.1/32 dev wan
    ip addr add {GUEST_V6}/126 dev wan nodad
    ip route add default via 172.31.255.253; ip route add default via fd77:676e:6f64:6500::1'"""
_TCP = "import socket; socket.create_connection(({to!r}, {port}), 1.5, ({source!r}, 0)).close()"
_UDP = "import socket; s = socket.socket(2, 2); s.bind(({source!r}, {port})); s.sendto(b'{what}', ({to!r}, 5555))"


@pytest.fixture
def guest(berlin: Site) -> Iterator[Callable[[str], bool]]:
    """Runs Python in the place of berlin's gateway; whether it succeeded."""
    berlin.create(berlin.host, berlin.host_inputs())
    berlin.create(berlin.firewall, berlin.firewall_inputs())
    berlin.shell(BECOME_THE_GUEST)
    inside = "nsenter -t $(systemctl show -P MainPID test-guest) -n python3 -c"
    try:
        yield lambda code: "went well" in berlin.shell(f"{inside} {shlex.quote(code)} && echo went well")
    finally:
        berlin.shell("systemctl stop test-guest; ip link del wgnode-wan")


def test_a_gateway_gets_wireguards_datagrams_out_and_nothing_else(
    berlin: Site, guest: Callable[[str], bool], lab: Lab
) -> None:
    lan, runner, client = berlin.lan["host"], "192.0.2.10", "10.1.0.100"
    for to in ("172.31.255.253", lan[0].split("/")[0], berlin.address):
        assert not guest(_TCP.format(to=to, port=22, source=GUEST)), f"the host's SSH at {to}"
    assert not guest(_TCP.format(to="fd77:676e:6f64:6500::1", port=22, source=GUEST_V6))
    assert guest("import os; raise SystemExit(os.system('ping -c 1 -W 2 172.31.255.253') != 0)")
    assert guest("import os; raise SystemExit(os.system('ping -c 1 -W 2 fd77:676e:6f64:6500::1') != 0)")
    with _datagrams(lab, "runner") as at_runner, _datagrams(lab, "berlin.client") as at_client:
        for source, port, to, what in (
            (GUEST, 51820, client, "into the LAN"),
            ("10.66.0.1", 51820, runner, "of another source"),
            (GUEST, 40000, runner, "of another port"),
            (GUEST, 51820, runner, "of WireGuard"),
        ):
            guest(_UDP.format(source=source, port=port, to=to, what=what))
        assert at_runner() == [f"of WireGuard from {berlin.address}"]
        assert at_client() == []
    assert not lab.ping("berlin.client", GUEST), "nobody in the LAN needs to reach the gateway there"


@contextlib.contextmanager
def _datagrams(lab: Lab, role: str) -> Iterator[Callable[[], list[str]]]:
    """What came to port 5555 until asked, with the address that it came from."""
    code = (
        "import socket; s = socket.socket(2, 2); s.bind(('', 5555)); print('ready', flush=True)\n"
        "while True: data, peer = s.recvfrom(99); print(data.decode(), 'from', peer[0], flush=True)"
    )
    process = lab.popen_in(role, ["python3", "-c", code], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "ready\n"

    def until_now() -> list[str]:
        time.sleep(0.5)
        process.kill()
        return process.stdout.read().splitlines()

    try:
        yield until_now
    finally:
        process.kill()
        process.wait()


def test_a_connection_from_before_the_translation_is_forgotten(berlin: Site, lab: Lab) -> None:
    """Else a peer's packets would go on reaching the host instead of the gateway, as long as it keeps sending."""
    berlin.create(berlin.host, berlin.host_inputs())
    send = (
        "import socket; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(('', 40000));"
        f" s.sendto(b'x', ({berlin.address!r}, 51820))"
    )
    berlin.shell(
        "nft add table ip track; nft 'add chain ip track in { type filter hook input priority 0; }';"
        " nft add rule ip track in ct state new accept"
    )  # makes the kernel track connections
    try:
        lab.run_in("runner", ["python3", "-c", send])
        assert "dport=51820" in berlin.shell("conntrack -L -p udp 2>/dev/null")
        berlin.create(berlin.firewall, berlin.firewall_inputs())
        lab.run_in("runner", ["python3", "-c", send])
        entries = berlin.shell("conntrack -L -p udp --orig-port-dst 51820 2>/dev/null")
        assert "src=172.31.255.254" in entries, "translated to the gateway"
    finally:
        berlin.shell("nft delete table ip track")
