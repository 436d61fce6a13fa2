"""`wgnode device` as wireguard-tools, ip and a supervisor see it."""

from __future__ import annotations

import base64
import errno
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tests.lab.interop import SOCKETS, Bench, Node, bench, run, stop, wait_for
from tests.lab.programs import OURS, RUN_OURS, Program
from wgnode.platform.linux import send_only

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
    """Of each family's socket that receives."""
    places = {line.split()[3].rpartition(":") for line in node.namespace.run("ss", "-Huln").splitlines()}
    return sorted(port for address, _, port in places if address.strip("[]") not in send_only.NOBODYS.values())


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


@pytest.mark.parametrize("outer", [4, 6])
def test_datagrams_carry_the_fwmark(cable: Bench, outer: int) -> None:
    one, two = cable.node(1), cable.node(2)
    two.add_peer(one)
    one.add_peer(two, outer=outer)
    one.namespace.run("ip", f"-{outer}", "rule", "add", "fwmark", "0x77", "unreachable")
    assert one.ping(two)
    one.set("fwmark", "0x77")
    assert not one.ping(two)
    one.set("fwmark", "off")
    assert one.ping(two)


def test_mtu_is_followed(cable: Bench) -> None:
    """Of peers with two addresses, which nobody asks: else the cable's own MTU would be found, and kept to."""
    one, two = cable.node(1), cable.node(2)
    two.add_peer(one)
    one.add_peer(two, outer=4)
    for each, other in ((one, two), (two, one)):
        allowed = ",".join(f"10.9.0.{host}/32,fd09::{host}/128" for host in (other.number, 99))
        each.set("peer", other.public_key, "allowed-ips", allowed)
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


def locked_kilobytes(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    (line,) = (line for line in status.splitlines() if line.startswith("VmLck:"))
    return int(line.split()[1])


def test_memory_is_locked_in_the_foreground_and_as_a_daemon(cable: Bench) -> None:
    node = cable.node(1)
    assert locked_kilobytes(node.process.pid) > 1000
    space, name = cable.spaces[1], f"wi{cable.name}b"
    space.run(sys.executable, "-c", "from wgnode.cli.device import main; main()", name, timeout=20)
    (pid,) = run("ip", "netns", "pids", space.name).split()
    wait_for(lambda: locked_kilobytes(int(pid)) > 1000, "the daemon has not locked its memory")


def test_memory_that_may_not_be_locked_is_said_and_the_node_runs(cable: Bench) -> None:
    ours = OURS.command

    def without_privilege(interface: str) -> Sequence[str | Path]:
        """The capabilities to lock memory and to raise limits are taken away."""
        return "prlimit", "--memlock=65536:65536", "setpriv", "--bounding-set=-ipc_lock,-sys_resource", *ours(interface)

    node = cable.node(1, Program("ours", without_privilege))
    assert locked_kilobytes(node.process.pid) == 0
    assert "memory is not locked: only 65536 bytes of it may be; keys may be swapped" in node.log.read_text()


def test_keys_are_neither_in_the_process_list_nor_in_the_log(cable: Bench) -> None:
    one, two = cable.node(1), cable.node(2)
    psk = run("wg", "genpsk").strip()
    two.add_peer(one, psk=psk)
    one.add_peer(two, outer=4, psk=psk)
    assert one.ping(two)
    with socket.socket(socket.AF_UNIX) as client:  # one hexadecimal digit too many
        client.connect(str(SOCKETS / f"{one.interface}.sock"))
        client.send(f"set=1\nprivate_key={base64.b64decode(one.private_key).hex()}0\n\n".encode())
        assert client.recv(100) == f"errno={-errno.EINVAL}\n\n".encode()
    listing = run("ps", "axeww")
    for node in (one, two):
        node.stop()
        said = node.log.read_text()
        assert "ending: SIGTERM" in said
        assert ("refused: " in said) is (node is one)
        for key in (one.private_key, two.private_key, psk):
            for text in (key, base64.b64decode(key).hex()):
                assert text not in said
                assert text not in listing


@pytest.mark.parametrize("allowed", ["10.9.0.2/32, fd09::2/128", "0.0.0.0/0, ::/0"])
def test_wg_quick_goes_up_and_down(cable: Bench, allowed: str) -> None:
    """With a default route wg-quick marks the node's own datagrams, and keeps them out of the tunnel by that."""
    other, name, space = cable.node(2), f"wi{cable.name}a", cable.spaces[0]
    private = run("wg", "genkey").strip()
    other.set("peer", run("wg", "pubkey", text=private).strip(), "allowed-ips", "10.9.0.1/32,fd09::1/128")
    file = other.directory / f"{name}.conf"
    file.touch(0o600)
    file.write_text(
        f"[Interface]\nPrivateKey = {private}\nAddress = 10.9.0.1/24, fd09::1/64\nMTU = 1380\n"
        f"[Peer]\nPublicKey = {other.public_key}\nEndpoint = {other.endpoint(4)}\nAllowedIPs = {allowed}\n"
    )
    program = Path(sys.executable).with_name("wgnode-device")
    quick = ("env", f"WG_QUICK_USERSPACE_IMPLEMENTATION={program}", "wg-quick")
    space.run(*quick, "up", file)
    assert "mtu 1380" in space.run("ip", "link", "show", name)
    for address in ("10.9.0.2", "fd09::2"):
        assert "bytes from" in space.run("ping", "-n", "-c", "3", "-i", "0.3", "-W", "2", address, check=False)
    assert other.public_key in space.run("wg", "show", name)
    assert "bytes from" in space.run("ping", "-n", "-c", "2", "-W", "2", "192.0.2.2", check=False)
    space.run(*quick, "down", file)
    wait_for(lambda: not (SOCKETS / f"{name}.sock").exists(), "the socket stays")
    wait_for(lambda: run("ip", "netns", "pids", space.name).split() == [], "the daemon stays")
    assert name not in space.run("ip", "link")
