"""Our node against wireguard-go: both roles, both families inside and outside, pre-shared keys, renewal, roaming."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab.interop import Bench, Node, bench, run, transfer, wait_for

pytestmark = pytest.mark.lab

SHORT_SESSIONS = "import wgnode.protocol.session as s; s.REKEY_AFTER_TIME = 2.0; "
"""For ours only; wireguard-go's are fixed."""


@pytest.fixture
def cable(tmp_path: Path) -> Iterator[Bench]:
    with bench(tmp_path) as made:
        yield made


def introduce(one: Node, two: Node, outer: int = 4, psk: str | None = None) -> None:
    """Each knows the other; only `one` knows where the other is, so it has to begin."""
    one.add_peer(two, outer=outer, psk=psk)
    two.add_peer(one, psk=psk)


def both(cable: Bench, wireguard_go: Path, first: str, prelude: str = "") -> tuple[Node, Node]:
    """The node that initiates, and the one that responds."""
    if first == "ours":
        return cable.node(1, prelude=prelude), cable.node(2, wireguard_go)
    return cable.node(1, wireguard_go), cable.node(2, prelude=prelude)


@pytest.mark.parametrize("outer", [4, 6])
@pytest.mark.parametrize("first", ["ours", "wireguard-go"])
def test_traffic_flows_whoever_begins(cable: Bench, wireguard_go: Path, first: str, outer: int) -> None:
    one, two = both(cable, wireguard_go, first)
    introduce(one, two, outer, psk=run("wg", "genpsk").strip())
    assert one.ping(two, 4)
    assert one.ping(two, 6)
    assert two.ping(one, 4, "-s", "1392", "-M", "do")
    transfer(one, two, 4)
    transfer(two, one, 6)
    for node in (one, two):
        assert node.handshake() > 0
        received, sent = (int(number) for number in node.show("transfer").split("\t"))
        assert min(received, sent) > 8 << 20
    assert two.show("endpoints") == one.endpoint(outer)


def test_works_without_a_preshared_key(cable: Bench, wireguard_go: Path) -> None:
    one, two = both(cable, wireguard_go, "ours")
    introduce(one, two)
    assert one.ping(two)


@pytest.mark.parametrize("first", ["ours", "wireguard-go"])
def test_wrong_public_key_and_the_ping_fails(cable: Bench, wireguard_go: Path, first: str) -> None:
    one, two = both(cable, wireguard_go, first)
    introduce(one, two)
    one.set("private-key", one.file("other", run("wg", "genkey").strip()))
    assert not one.ping(two)
    assert one.handshake() == two.handshake() == 0
    one.set("private-key", one.file("private", one.private_key))
    wait_for(lambda: one.ping(two), "no traffic with the right key either", 20)


@pytest.mark.parametrize("first", ["ours", "wireguard-go"])
def test_wrong_preshared_key_and_the_ping_fails(cable: Bench, wireguard_go: Path, first: str) -> None:
    one, two = both(cable, wireguard_go, first)
    introduce(one, two, psk=run("wg", "genpsk").strip())
    two.add_peer(one, psk=run("wg", "genpsk").strip())
    assert not one.ping(two)
    assert one.handshake() == 0


@pytest.mark.parametrize("first", ["ours", "wireguard-go"])
def test_session_is_renewed_under_a_stream_without_loss(cable: Bench, wireguard_go: Path, first: str) -> None:
    """Ours believes that sessions are old after 2 s, so as initiator it renews them every REKEY_TIMEOUT."""
    one, two = both(cable, wireguard_go, first, SHORT_SESSIONS)
    introduce(one, two)
    ours = one if first == "ours" else two
    if ours is two:
        two.add_peer(one, outer=4, psk=None, persistent_keepalive="1")
        wait_for(two.handshake, "ours has not begun")
    answer = one.namespace.run("ping", "-n", "-c", "140", "-i", "0.05", "-W", "2", f"10.9.0.{two.number}", check=False)
    assert " 0% packet loss" in answer, answer
    assert ours.handshake() > 0
    assert len(handshakes(cable, wireguard_go)) >= 2


def handshakes(cable: Bench, wireguard_go: Path) -> list[str]:
    """wireguard-go logs each message of a handshake that it accepts."""
    (reference,) = (node for node in cable.nodes if node.program == wireguard_go)
    return re.findall(r"Received handshake (?:initiation|response)", reference.log.read_text())


@pytest.mark.parametrize("restarted", ["ours", "wireguard-go"])
def test_restarted_node_is_back_as_soon_as_it_speaks(cable: Bench, wireguard_go: Path, restarted: str) -> None:
    one, two = both(cable, wireguard_go, restarted)
    introduce(one, two)
    assert one.ping(two)
    one.stop()
    one.start()
    one.add_peer(two, outer=4)
    assert one.ping(two)
    transfer(two, one, mebibytes=1)


@pytest.mark.parametrize("roaming", ["ours", "wireguard-go"])
def test_endpoint_follows_the_other_to_a_new_port_and_address(cable: Bench, wireguard_go: Path, roaming: str) -> None:
    one, two = both(cable, wireguard_go, roaming)
    introduce(one, two)
    assert one.ping(two)

    one.set("listen-port", "40000")
    assert one.ping(two)
    assert two.show("endpoints") == one.endpoint(4, 40000)

    one.namespace.run("ip", "address", "del", "192.0.2.1/24", "dev", "veth0")
    one.namespace.run("ip", "address", "add", "192.0.2.77/24", "dev", "veth0")
    assert one.ping(two)
    assert two.show("endpoints") == "192.0.2.77:40000"
    assert two.ping(one)


def test_endpoint_follows_the_other_from_ipv4_to_ipv6_and_back(cable: Bench) -> None:
    """Between two of ours: wireguard-go loses packets when a peer changes families, even to another wireguard-go."""
    one, two = cable.node(1), cable.node(2)
    introduce(one, two)
    for outer in (4, 6, 4):
        one.set("peer", two.public_key, "endpoint", two.endpoint(outer))
        assert one.ping(two)
        assert two.show("endpoints") == one.endpoint(outer)
        assert two.ping(one)


def test_persistent_keepalive_begins_by_itself(cable: Bench, wireguard_go: Path) -> None:
    one, two = both(cable, wireguard_go, "ours")
    two.add_peer(one)
    one.add_peer(two, outer=4, persistent_keepalive="1")
    wait_for(two.handshake, "no handshake without traffic")
    before = int(two.show("transfer").split("\t")[0])
    wait_for(lambda: int(two.show("transfer").split("\t")[0]) >= before + 64, "no keepalives arrive")


def test_source_outside_of_the_allowed_ips_is_dropped(cable: Bench, wireguard_go: Path) -> None:
    one, two = both(cable, wireguard_go, "wireguard-go")
    introduce(one, two)
    assert one.ping(two)
    one.namespace.run("ip", "address", "add", "10.9.0.9/32", "dev", one.interface)
    assert not one.ping(two, 4, "-I", "10.9.0.9")
    two.set("peer", one.public_key, "allowed-ips", "10.9.0.1/32,10.9.0.9/32")
    assert one.ping(two, 4, "-I", "10.9.0.9")


def test_many_clients_ask_at_once_while_traffic_flows(cable: Bench, wireguard_go: Path) -> None:
    one, two = both(cable, wireguard_go, "ours")
    introduce(one, two)
    command = ["ip", "netns", "exec", one.namespace.name, "wg", "show", one.interface, "dump"]
    clients = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(12)]
    assert one.ping(two)
    answers = [client.communicate(timeout=10)[0] for client in clients]
    assert all(two.public_key in answer for answer in answers)
