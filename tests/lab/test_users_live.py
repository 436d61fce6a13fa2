"""Devices come and go while others talk: who goes is gone within a second, and nobody else loses a packet.

    [tablet] -- [phone: the internet] -- [gateway] ---- [switch] ---- [desk]

The gateway is told by its hostd, as an `up` has it told: layers on the disk, `apply`, answer. Counts and the record of
addresses are hostd's too.
"""

from __future__ import annotations

import contextlib
import json
import secrets
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.lab import programs
from tests.lab.interop import Namespace, wait_for
from tests.lab.scenarios.world import ping, udp_socket
from tests.lab.test_users import HELD, SECRET, cable, give, public_of
from tests.unit.topology.meshes import bundle_of, lans_of, topology_of, two_sites
from wgnode.cli import clientconfig
from wgnode.hostd import bundle
from wgnode.image.layers import config_layer, secrets_layer
from wgnode.nodeconfig import encode_key
from wgnode.topology import users
from wgnode.topology.compile import SiteFacts, compile_site
from wgnode.topology.users import Users

pytestmark = pytest.mark.lab
PROGRAM = Path(__file__).with_name("served_gateway.py")
ADDRESSES = {"phone": "10.1.0.130", "tablet": "10.1.0.131", "watch": "10.1.0.132"}
PACE = 0.005
"""Seconds between two packets of a stream."""
GONE = 1.0
"""Seconds after `up` in which the last packet of who was removed may arrive."""


@dataclass
class Office:
    folder: Path
    spaces: dict[str, Namespace]
    keys: Mapping[str, bytes] = field(default_factory=lambda: {name: secrets.token_bytes(32) for name in ADDRESSES})
    interfaces: Mapping[str, str] = field(
        default_factory=lambda: {name: f"w{secrets.token_hex(4)}" for name in ADDRESSES}
    )
    groups: Mapping[str, Any] = field(default_factory=lambda: {"staff": {"reach": "all"}})
    member: Mapping[str, str] = field(default_factory=dict)
    """Of which group each is, where it is not staff."""

    def bake(self, *names: str, address: Mapping[str, str] = ADDRESSES) -> None:
        """The layers that an `up` would write: these devices may connect."""
        raw = two_sites()
        raw["sites"]["berlin"]["endpoint"] = "172.31.255.254:51820"
        self.topology = topology_of(raw)
        people = {
            name: {
                "groups": [self.member.get(name, "staff")],
                "devices": {name: {"publicKey": encode_key(public_of(self.keys[name])), "addresses": [address[name]]}},
            }
            for name in names
        }
        facts = SiteFacts(("10.1.0.2", "fd00:10:1::2"), users=Users.of({"v4": "10.1.0.128/26"}, people, self.groups))
        self.config, keys = compile_site(self.topology, "berlin", bundle_of(self.topology, "berlin"), facts, SECRET)
        (self.folder / "secrets.cpio").write_bytes(secrets_layer(keys))
        (self.folder / "config.cpio").write_bytes(config_layer(self.config))

    def hostd(self, *words: str) -> dict[str, Any]:
        argv = [sys.executable, "-I", self.folder / "hostd.pyz", *words, "--socket", self.folder / "hostd.sock"]
        done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
        assert done.stdout, done.stderr
        return dict(json.loads(done.stdout))

    def up(self, *names: str, address: Mapping[str, str] = ADDRESSES) -> float:
        """When it was done, by the monotonic clock."""
        self.bake(*names, address=address)
        assert self.hostd("apply") == {"applied": self.config.digest}
        return time.monotonic()

    def connect(self, name: str) -> None:
        """By what `wgnode user add` prints."""
        private = self.keys[name]
        preshared = users.preshared_key(SECRET, public_of(private))
        lans = lans_of(self.topology, ADDRESSES[name])
        config = clientconfig.of_device(
            self.topology, "berlin", [ADDRESSES[name]], encode_key(private), preshared, lans
        )
        path = self.folder / f"{self.interfaces[name]}.conf"
        path.touch(0o600)
        path.write_text(config.text())
        userspace = programs.wireguard_go().command("")[0]
        self.spaces[name].run("env", f"WG_QUICK_USERSPACE_IMPLEMENTATION={userspace}", "wg-quick", "up", str(path))

    def counted(self, name: str) -> dict[str, Any]:
        """As `wgnode user show` has it: whoever asks for health has it counted."""
        self.hostd("health", "--json")
        listed = self.hostd("accounts")["accounts"]
        return next(dict(one) for one in listed if one["name"] == f"{name}/{name}")


@contextlib.contextmanager
def office(folder: Path, plane: str, *names: str, **said: Any) -> Iterator[Office]:
    """`said`: groups, and who is in which."""
    mark = secrets.token_hex(3)
    it = Office(folder, {}, **said)
    spaces = it.spaces
    running: list[subprocess.Popen[bytes]] = []
    try:
        it.bake(*names)
        for role in ("phone", "tablet", "gateway", "desk"):
            spaces[role] = Namespace(f"wgu-{mark}-{role}")
        cable(spaces["gateway"], "g0", spaces["phone"], "uplink", it.config.transit.mac)
        cable(spaces["gateway"], "g1", spaces["desk"], "eth0", it.config.lan.mac)
        cable(spaces["tablet"], "eth0", spaces["phone"], "t0", "02:00:00:00:00:09")
        give(spaces["phone"], "uplink", "172.31.255.253/30")
        give(spaces["phone"], "t0", "192.168.9.1/30")
        give(spaces["tablet"], "eth0", "192.168.9.2/30")
        give(spaces["desk"], "eth0", "10.1.0.7/24")
        spaces["tablet"].run("ip", "route", "add", "default", "via", "192.168.9.1")
        for router in ("phone", "gateway"):
            spaces[router].run("sysctl", "-qw", "net.ipv4.ip_forward=1")
        gateway = spaces["gateway"].spawn(
            sys.executable, PROGRAM, folder, log=folder / "gateway.log", WGNODE_DATAPLANE=plane
        )
        running.append(_hostd(folder))
        wait_for(lambda: it.hostd("health", "--json").get("live"), "the gateway does not start", 60)
        yield it
        assert gateway.poll() is None, (folder / "gateway.log").read_text()
    finally:
        for process in running:
            process.terminate()
            process.wait()
        for space in spaces.values():
            space.close()


def _hostd(folder: Path) -> subprocess.Popen[bytes]:
    (folder / "hostd.pyz").write_bytes(bundle.build())
    (folder / "state").mkdir()
    places = ("--run-directory", folder, "--state", folder / "state", "--baked", folder)
    with (folder / "hostd.log").open("ab") as log:
        argv = [sys.executable, "-I", folder / "hostd.pyz", "run", "--name", "gateway", *places]
        return subprocess.Popen(argv, stdout=log, stderr=log)


class Stream:
    """Numbered packets from one to the other, until it is stopped; `arrived` has their numbers and times."""

    def __init__(self, source: Namespace, own: str, target: Namespace, to: str, pace: float = PACE) -> None:
        self.pace = pace
        self.sender, self.receiver = udp_socket(source, own), udp_socket(target, to)
        self.receiver.settimeout(0.2)
        self.sent = 0
        self.arrived: list[tuple[int, float]] = []
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=each, daemon=True) for each in (self._send, self._receive)]
        for thread in self._threads:
            thread.start()

    def _send(self) -> None:
        where = self.receiver.getsockname()
        while not self._stop.wait(self.pace):
            with contextlib.suppress(OSError):  # unreachable, once the route is gone
                self.sender.sendto(struct.pack(">I", self.sent), where)
            self.sent += 1

    def _receive(self) -> None:
        while True:
            try:
                data = self.receiver.recv(100)
            except TimeoutError:
                if self._stop.is_set():
                    return
                continue
            self.arrived.append((struct.unpack(">I", data)[0], time.monotonic()))

    def flowing(self, more: int = 20) -> None:
        before = len(self.arrived)
        wait_for(lambda: len(self.arrived) >= before + more, "the stream does not flow")

    def stop(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()
        for each in (self.sender, self.receiver):
            each.close()

    @property
    def lost(self) -> set[int]:
        return set(range(self.sent)) - {number for number, _ in self.arrived}

    def last(self) -> float:
        return self.arrived[-1][1]


@pytest.mark.parametrize("plane", programs.PLANES)
@pytest.mark.sampled(1)
def test_devices_come_and_go_while_others_talk(plane: str, tmp_path: Path) -> None:
    programs.ours(plane)  # skips where it is not built
    with office(tmp_path, plane, "phone", "tablet") as it, contextlib.ExitStack() as ending:
        desk, phone, tablet = (it.spaces[name] for name in ("desk", "phone", "tablet"))
        for name in ("phone", "tablet"):
            it.connect(name)
            wait_for(lambda name=name: ping(desk, ADDRESSES[name], tries=1), f"nobody answers for {name}", HELD)
        steady = [
            Stream(tablet, ADDRESSES["tablet"], desk, "10.1.0.7"),
            Stream(desk, "10.1.0.7", tablet, ADDRESSES["tablet"]),
        ]
        going = [
            Stream(phone, ADDRESSES["phone"], desk, "10.1.0.7"),
            Stream(desk, "10.1.0.7", phone, ADDRESSES["phone"]),
        ]
        for stream in steady + going:
            ending.callback(stream.stop)
            stream.flowing()

        it.up("phone", "tablet", "watch")
        for stream in steady + going:
            stream.flowing()
        before = len(going[0].arrived)
        done = it.up("tablet", "watch")
        for stream in steady:
            stream.flowing(int(2 * GONE / PACE))
        assert [stream.last() < done + GONE for stream in going] == [True, True]
        assert "bytes from" not in phone.run("ping", "-n", "-c", "1", "-W", "1", "10.1.0.7", check=False)
        begun = time.time()
        it.up("tablet", "watch", address={**ADDRESSES, "watch": ADDRESSES["phone"]})
        it.up("tablet")

        ending.close()
        assert [stream.lost for stream in steady] == [set(), set()]
        assert min(len(stream.arrived) for stream in steady) > 2 * GONE / PACE

        counted, gone = it.counted("tablet"), it.counted("phone")
        assert counted["rx_packets"] >= steady[0].sent
        assert counted["tx_packets"] >= steady[1].sent
        assert gone["rx_packets"] >= before, "read before it went"
        assert gone["left"] is not None

        former, latter = it.hostd("holders", ADDRESSES["phone"])["holdings"]
        assert (former["name"], latter["name"]) == ("phone/phone", "watch/watch")
        assert former["ended"][1] < begun <= latter["begun"][0] <= latter["begun"][1] <= latter["ended"][0]
        port = tablet.run("wg", "show", it.interfaces["tablet"], "listen-port").strip()
        assert [one[0] for one in counted["endpoints"]] == [f"192.168.9.2:{port}"]
