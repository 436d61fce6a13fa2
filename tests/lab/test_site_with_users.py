"""A deployed site with people's devices, from the line that `wgnode user add` writes to a host that was rebooted.

    [alice's phone]  198.18.5.2 ──┐
    [bob's tablet]   198.18.6.2 ── [internet] ── wan0 [berlin's host, its gateway] ── 10.1.0.100 [berlin.client]
    [carol's laptop] 198.18.7.2 ──┘        └──── wan0 [cabin's host, its gateway] ─── 10.2.0.100 [cabin.client]

alice and carol are staff, who reach all and leave by public addresses of their own; bob is a guest, who may send UDP
into the LAN. Each device runs by wg-quick what the command has printed, word for word.
"""

from __future__ import annotations

import contextlib
import json
import secrets
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from ipaddress import ip_address, ip_interface
from pathlib import Path
from typing import Any

import pytest

from lab.api import Lab
from lab.deployment import Deployment
from lab.plan import INTERNET
from lab.probes import Packet
from tests.lab import programs
from tests.lab.environment import BERLIN, CABIN, health, is_clean
from tests.lab.interop import Namespace, run, wait_for
from tests.lab.scenarios.world import no_ping, ping
from tests.lab.test_egress import Space
from tests.lab.test_users import give
from tests.lab.test_users_live import GONE, Stream

pytestmark = [pytest.mark.lab, pytest.mark.sampled(0), pytest.mark.timeout(2400)]  # in make test-long

STACK = "dev-berlin"
BERLIN6 = "fd00:10:1::100"
OUTSIDE = {4: "203.0.113.1", 6: "2001:db8:2::1"}
"""The internet's own, to be called there."""
PEOPLE = {
    "site.pool.v4": "10.1.0.128/26",
    "site.pool.v6": "fd00:10:1::1000/116",
    "site.egressPool.v4": "198.51.100.32/28",
    "site.egressPool.v6": "2001:db8:1::40/122",
    "site.groups.staff.reach": "all",
    "site.groups.staff.egress": "pool",
    "site.groups.guests.reach[0].networks[0]": "10.1.0.0/24",
    "site.groups.guests.reach[0].protocol": "udp",
}
BACK = 90.0
"""Seconds until a device is back behind a gateway that starts under emulation on a busy machine."""
PACE = 0.1
"""Seconds between two packets of a stream: an emulated guest that gets little of a busy machine drops what stands in
its queues (docs/decisions/waiting-time.md), and this is about what an `up` does."""
COUNTS = ("rx_bytes", "tx_bytes", "rx_packets", "tx_packets", "sessions", "denied")


class Joined(Namespace):
    """One of the lab's, which makes and removes it."""

    def __post_init__(self) -> None: ...


@dataclass
class Device:
    """A namespace in the internet, and what runs there by the configuration that it was given."""

    user: str
    name: str
    space: Namespace
    folder: Path
    interface: str = field(default_factory=lambda: f"w{secrets.token_hex(4)}")
    own: Mapping[int, str] = field(default_factory=dict)
    """Its addresses, by the version of IP."""

    def use(self, configuration: str) -> None:
        said = next(line for line in configuration.splitlines() if line.startswith("Address = "))
        found = [ip_interface(one.strip()).ip for one in said.removeprefix("Address = ").split(",")]
        self.own = {one.version: str(one) for one in found}
        path = self.folder / f"{self.interface}.conf"
        path.touch(0o600)
        path.write_text(configuration)
        userspace = programs.wireguard_go().command("")[0]
        self.space.run("env", f"WG_QUICK_USERSPACE_IMPLEMENTATION={userspace}", "wg-quick", "up", str(path))


@dataclass
class Berlin:
    """The site, and the devices that there are places for."""

    deployed: Deployment
    devices: Mapping[str, Device]

    @property
    def lab(self) -> Lab:
        return self.deployed.lab

    def at(self, role: str) -> Joined:
        return Joined(self.lab.namespace(role))

    def user(self, *words: str) -> str:
        done = self.deployed.wgnode(["user", *words])
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def add(self, who: str, group: str) -> Device:
        device = self.devices[who]
        device.use(self.user("add", who, "--device", device.name, "--group", group, "--site", "berlin"))
        return device

    def up(self) -> float:
        """When it was done, by the monotonic clock."""
        print(self.deployed.up(STACK).stdout)
        return time.monotonic()

    def shown(self, who: str) -> dict[str, Any]:
        """The device's entry of `wgnode user show`; whoever asks for health has it counted."""
        health(self.lab, "berlin")
        (row,) = json.loads(self.user("show", who, "--json"))["devices"]
        return dict(row)

    def whose(self, address: str) -> str:
        """The device's label; "" for nobody's."""
        done = self.deployed.wgnode(["who", address, "-e", "dev", "--json"])
        held = [one for one in json.loads(done.stdout)["sites"] if one["state"] == "held"]
        assert done.returncode == (0 if held else 1), done.stdout + done.stderr
        return "".join(f"{site['site']}: {one['user']}/{one['device']}" for site in held for one in site["holdings"])

    def connected(self, who: str, patience: float = BACK) -> None:
        """Waits until a datagram of its own reaches the LAN, and an answer comes back."""
        device = self.devices[who]
        wait_for(lambda: self._answered(device), f"{who} does not get through", patience)

    def _answered(self, device: Device) -> bool:
        with contextlib.ExitStack() as ending:
            there = Stream(device.space, device.own[4], self.at("berlin.client"), BERLIN, PACE)
            ending.callback(there.stop)
            time.sleep(15 * PACE)
            return bool(there.arrived)


@pytest.fixture(scope="module")
def berlin(deployed: Deployment, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Berlin]:
    """alice and bob are there and connected; a test leaves them so."""
    folder, mark = tmp_path_factory.mktemp("people"), secrets.token_hex(3)
    devices: dict[str, Device] = {}
    internet = deployed.lab.namespace(INTERNET)
    try:
        for number, (who, name) in enumerate({"alice": "phone", "bob": "tablet", "carol": "laptop"}.items(), 5):
            space = Namespace(f"wgp-{mark}-{name}")
            devices[who] = Device(who, name, space, folder)
            run("ip", "link", "add", "eth0", "netns", space.name, "type", "veth", "peer", "name", name,
                "netns", internet)  # fmt: skip
            give(Joined(internet), name, f"198.18.{number}.1/30")
            give(space, "eth0", f"198.18.{number}.2/30")
            space.run("ip", "route", "add", "default", "via", f"198.18.{number}.1")
        deployed.configure(STACK, PEOPLE)
        made = Berlin(deployed, devices)
        made.add("alice", "staff")
        made.add("bob", "guests")
        made.up()
        for who in ("alice", "bob"):
            made.connected(who)
        yield made
    finally:
        for device in devices.values():
            device.space.close()


def test_a_device_is_seen_in_both_lans_by_its_own_address(berlin: Berlin) -> None:
    alice = berlin.devices["alice"]
    phone = Space(alice.space.name)
    for role, address in (("berlin.client", BERLIN), ("berlin.client", BERLIN6), ("cabin.client", CABIN)):
        own, other = alice.own[ip_address(address).version], Space(berlin.lab.namespace(role))
        seen = partial(phone.sees, other, own, address)
        wait_for(lambda own=own, seen=seen: seen() == own, f"{address} does not see {own}", BACK)
    assert "via" not in berlin.at("berlin.client").run("ip", "route", "get", alice.own[4]), "no route was added"
    assert is_clean(berlin.deployed, STACK)
    assert is_clean(berlin.deployed, "dev-cabin"), "no other site changes for it"


def test_what_is_denied_is_counted_and_told_with_the_line_that_decides(berlin: Berlin) -> None:
    bob, before = berlin.devices["bob"], berlin.shown("bob")["counted"]["denied"]
    assert no_ping(bob.space, BERLIN)
    assert no_ping(berlin.at("berlin.client"), bob.own[4]), "nobody may open anything to a guest"

    def told() -> dict[bool, dict[str, Any]]:
        counted = berlin.shown("bob")["counted"]
        return {one["outgoing"]: one for one in counted["denials"]} if counted["denied"] >= before + 4 else {}

    denials = wait_for(told, "the denials are not counted", 60)
    assert (denials[True]["destination"], denials[True]["protocol"]) == (BERLIN, 1)
    assert denials[False]["source"] == BERLIN
    lines = (berlin.deployed.folder / f"stacks/Pulumi.{STACK}.yaml").read_text().splitlines()
    line = next(number for number, text in enumerate(lines, 1) if text.strip() == "reach:")
    assert f"see groups.guests.reach (stacks/Pulumi.{STACK}.yaml:{line})" in berlin.user("show", "bob")


def test_an_address_is_told_to_be_its_devices(berlin: Berlin) -> None:
    alice, public = berlin.devices["alice"], berlin.shown("alice")["public"]
    for address in (*alice.own.values(), *public):
        assert berlin.whose(address) == "berlin: alice/phone", address
    assert berlin.whose("10.1.0.190") == ""


@pytest.mark.parametrize("version", [4, 6], ids=["v4", "v6"])
def test_outside_sees_a_devices_own_public_address_for_which_the_host_answers(berlin: Berlin, version: int) -> None:
    alice, row = berlin.devices["alice"], berlin.shown("alice")
    public = next(one for one in row["public"] if ip_address(one).version == version)
    internet, phone = Space(berlin.lab.namespace(INTERNET)), Space(alice.space.name)
    wait_for(
        lambda: phone.sees(internet, alice.own[version], OUTSIDE[version]) == public, f"not seen as {public}", BACK
    )
    assert "lladdr" in internet.run(["ip", "neigh", "show", public, "dev", "berlin"]).stdout
    assert internet.sees(phone, OUTSIDE[version], public, alice.own[version]) == "", "nobody begins from outside"


def test_devices_come_and_go_by_up_and_nobody_else_loses_a_packet(berlin: Berlin) -> None:
    alice, client = berlin.devices["alice"], berlin.at("berlin.client")
    guest = health(berlin.lab, "berlin")["uptime"]
    with contextlib.ExitStack() as ending:
        steady = [
            Stream(alice.space, alice.own[4], client, BERLIN, PACE),
            Stream(client, BERLIN, alice.space, alice.own[4], PACE),
            Stream(berlin.devices["bob"].space, berlin.devices["bob"].own[4], client, BERLIN, PACE),
        ]
        for stream in steady:
            ending.callback(stream.stop)
            stream.flowing(8)
        carol = berlin.add("carol", "staff")
        berlin.up()
        berlin.connected("carol")
        public = next(one for one in berlin.shown("carol")["public"] if ip_address(one).version == 4)
        going = [
            Stream(carol.space, carol.own[4], client, BERLIN, PACE),
            Stream(client, BERLIN, carol.space, carol.own[4], PACE),
            Stream(carol.space, carol.own[4], berlin.at(INTERNET), OUTSIDE[4], PACE),
        ]
        for stream in going:
            ending.callback(stream.stop)
            stream.flowing(8)
        assert public in berlin.lab.host_ssh("berlin", "ip neigh show proxy").stdout
        outwards = f"conntrack -L -s {carol.own[4]} -d {OUTSIDE[4]}"
        assert public in berlin.lab.host_ssh("berlin", outwards).stdout
        berlin.user("remove", "carol")
        done = berlin.up()
        for stream in steady:
            stream.flowing(int(2 * GONE / PACE))
    assert [stream.last() < done + GONE for stream in going] == [True, True, True]
    assert [stream.lost for stream in steady] == [set(), set(), set()]
    assert health(berlin.lab, "berlin")["uptime"] > guest, "the guest went on"
    assert public not in berlin.lab.host_ssh("berlin", "ip neigh show proxy").stdout
    assert berlin.lab.host_ssh("berlin", outwards).stdout == ""
    assert berlin.whose(carol.own[4]) == ""
    assert is_clean(berlin.deployed, STACK)


def announced(packets: list[Packet]) -> set[str]:
    """Addresses that somebody has told all to have: ARP (RFC 5227, 2.3), neighbour advertisements (RFC 4861, 7.2.6)."""
    found = set()
    for one in packets:
        data = one.data
        if one.ethertype == 0x0806 and data[14:18] == data[24:28]:
            found.add(str(ip_address(data[14:18])))
        elif one.ethertype == 0x86DD and data[6] == 58 and data[40] == 136 and data[24] == 0xFF:
            found.add(str(ip_address(data[48:64])))
    return found


@pytest.mark.parametrize("how", ["replaced", "rebooted"])
def test_sessions_come_back_behind_another_guest_and_counts_only_grow(berlin: Berlin, how: str) -> None:
    before = {who: berlin.shown(who)["counted"] for who in ("alice", "bob")}
    wanted = {address for who in before for address in berlin.devices[who].own.values()}
    with berlin.lab.capture("berlin.client") as packets:
        if how == "replaced":
            berlin.deployed.configure(STACK, {"site.gateway.memory": "160"})
            berlin.up()
        else:
            berlin.lab.reboot("berlin")
        began = time.monotonic()
        for who in before:
            berlin.connected(who)
        print(f"{how}: both devices get through {time.monotonic() - began:.1f} s after the command")
        wait_for(lambda: wanted <= announced(packets), "some addresses are not announced again", BACK)
    for who, counted in before.items():
        now = berlin.shown(who)["counted"]
        assert [name for name in COUNTS if now[name] < counted[name]] == [], (counted, now)
        assert now["sessions"] > counted["sessions"]
        assert now["first_seen"] == counted["first_seen"]
    assert ping(berlin.devices["alice"].space, BERLIN)
    alice = berlin.devices["alice"]
    public = next(one for one in berlin.shown("alice")["public"] if ip_address(one).version == 4)
    phone, internet = Space(alice.space.name), Space(berlin.lab.namespace(INTERNET))
    wait_for(lambda: phone.sees(internet, alice.own[4], OUTSIDE[4]) == public, f"not seen as {public}", BACK)
    assert is_clean(berlin.deployed, STACK)
