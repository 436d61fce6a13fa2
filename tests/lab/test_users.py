"""A person's device has an address of the LAN: seen there as itself, found without a route, and taken from nobody.

    [phone] 172.31.255.253 ---- 172.31.255.254 [gateway] 10.1.0.2 ---- [switch] ---- 10.1.0.7 [desk]
       10.1.0.130 in the tunnel                                            +-------- 10.1.0.8 [printer]

The configuration is compiled as a site's is, and what the phone runs is what `wgnode user add` prints, by wg-quick.
"""

from __future__ import annotations

import contextlib
import secrets
import socket
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from tests.lab import programs
from tests.lab.interop import PATIENCE, Namespace, run, wait_for
from tests.lab.scenarios.world import ping, udp_socket
from tests.unit.topology.meshes import bundle_of, lans_of, topology_of, two_sites
from wgnode.cli import clientconfig
from wgnode.nodeconfig import NodeConfig, NodeSecrets, encode_key
from wgnode.responder.packets import Kind, heard, probe
from wgnode.topology import users
from wgnode.topology.compile import SiteFacts, compile_site
from wgnode.topology.model import Topology
from wgnode.topology.users import Users

pytestmark = pytest.mark.lab
PROGRAM = Path(__file__).with_name("pool_gateway.py")
SECRET = bytes(range(32))
PHONE = ("10.1.0.130", "fd00:10:1::1001")
FREE = ("10.1.0.131", "fd00:10:1::1002")
HELD = 12.0
"""Seconds in which an address is probed and held, on a busy machine."""
MACHINE_MAC = "02:00:00:00:00:07"


@dataclass
class Office:
    """`topology` is what the gateway was compiled of."""

    topology: Topology
    spaces: dict[str, Namespace]
    log: Path
    directory: Path
    private_key: bytes

    def phone_up(self) -> None:
        """By what `wgnode user add` prints, word for word."""
        private, public = self.private_key, public_of(self.private_key)
        preshared = users.preshared_key(SECRET, public)
        lans = lans_of(self.topology, *PHONE)
        config = clientconfig.of_device(self.topology, "berlin", PHONE, encode_key(private), preshared, lans)
        path = self.directory / f"w{secrets.token_hex(4)}.conf"
        path.touch(0o600)
        path.write_text(config.text())
        userspace = programs.wireguard_go().command("")[0]
        self.spaces["phone"].run("env", f"WG_QUICK_USERSPACE_IMPLEMENTATION={userspace}", "wg-quick", "up", str(path))

    def said(self) -> str:
        return self.log.read_text()


def public_of(private: bytes) -> bytes:
    return X25519PrivateKey.from_private_bytes(private).public_key().public_bytes_raw()


def compiled(private: bytes, reach: str, **changes: object) -> tuple[Topology, NodeConfig, NodeSecrets]:
    raw = two_sites()
    raw["sites"]["berlin"]["endpoint"] = "172.31.255.254:51820"
    topology = topology_of(raw)
    phone = {"publicKey": encode_key(public_of(private)), "addresses": list(PHONE)}
    people = Users.of(
        {"v4": "10.1.0.128/26", "v6": "fd00:10:1::1000/116"},
        {"alice": {"groups": ["staff"], "devices": {"phone": phone}, **changes}},
        {"staff": {"reach": "all"}},
    )
    facts = SiteFacts(("10.1.0.2", "fd00:10:1::2"), reach=reach, users=people)  # type: ignore[arg-type]
    config, keys = compile_site(topology, "berlin", bundle_of(topology, "berlin"), facts, SECRET)
    return topology, config, keys


@contextlib.contextmanager
def office(directory: Path, plane: str, reach: str = "host-route", **changes: object) -> Iterator[Office]:
    private = secrets.token_bytes(32)
    topology, config, keys = compiled(private, reach, **changes)
    name = secrets.token_hex(3)
    spaces = {}
    try:
        for role in ("phone", "gateway", "switch", "desk", "printer"):
            spaces[role] = Namespace(f"wgu-{name}-{role}")
        cable(spaces["gateway"], "g0", spaces["phone"], "uplink", config.transit.mac)
        cable(spaces["gateway"], "g1", spaces["switch"], "p0", config.lan.mac)
        cable(spaces["desk"], "eth0", spaces["switch"], "p1", MACHINE_MAC)
        cable(spaces["printer"], "eth0", spaces["switch"], "p2", "02:00:00:00:00:08")
        switch = spaces["switch"]
        switch.run("ip", "link", "add", "br0", "type", "bridge")
        for port in ("p0", "p1", "p2"):
            switch.run("ip", "link", "set", port, "master", "br0", "up")
        switch.run("ip", "link", "set", "br0", "up")
        give(spaces["phone"], "uplink", "172.31.255.253/30")
        give(spaces["desk"], "eth0", "10.1.0.7/24", "fd00:10:1::7/64")
        give(spaces["printer"], "eth0", "10.1.0.8/24", "fd00:10:1::8/64")
        gateway = spaces["gateway"]
        gateway.run("sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1")
        (directory / "config").write_bytes(config.to_json())
        (directory / "secrets").write_bytes(keys.to_json())
        made = Office(topology, spaces, directory / "gateway.log", directory, private)
        start = (sys.executable, PROGRAM, directory / "config", directory / "secrets")
        process = gateway.spawn(*start, log=made.log, WGNODE_DATAPLANE=plane)
        wait_for(lambda: "berlin up" in made.said(), "the gateway does not start", 60)
        yield made
        assert process.poll() is None, made.said()
    finally:
        for space in spaces.values():
            space.close()


def cable(one: Namespace, end: str, two: Namespace, other: str, mac: str) -> None:
    """`mac` is that of the first end."""
    run("ip", "link", "add", end, "netns", one.name, "address", mac, "type", "veth", "peer", "name", other,
        "netns", two.name)  # fmt: skip


def give(space: Namespace, interface: str, *addresses: str) -> None:
    for address in addresses:
        space.run("ip", "address", "add", address, "dev", interface, *(["nodad"] if ":" in address else []))
    space.run("ip", "link", "set", interface, "up")


def answered(space: Namespace, address: str, seconds: float = 1.0) -> bool:
    """Whether anybody defends an address that is probed, as `arping -D` or a DHCP client would."""
    protocol = 0x0806 if "." in address else 0x86DD
    wire = space.call(lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(protocol)))
    with wire:
        wire.bind(("eth0", protocol))
        wire.settimeout(seconds)
        wire.send(probe(bytes.fromhex(MACHINE_MAC.replace(":", "")), ip_address(address)))
        with contextlib.suppress(TimeoutError):
            while True:
                frame = wire.recv(2048)
                if any(one.kind is Kind.CLAIMED and one.address == ip_address(address) for one in heard(frame)):
                    return True
    return False


def found(space: Namespace, address: str) -> bool:
    """Whether anybody says to have it, asked as a machine does that wants to send something there."""
    space.run("ping", "-n", "-c", "1", "-W", "1", address, check=False)
    return "lladdr" in space.run("ip", "neigh", "show", address)


@pytest.mark.parametrize(
    ("plane", "reach"), [*((plane, "host-route") for plane in programs.PLANES), (programs.PLANES[0], "masquerade")]
)
def test_a_phone_is_seen_in_the_lan_as_itself_and_found_there_without_a_route(
    plane: str, reach: str, tmp_path: Path
) -> None:
    programs.ours(plane)  # skips where it is not built
    with office(tmp_path, plane, reach) as it:
        desk, phone = it.spaces["desk"], it.spaces["phone"]
        it.phone_up()
        for near, far, own in (("10.1.0.7", 4, PHONE[0]), ("fd00:10:1::7", 6, PHONE[1])):
            with udp_socket(desk, near) as listening, udp_socket(phone, own) as sending:
                wait_for(lambda far=far, own=own: ping(desk, own, f"-{far}", tries=1), "nobody answers for it", HELD)
                sending.sendto(b"hello", listening.getsockname()[:2])
                data, source = listening.recvfrom(100)
                assert (data, source[0]) == (b"hello", own)
                listening.sendto(b"and back", source)
                assert sending.recv(100) == b"and back"
        assert "via" not in desk.run("ip", "route", "get", PHONE[0]), "no route was added"


def test_probes_are_answered_for_exactly_what_a_device_has_and_a_new_machine_is_turned_away(tmp_path: Path) -> None:
    with office(tmp_path, programs.PLANES[0]) as it:
        desk, printer = it.spaces["desk"], it.spaces["printer"]
        for own, free in zip(PHONE, FREE, strict=True):
            wait_for(lambda own=own: found(desk, own), f"nobody answers for {own}", HELD)
            assert answered(desk, own)
            assert not answered(desk, free), "of the pool, and no device's"
        printer.run("ip", "address", "add", f"{PHONE[1]}/64", "dev", "eth0")
        wait_for(
            lambda: "dadfailed" in printer.run("ip", "-6", "address", "show", "dev", "eth0"),
            "the kernel's own duplicate address detection finds it",
        )


@pytest.mark.parametrize("reach", ["host-route", "proxy-arp"])
def test_what_another_machine_has_is_left_to_it_and_the_device_is_shut_out_by_name(reach: str, tmp_path: Path) -> None:
    with office(tmp_path, programs.PLANES[0], reach) as it:
        desk, printer, phone = (it.spaces[role] for role in ("desk", "printer", "phone"))
        give(printer, "eth0", f"{PHONE[0]}/24")
        desk.run("ip", "neigh", "flush", "dev", "eth0")
        wait_for(lambda: f"alice/phone: {PHONE[0]} is 02:00:00:00:00:08's in the LAN" in it.said(), it.said(), HELD)
        wait_for(lambda: "alice/phone is refused: its address is another machine's" in it.said(), "not refused")
        desk.run("ip", "neigh", "flush", "dev", "eth0")
        assert ping(desk, PHONE[0])
        assert "02:00:00:00:00:08" in desk.run("ip", "neigh", "show", PHONE[0])
        assert PHONE[0] not in it.spaces["gateway"].run("ip", "route", "show", "dev", "wg0")
        it.phone_up()
        assert "bytes from" not in phone.run("ping", "-n", "-c", "1", "-W", "1", "10.1.0.7", check=False)
        assert ping(desk, "10.1.0.2"), "all others go on"
        assert it.said().count("is 02:00:00:00:00:08's in the LAN") == 1


def test_a_phone_whose_time_is_over_is_refused_by_the_gateways_clock(tmp_path: Path) -> None:
    soon = "2026-01-01"
    with office(tmp_path, programs.PLANES[0], expires=soon) as it:
        it.phone_up()
        wait_for(lambda: "alice/phone is refused: expired" in it.said(), "not refused", PATIENCE)
        assert "bytes from" not in it.spaces["phone"].run("ping", "-n", "-c", "1", "-W", "1", "10.1.0.7", check=False)
