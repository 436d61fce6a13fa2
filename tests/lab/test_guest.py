"""Two real guests under QEMU, each with a LAN and a client, in network namespaces of their own.

client a -- [lan a] guest a [wan] ---- bridge ---- [wan] guest b [lan b] -- client b
                                         |
                       [wan] guest c: knows its peer by a name
"""

from __future__ import annotations

import base64
import json
import os
import secrets
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from tests.lab.guest import Guest, sh, two_configs, unpack
from wgnode.image import extension
from wgnode.image.best import build_best
from wgnode.image.build import PROJECT, cache_directory, listing
from wgnode.nodeconfig import NodeConfig, NodeSecrets, expected_live_digest

pytestmark = pytest.mark.lab


@pytest.fixture(scope="module")
def image() -> Path:
    return Path(build_best(renew_if_gone=True).path)


class Network:
    """The namespaces: `core` with bridges and guests, one for each client."""

    def __init__(self, directory: Path, image: Path) -> None:
        self.prefix = f"wgt{os.getpid()}-{secrets.token_hex(2)}"
        self.core = f"{self.prefix}-core"
        self.directory = directory
        self.parts = unpack(image, directory)
        self.guests: dict[str, Guest] = {}

    def client(self, letter: str) -> str:
        return f"{self.prefix}-{letter}"

    def up(self) -> None:
        sh("ip", "netns", "add", self.core)
        self._in_core("ip link set lo up", "ip link add wan type bridge", "ip link set wan up")
        self._in_core("ip addr add 192.0.2.254/24 dev wan")
        for number, letter in ((1, "a"), (2, "b"), (3, "c")):
            client = self.client(letter)
            sh("ip", "netns", "add", client)
            self._in_core(
                f"ip tuntap add wan-{letter} mode tap",
                f"ip link set wan-{letter} master wan up",
                f"ip link add br-{letter} type bridge",
                f"ip link set br-{letter} up",
                f"ip tuntap add lan-{letter} mode tap",
                f"ip link set lan-{letter} master br-{letter} up",
                f"ip link add v-{letter} type veth peer name eth0 netns {client}",
                f"ip link set v-{letter} master br-{letter} up",
            )
            for command in (
                "ip link set lo up",
                "ip link set eth0 up",
                f"ip addr add 10.{number}.0.100/24 dev eth0",
                f"ip -6 addr add fd00:10:{number}::100/64 dev eth0 nodad",
                f"ip route add default via 10.{number}.0.2",
                f"ip -6 route add default via fd00:10:{number}::2",
            ):
                sh("ip", "netns", "exec", client, *command.split())

    def _in_core(self, *commands: str) -> None:
        for command in commands:
            sh("ip", "netns", "exec", self.core, *command.split())

    def down(self) -> None:
        for guest in self.guests.values():
            guest.stop()
        for name in (self.core, *(self.client(letter) for letter in "abc")):
            sh("ip", "netns", "del", name, check=False)

    def add(self, name: str, config: NodeConfig, node_secrets: NodeSecrets, damaged: bytes | None = None) -> Guest:
        """Booting already, with its hostd."""
        directory = self.directory / name
        directory.mkdir()
        guest = self.guests[name] = Guest(self.parts, self.core, name, config, node_secrets, directory)
        guest.boot(damaged)
        guest.start_hostd()
        return guest

    def wait_for_path(self, letter: str, target: str, limit: float = 40) -> None:
        """A peer that was restarted is found again after KEEPALIVE_TIMEOUT + REKEY_TIMEOUT, 15 seconds."""
        deadline = time.monotonic() + limit
        while not self.ping(letter, target, 1):
            assert time.monotonic() < deadline, f"no path from client {letter} to {target}"

    def ping(self, letter: str, target: str, count: int = 3) -> bool:
        command = ["ip", "netns", "exec", self.client(letter), "ping", "-n", "-c", str(count), "-i", "0.2", "-W", "2"]
        return sh(*command, target, check=False).returncode == 0


@pytest.fixture(scope="module")
def network(image: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Network]:
    made = Network(tmp_path_factory.mktemp("guests"), image)
    try:
        made.up()
        a, b = two_configs()
        made.add("a", *a).wait_for_status()
        made.add("b", *b).wait_for_status()
        yield made
    finally:
        made.down()


def test_two_guests_talk_through_the_tunnel_in_both_families(network: Network) -> None:
    network.wait_for_path("b", "10.1.0.100")
    assert network.ping("a", "fd00:10:2::100")
    assert network.ping("a", "10.77.0.2"), "the other gateway's own tunnel address"


def test_process_1_is_our_interpreter_and_runs_what_was_baked_in(network: Network) -> None:
    guest = network.guests["a"]
    health = guest.health()
    assert health["pid1"] == {
        "pid": 1,
        "exe": "/usr/bin/python3.13",
        "argv": ["/usr/bin/python3.13", "-ISBu", "/init"],
    }
    assert health["dataplane"] == ("fast" if extension.files() else "python")
    assert health["loaded"] == guest.config.digest
    assert health["live"] == expected_live_digest(guest.config, guest.secrets)
    assert [peer["name"] for peer in health["peers"]] == ["b"]


CONFINED = {
    "command-line": "known",
    "lockdown": "integrity",
    "threads": "1",
    "modules": "1",
    "kexec": "1",
    "ptrace": "3",
    "io-uring": "2",
    "user-namespaces": "0",
    "perf-events": "3",
    "file-systems": "read-only",
    "capabilities": "0000000002403400",
    "no-new-privileges": "1",
    "seccomp": "2",
}


def test_the_running_node_has_given_up_what_it_does_not_need(network: Network) -> None:
    """As its kernel says: /proc/1/status, /proc/self/mounts, /proc/sys (confine.py)."""
    for guest in network.guests.values():
        health = guest.health()
        assert (health["confinement"], health["unconfined"]) == (CONFINED, [])
        assert "confinement" not in guest.console


def test_the_compiled_data_plane_takes_what_kernel_and_cpu_of_the_guest_have(network: Network) -> None:
    """An emulated CPU has no AVX-512."""
    if not extension.files():
        pytest.skip("the compiled data plane is not there (not installed), so not in the image either")
    guest = network.guests["a"]
    assert guest.health()["offloads"] == ["vnet_header", "tso4", "tso6", "uso"]
    assert "data plane: fast (ring, because this CPU lacks avx512f" in guest.console


def test_the_kernel_command_line_chooses_the_data_plane_and_both_understand_each_other(network: Network) -> None:
    guest = network.guests["b"]
    guest.stop()
    guest.cmdline = "WGNODE_DATAPLANE=python"
    guest.boot()
    guest.start_hostd()
    health = guest.wait_for_status()
    assert (health["dataplane"], health["offloads"]) == ("python", [])
    assert health["confinement"] == CONFINED
    assert "data plane: python (as asked for), threads: 1; interface: plain" in guest.console
    network.wait_for_path("b", "10.1.0.100")
    assert network.ping("a", "fd00:10:2::100")
    (peer,) = guest.health()["peers"]
    assert (peer["path_mtu"]["size"], peer["path_mtu"]["evidence"]) == (1500, "probe"), "found by itself, and told"
    guest.cmdline = ""


def test_wg_shows_a_gateway_to_five_clients_at_once(network: Network) -> None:
    """`wg` looks in /run/wireguard, so each client sees the guest's directory there."""
    guest = network.guests["b"]
    network.wait_for_path("b", "10.1.0.100")
    (guest.directory / "b.sock").unlink(missing_ok=True)
    (guest.directory / "b.sock").symlink_to("uapi.sock")
    script = f"mkdir -p /run/wireguard && mount --bind {guest.directory} /run/wireguard && exec wg show b dump"

    def show(_: int) -> str:
        return sh("unshare", "--mount", "sh", "-c", script).stdout

    with ThreadPoolExecutor(5) as clients:
        answers = list(clients.map(show, range(10)))
    for answer in answers:
        own, peer = answer.splitlines()
        assert own.split("\t")[1] == base64.b64encode(guest.config.public_keys[0]).decode()
        assert peer.split("\t")[2] == "192.0.2.1:51820"
        assert int(peer.split("\t")[4]) > time.time() - 200, "the last handshake, in the host's time"


def test_the_guest_has_the_hosts_time(network: Network) -> None:
    """A message that was late on a busy machine is made up for as soon as a report shows it."""
    deadline = time.monotonic() + 40
    while True:
        before = time.time()
        told = float(str(network.guests["a"].health()["time"]))
        if before - 1 < told < time.time() + 1:
            return
        assert time.monotonic() < deadline, f"the guest's clock is {told - before:+.1f} s off"
        time.sleep(0.2)


def test_secrets_are_nowhere_but_in_their_layer(network: Network) -> None:
    for guest in network.guests.values():
        key = base64.b64encode(guest.secrets.private_keys[0]).decode()
        texts = [guest.console, (guest.directory / "log").read_text(), json.dumps(guest.health())]
        assert not any(key in text or guest.secrets.private_keys[0].hex() in text for text in texts)


def test_hostd_finds_the_guest_again_after_a_restart_of_either(network: Network) -> None:
    """This one's filter only logs, as the command line says, and that is told."""
    guest = network.guests["a"]
    guest.stop()
    guest.cmdline = "WGNODE_SECCOMP=log"
    guest.boot()
    guest.start_hostd()
    assert guest.wait_for_status()["unconfined"] == ["seccomp"]
    assert "warning: confinement: seccomp is log" in guest.console
    guest.cmdline = ""
    hostd = guest.processes.pop()
    hostd.kill()
    hostd.wait(10)
    assert guest.health(check=False)["status"] == "unreachable"
    guest.start_hostd()
    guest.wait_for_status()


def test_a_gateway_that_starts_anew_calls_peers_that_have_no_endpoint_where_they_were(network: Network) -> None:
    """Guest b is unknown to the configuration of a, and with nothing to send would notice only at its next renewal."""
    guest = network.guests["a"]
    network.wait_for_path("b", "10.1.0.100")
    guest.health()
    guest.stop()
    guest.boot()
    guest.start_hostd()
    guest.wait_for_status()
    network.wait_for_path("a", "10.2.0.100", limit=10)


def test_an_endpoint_given_as_a_name_is_resolved_by_the_host(network: Network) -> None:
    config, node_secrets = two_configs()[1]
    named = replace(config.peers[0], endpoint="localhost:51820")
    guest = network.add("c", replace(config, name="c", peers=(named,)), node_secrets)
    guest.wait_for_status()
    deadline = time.monotonic() + 20
    while guest.health()["peers"][0]["endpoint"] not in ("127.0.0.1:51820", "[::1]:51820"):
        assert time.monotonic() < deadline
        time.sleep(0.2)
    assert guest.health()["live"] == expected_live_digest(guest.config, guest.secrets), "an endpoint is no drift"
    guest.stop()


@pytest.mark.parametrize("damage", ["cut off", "not JSON"])
def test_a_corrupt_configuration_says_so_and_stays_reachable(network: Network, damage: str) -> None:
    sound = network.guests["a"]
    whole = sound.config.to_json()
    blob = {"cut off": whole[: len(whole) // 2], "not JSON": b"\0" * 300}[damage]
    guest = network.add(damage.replace(" ", "-"), sound.config, sound.secrets, blob)
    health = guest.wait_for_status("failed")
    assert "node configuration" in health["error"]
    assert "error: the node does not run: node configuration" in guest.console
    assert base64.b64encode(guest.secrets.private_keys[0]).decode() not in guest.console
    guest.stop()


def test_the_image_has_no_shell_and_no_kernel_wireguard(image: Path) -> None:
    names = [line.split(" ")[-1] for line in listing(image)]
    assert "usr/bin/python3.13" in names
    executables = [name for name in names if name.split("/")[-2:-1] in (["bin"], ["sbin"])]
    assert executables == ["usr/bin/python3.13"]
    assert not [name for name in names if "wireguard" in name]


def test_two_builders_give_the_same_bytes(image: Path, tmp_path: Path) -> None:
    """From another clone with other times, as another user, with another umask, language, time zone and home."""
    first = build_best(renew_if_gone=True)
    clone = another_clone(tmp_path / "somebody else's" / "clone")
    done = subprocess.run(
        [*UNPRIVILEGED, sys.executable, "-c", BUILD_THERE, clone / "build"],
        cwd=tmp_path,
        env={**ANOTHER_DEVELOPER, "PATH": os.environ["PATH"], "PYTHONPATH": str(clone), "XDG_CACHE_HOME": str(CACHE)},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    second = json.loads(done.stdout.splitlines()[-1])
    assert (second["fresh"], second["sha256"]) == (True, first.sha256)


def another_clone(folder: Path) -> Path:
    """The image's sources, an hour in the future."""
    shutil.copytree(PROJECT / "wgnode", folder / "wgnode", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("image.lock", "requirements.lock"):
        shutil.copy(PROJECT / name, folder)
    later = time.time() + 3600
    for path in folder.rglob("*"):
        os.utime(path, (later, later))
    return folder


UNPRIVILEGED = ("unshare", "--user", "--map-user=1234", "--map-group=1234")
ANOTHER_DEVELOPER = {"HOME": "/nonexistent", "LC_ALL": "C", "TZ": "Asia/Tokyo", "PYTHONHASHSEED": "7", "USER": "else"}
BUILD_THERE = """
import json, os, sys
from dataclasses import asdict
from pathlib import Path
os.umask(0o077)
from wgnode.image import best
assert not best.FOLDER.exists(), "another clone's modules"
print(json.dumps(asdict(best.build_best(folder=Path(sys.argv[1]), renew_if_gone=True))))
"""
CACHE = cache_directory().parent


def test_a_finished_image_is_not_built_again(image: Path) -> None:
    build_best(renew_if_gone=True)
    assert not build_best(renew_if_gone=True).fresh
