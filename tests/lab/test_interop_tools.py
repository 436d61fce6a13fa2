"""`wgnode device` as wireguard-tools, ip and a supervisor see it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab.interop import SOCKETS, Bench, Node, bench, run, stop, wait_for
from tests.lab.programs import RUN_OURS

pytestmark = pytest.mark.lab

PEER, OTHER = "8Z9M3AfUEMF5vXFIcGy1xQ0RnA3JzeKRrZYnFPLhjiU=", "mXsAyVOwnR4UlOzpXqsd7T9YUBfbhvRVD9TnxZLIajQ="
HOLD_PORT_4000 = """
import socket, time
s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
s.bind(("::", 4000))
time.sleep(60)
"""


@pytest.fixture
def cable(tmp_path: Path) -> Iterator[Bench]:
    with bench(tmp_path) as made:
        yield made


@pytest.fixture
def node(cable: Bench) -> Node:
    return cable.node(1)


def udp_ports(node: Node) -> list[str]:
    listing = node.namespace.run("ss", "-Huln")
    return sorted(line.split()[3].rpartition(":")[2] for line in listing.splitlines())


def interface_exists(node: Node) -> bool:
    return bool(node.namespace.run("ip", "link", "show", "dev", node.interface, check=False))


def test_settings_come_back_from_wg_show_and_showconf(node: Node) -> None:
    psk = run("wg", "genpsk").strip()
    node.set("fwmark", "0x5", "peer", PEER, "preshared-key", node.file("psk", psk), "endpoint", "[2001:db8::2]:7",
             "persistent-keepalive", "25", "allowed-ips", "10.0.0.0/8,fd00::/64")  # fmt: skip
    first, second = node.wg("show", node.interface, "dump").splitlines()
    assert first.split("\t") == [node.private_key, node.public_key, "51820", "0x5"]
    peer = second.split("\t")
    assert peer[:5] == [PEER, psk, "[2001:db8::2]:7", "10.0.0.0/8,fd00::/64", "0"]
    assert peer[7] == "25"
    assert f"interface: {node.interface}" in node.wg("show")
    shown = node.wg("showconf", node.interface)
    for line in (f"PrivateKey = {node.private_key}", "ListenPort = 51820", "FwMark = 0x5", f"PublicKey = {PEER}",
                 f"PresharedKey = {psk}", "AllowedIPs = 10.0.0.0/8, fd00::/64", "Endpoint = [2001:db8::2]:7",
                 "PersistentKeepalive = 25"):  # fmt: skip
        assert line in shown


def test_setconf_replaces_and_addconf_adds_and_syncconf_keeps(node: Node) -> None:
    node.set("peer", PEER, "allowed-ips", "10.0.0.0/8")
    interface = f"[Interface]\nPrivateKey = {node.private_key}\nListenPort = 51821\n"
    replaced = node.file("conf", interface + f"[Peer]\nPublicKey = {OTHER}\nAllowedIPs = 10.1.0.0/16\n")
    node.wg("setconf", node.interface, replaced)
    assert node.wg("show", node.interface, "allowed-ips").strip() == f"{OTHER}\t10.1.0.0/16"
    assert node.wg("show", node.interface, "listen-port").strip() == "51821"

    added = node.file("conf", f"[Peer]\nPublicKey = {PEER}\nAllowedIPs = 10.2.0.0/16\nEndpoint = 192.0.2.2:9\n")
    node.wg("addconf", node.interface, added)
    assert len(node.wg("show", node.interface, "peers").splitlines()) == 2

    # Peers that the file leaves out go; of others, what it says replaces what was, and an unmentioned endpoint stays.
    synced = node.file("conf", interface + f"[Peer]\nPublicKey = {PEER}\nAllowedIPs = 10.3.0.0/16\n")
    node.wg("syncconf", node.interface, synced)
    assert node.wg("show", node.interface, "endpoints").strip() == f"{PEER}\t192.0.2.2:9"
    assert node.wg("show", node.interface, "allowed-ips").strip() == f"{PEER}\t10.3.0.0/16"

    node.set("peer", PEER, "remove")
    assert node.wg("show", node.interface, "peers") == ""


def test_sockets_are_open_while_the_link_is_up(node: Node) -> None:
    wait_for(lambda: udp_ports(node) == ["51820", "51820"], "not listening")
    node.namespace.run("ip", "link", "set", node.interface, "down")
    wait_for(lambda: udp_ports(node) == [], "still listening")
    assert node.wg("show", node.interface, "listen-port").strip() == "51820"
    node.set("listen-port", "51830")
    node.namespace.run("ip", "link", "set", node.interface, "up")
    wait_for(lambda: udp_ports(node) == ["51830", "51830"], "not listening again")


def test_listen_port_changes_live_and_keeps_the_old_one_when_refused(node: Node) -> None:
    wait_for(lambda: udp_ports(node) == ["51820", "51820"], "not listening")
    node.namespace.spawn(sys.executable, "-c", HOLD_PORT_4000)
    wait_for(lambda: "4000" in udp_ports(node), "the port is not taken")
    assert "Address already in use" in wg_error(node, "listen-port", "4000")
    assert udp_ports(node) == ["4000", "51820", "51820"]
    node.set("listen-port", "0")
    ports = [port for port in udp_ports(node) if port != "4000"]
    assert ports == [node.wg("show", node.interface, "listen-port").strip()] * 2
    assert ports != ["51820"] * 2


def wg_error(node: Node, *words: str) -> str:
    command = ["ip", "netns", "exec", node.namespace.name, "wg", "set", node.interface, *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode
    return done.stderr


def test_datagrams_carry_the_fwmark(cable: Bench) -> None:
    one, two = cable.node(1), cable.node(2)
    two.add_peer(one)
    one.add_peer(two, outer=4)
    one.namespace.run("ip", "rule", "add", "fwmark", "0x77", "unreachable")
    assert one.ping(two)
    one.set("fwmark", "0x77")
    assert not one.ping(two)
    one.set("fwmark", "off")
    assert one.ping(two)


def test_mtu_is_followed(cable: Bench) -> None:
    one, two = cable.node(1), cable.node(2)
    two.add_peer(one)
    one.add_peer(two, outer=4)
    assert one.ping(two)
    for mtu in (9000, 1299):
        for each in (one, two):
            each.namespace.run("ip", "link", "set", each.interface, "mtu", str(mtu))
        assert one.ping(two, 4, "-s", str(mtu - 28), "-M", "do")
        assert not one.ping(two, 4, "-s", str(mtu - 27), "-M", "do")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_cleanly(node: Node, number: int) -> None:
    assert stop(node.process, number) == 0
    assert not (SOCKETS / f"{node.interface}.sock").exists()
    assert not interface_exists(node)


def test_it_ends_when_the_interface_is_removed(node: Node) -> None:
    node.namespace.run("ip", "link", "del", node.interface)
    assert node.process.wait(5) == 0
    assert not (SOCKETS / f"{node.interface}.sock").exists()


def test_it_ends_when_the_socket_is_removed(node: Node) -> None:
    (SOCKETS / f"{node.interface}.sock").unlink()
    assert node.process.wait(5) == 0
    assert not interface_exists(node)


def test_a_second_one_on_the_same_name_says_why_it_can_not(node: Node) -> None:
    command = [
        "ip",
        "netns",
        "exec",
        node.namespace.name,
        sys.executable,
        "-c",
        RUN_OURS,
        "device",
        node.interface,
        "-f",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=20)
    assert done.returncode == 1
    assert "the interface is in use by another process" in done.stderr
    assert node.wg("show", node.interface)


def test_it_takes_over_from_one_that_was_killed(node: Node) -> None:
    node.process.kill()
    node.process.wait()
    assert (SOCKETS / f"{node.interface}.sock").exists()
    node.start()
    assert udp_ports(node)


def test_it_becomes_a_daemon_unless_told_to_stay(cable: Bench) -> None:
    name = f"wi{cable.name}b"
    space = cable.spaces[1]
    space.run(sys.executable, "-c", "from wgnode.cli.device import main; main()", name, timeout=20)
    assert f"interface: {name}" in space.run("wg", "show", name)
    pids = [int(pid) for pid in run("ip", "netns", "pids", space.name).split()]
    assert len(pids) == 1
    assert os.getsid(pids[0]) != os.getsid(0)
    os.kill(pids[0], signal.SIGTERM)
    wait_for(lambda: not (SOCKETS / f"{name}.sock").exists(), "the daemon does not end")


def test_a_client_in_the_middle_of_a_line_keeps_neither_others_nor_traffic(cable: Bench) -> None:
    one, two = cable.node(1), cable.node(2)
    two.add_peer(one)
    one.add_peer(two, outer=6)
    with socket.socket(socket.AF_UNIX) as slow:
        slow.connect(str(SOCKETS / f"{one.interface}.sock"))
        slow.send(b"set=1\nprivate_k")
        assert one.ping(two)
        assert two.public_key in one.wg("show", one.interface)


def test_memory_is_not_for_others(node: Node) -> None:
    limits = Path(f"/proc/{node.process.pid}/limits").read_text()
    (core,) = (line for line in limits.splitlines() if line.startswith("Max core file size"))
    assert core.split()[4:6] == ["0", "0"]
