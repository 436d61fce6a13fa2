"""How devices leave by a host: by rules and routes as they are on real ones, in four bare namespaces.

outside 203.0.113.1 ── wan0 ── 203.0.113.9 host 172.31.255.253 ── wgnode-wan ── gateway, with the devices' addresses
                                            10.1.0.1 ── lanbr ── 10.1.0.2 gateway, 10.1.0.50 client
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import socket
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from ipaddress import ip_address, ip_network
from typing import Any

import pytest

from lab import netns
from pulumi_wgnode.hosts.host import Result
from pulumi_wgnode.hosts.networks import network
from pulumi_wgnode.hosts.networks.network import Network
from pulumi_wgnode.resources import hypervisor_change, hypervisor_state
from pulumi_wgnode.resources.firewall_change import forget_flows
from wgnode.firewall import egress, nft
from wgnode.firewall.egress import Egress, Leaving
from wgnode.firewall.forwards import Before
from wgnode.firewall.rules import Firewall, ruleset
from wgnode.topology.transit import Transit

from .bare_host import bare_host
from .sites import until

pytestmark = pytest.mark.lab
LINK = Transit.of()
OUTSIDE = {4: "203.0.113.1", 6: "2001:db8:1::1"}
HOST = {4: "203.0.113.9", 6: "2001:db8:1::9"}
HOST_LAN = {4: "10.1.0.1", 6: "fd00:10:1::1"}
CLIENT = {4: "10.1.0.50", 6: "fd00:10:1::50"}
ALICE, BOB, CAROL, DAVE = ({4: f"10.1.0.13{last}", 6: f"fd00:10:1::13{last}"} for last in range(4))
PUBLIC_A, PUBLIC_B, PUBLIC_NEW = ({4: f"203.0.113.3{last}", 6: f"2001:db8:1::3{last}"} for last in (3, 4, 9))
BOTH = pytest.mark.parametrize("version", [4, 6], ids=["v4", "v6"])
PORT = 7000


def firewall(alice: dict[int, str] = PUBLIC_A) -> Firewall:
    """Alice and Bob have addresses of their own, Bob's is open; Carol leaves by the host's, Dave by none."""
    who = (
        ("alice/phone", ALICE, alice, False),
        ("bob/phone", BOB, PUBLIC_B, True),
        ("carol/phone", CAROL, None, False),
    )
    devices = [
        Leaving(name, ip_address(inside[version]), ip_address(public[version]) if public else None, is_open)
        for name, inside, public, is_open in who
        for version in (4, 6)
    ]
    return Firewall(
        "wan0",
        LINK.networks,
        tuple(address.split("/")[0] for address in LINK.guest),
        51820,
        (ip_network("192.0.2.0/24"),),
        before=Before((), ("lanbr",)),
        left_alone=("lanbr",),
        egress=Egress("lanbr", tuple(devices)),
    )


def links(*public: dict[int, str]) -> Network:
    addresses = tuple(address for one in public for address in one.values())
    return Network("wan0", "lanbr", LINK.host, {}, public=addresses)


class Space:
    """A namespace, and as much of a host as what we do on one needs."""

    name = "the host"

    def __init__(self, namespace: str) -> None:
        self.namespace = namespace

    def run(self, argv: Sequence[str], *, input: bytes = b"", check: bool = True, **_: Any) -> Result:
        argv = ["ip", "netns", "exec", self.namespace, *argv]
        done = subprocess.run(argv, input=input, capture_output=True, check=check)
        return Result(done.returncode, done.stdout.decode(), done.stderr.decode())

    def load(self, wanted: Firewall) -> None:
        text = nft.script(ruleset(wanted), sets=tuple(egress.sets(wanted.egress)))
        self.run(["nft", "-f", "-"], input=text.encode())

    def listed(self) -> nft.Table:
        return nft.observed(self.run(["nft", "-j", "list", "ruleset"]).stdout)

    def answer(self, wanted: Network) -> dict[str, str]:
        self.run(["sh", "-s", "set_public"], input=network.script(wanted).encode())
        proxies, routes = (self.run(command).stdout for command in (network.READ_PROXIES, network.READ_ROUTES))
        return network.observed_egress(proxies, routes, wanted)

    def sees(self, other: Space, source: str, to: str, at: str = "") -> str:
        """The address that `other`'s server at `at` sees when it is called from `source` here at `to`; "" if nobody."""
        family = socket.AF_INET6 if ":" in to else socket.AF_INET
        make = lambda: socket.create_server((at or to, PORT), family=family)  # noqa: E731
        with netns.inside(other.namespace, make) as server:
            server.settimeout(0.5)
            call = lambda: socket.create_connection((to, PORT), 0.5, (source, 0))  # noqa: E731
            try:
                with netns.inside(self.namespace, call), server.accept()[0] as accepted:
                    return str(accepted.getpeername()[0])
            except OSError:
                return ""

    def finds(self, address: str) -> bool:
        """Whether a neighbour answers for it, asked by the kernel as for any packet."""
        self.run(["ip", "neigh", "flush", "dev", "out0"], check=False)
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        make = lambda: socket.socket(family, socket.SOCK_DGRAM)  # noqa: E731
        with netns.inside(self.namespace, make) as datagrams, contextlib.suppress(OSError):
            datagrams.sendto(b"x", (address, 9))

        def judged() -> str:
            said = self.run(["ip", "neigh", "show", address, "dev", "out0"]).stdout
            return next((word for word in ("FAILED", "lladdr") if word in said), "")

        until(lambda: bool(judged()), 10)
        return judged() == "lladdr"


@pytest.fixture(scope="module")
def spaces() -> Iterator[tuple[Space, Space, Space, Space]]:
    """(outside, host, gateway, client)."""
    outside, host, gateway, client = names = [f"wge{os.getpid()}-{secrets.token_hex(2)}" for _ in range(4)]
    try:
        for name in names:
            netns.create(name)
        _ip(host, f"link add wan0 type veth peer name out0 netns {outside}")
        _ip(host, f"link add wgnode-wan type veth peer name wan netns {gateway}")
        _ip(host, "link add lanbr type bridge")
        for end, name in (("lan", gateway), ("eth0", client)):
            _ip(host, f"link add to-{end} type veth peer name {end} netns {name}")
            _ip(host, f"link set to-{end} master lanbr up")
        _up(outside, "out0", OUTSIDE.values())
        _up(host, "wan0", HOST.values())
        _up(host, "wgnode-wan", (), LINK.host)
        _up(host, "lanbr", HOST_LAN.values())
        _up(gateway, "wan", (), LINK.guest)
        _up(
            gateway,
            "lan",
            ("10.1.0.2", "fd00:10:1::2", *(a for each in (ALICE, BOB, CAROL, DAVE) for a in each.values())),
        )
        _up(client, "eth0", CLIENT.values())
        for version, via in ((4, "172.31.255.253"), (6, LINK.host[1].split("/")[0])):
            _ip(gateway, f"-{version} route add default via {via}")
            _ip(client, f"-{version} route add default via {HOST_LAN[version]}")
        settings = {
            "net.ipv4.ip_forward": "1",
            "net.ipv6.conf.all.forwarding": "1",
            "net.ipv6.conf.wan0.proxy_ndp": "1",
        }
        strict = {f"net.ipv4.conf.{each}.rp_filter": "1" for each in ("all", "wan0", "lanbr", "wgnode-wan")}
        asked = hypervisor_state._of_neighbours(links(PUBLIC_A))  # what HypervisorHost sets, from one place
        netns.sysctl(host, {**settings, **strict, **{name.replace("/", "."): value for name, value in asked.items()}})
        _bridged(host, "0")
        netns.sysctl(gateway, {f"net.ipv4.conf.{each}.rp_filter": "0" for each in ("all", "lan", "wan")})
        spaces = Space(outside), Space(host), Space(gateway), Space(client)
        until(lambda: not any("tentative" in each.run(["ip", "-6", "addr"]).stdout for each in spaces))
        yield spaces
    finally:
        for name in names:
            netns.delete(name)


@pytest.fixture
def leaving(spaces: tuple[Space, Space, Space, Space]) -> Iterator[tuple[Space, Space, Space, Space]]:
    """With the firewall of Alice, Bob and Carol, and answers for their addresses."""
    host = spaces[1]
    host.load(firewall())
    host.answer(links(PUBLIC_A, PUBLIC_B))
    try:
        yield spaces
    finally:
        host.answer(Network("wan0", "lanbr", LINK.host, {}))
        host.run(["nft", "flush", "ruleset"])
        host.run(["conntrack", "-F"])


def _ip(name: str, words: str) -> None:
    subprocess.run(["ip", "-n", name, *words.split()], check=True)


def _bridged(name: str, value: str) -> None:
    """Whether frames within a bridge are translated too, where the kernel can (br_netfilter)."""
    with contextlib.suppress(FileNotFoundError):
        netns.sysctl(name, {f"net.bridge.bridge-nf-call-{each}tables": value for each in ("ip", "ip6")})


def _up(name: str, device: str, addresses: Iterable[str], interfaces: Iterable[str] = ()) -> None:
    lengths = {4: 24, 6: 64}
    for each in (*interfaces, *(f"{one}/{lengths[ip_address(one).version]}" for one in addresses)):
        _ip(name, f"addr add {each} dev {device}" + (" nodad" if ":" in each else ""))
    _ip(name, f"link set {device} up")


Spaces = tuple[Space, Space, Space, Space]


@BOTH
def test_outside_sees_each_device_by_its_own_address_or_the_host_s_and_who_may_not_leave_does_not(
    leaving: Spaces, version: int
) -> None:
    outside, _, gateway, _ = leaving
    seen = {one[4]: gateway.sees(outside, one[version], OUTSIDE[version]) for one in (ALICE, BOB, CAROL, DAVE)}
    wanted = (PUBLIC_A[version], PUBLIC_B[version], HOST[version], "")
    assert seen == dict(zip((one[4] for one in (ALICE, BOB, CAROL, DAVE)), wanted, strict=True))


@BOTH
def test_from_outside_only_an_open_address_is_reached_by_the_caller_s_own(leaving: Spaces, version: int) -> None:
    outside, _, gateway, _ = leaving
    source = OUTSIDE[version]
    assert outside.sees(gateway, source, PUBLIC_B[version], BOB[version]) == source
    assert outside.sees(gateway, source, PUBLIC_A[version], ALICE[version]) == ""
    assert outside.sees(gateway, source, HOST[version], CAROL[version]) == ""


@BOTH
def test_a_public_address_is_reached_from_the_lan_and_from_other_devices_too(leaving: Spaces, version: int) -> None:
    _, _, gateway, client = leaving
    to = PUBLIC_A[version], ALICE[version]
    assert client.sees(gateway, CLIENT[version], *to) == HOST_LAN[version], "whose answers would come from elsewhere"
    assert gateway.sees(gateway, BOB[version], *to) == PUBLIC_B[version]
    assert gateway.sees(gateway, CAROL[version], *to) == HOST_LAN[version]
    assert gateway.sees(gateway, DAVE[version], *to) == ""


@BOTH
def test_where_a_bridge_s_frames_are_translated_too_it_is_reached_as_well(leaving: Spaces, version: int) -> None:
    _, host, gateway, client = leaving
    _bridged(host.namespace, "1")
    try:
        seen = client.sees(gateway, CLIENT[version], PUBLIC_A[version], ALICE[version])
        assert seen in (CLIENT[version], HOST_LAN[version])
    finally:
        _bridged(host.namespace, "0")


@BOTH
def test_who_takes_a_device_s_address_in_the_lan_does_not_leave_as_that_device(leaving: Spaces, version: int) -> None:
    outside, _, _, client = leaving
    length = {4: 32, 6: 128}[version]
    _ip(client.namespace, f"addr add {ALICE[version]}/{length} dev eth0" + (" nodad" if version == 6 else ""))
    try:
        assert client.sees(outside, ALICE[version], OUTSIDE[version]) == ""
    finally:
        _ip(client.namespace, f"addr del {ALICE[version]}/{length} dev eth0")


def test_private_networks_beyond_the_uplink_are_not_the_internet(leaving: Spaces) -> None:
    outside, host, gateway, _ = leaving
    _ip(outside.namespace, "addr add 10.9.0.1/32 dev out0")
    _ip(host.namespace, f"route add 10.9.0.1/32 via {OUTSIDE[4]}")
    try:
        assert gateway.sees(outside, ALICE[4], "10.9.0.1") == ""
    finally:
        _ip(host.namespace, "route del 10.9.0.1/32")
        _ip(outside.namespace, "addr del 10.9.0.1/32 dev out0")


@BOTH
def test_neighbours_of_the_uplink_find_exactly_the_addresses_that_are_mapped(leaving: Spaces, version: int) -> None:
    outside, host, _, _ = leaving
    assert outside.finds(PUBLIC_A[version])
    assert outside.finds(PUBLIC_B[version])
    assert not outside.finds(PUBLIC_NEW[version])
    assert host.answer(links(PUBLIC_B)) == network.described_egress(links(PUBLIC_B)), "Alice's is given up"
    assert not outside.finds(PUBLIC_A[version])
    assert outside.finds(PUBLIC_B[version])


@BOTH
def test_neighbours_that_remember_another_machine_are_told(leaving: Spaces, version: int) -> None:
    outside, host, _, _ = leaving
    address, former = PUBLIC_A[version], "02:00:00:00:00:07"
    outside.run(["ip", "neigh", "replace", address, "lladdr", former, "dev", "out0", "nud", "stale"])
    seen = {"links": host.run(network.READ_LINKS).stdout, "proxies": ""}
    hypervisor_change._announce(host, links(PUBLIC_A), seen)  # type: ignore[arg-type]
    until(lambda: former not in outside.run(["ip", "neigh", "show", address]).stdout)
    (mac,) = (link["address"] for link in json.loads(seen["links"]) if link["ifname"] == "wan0")
    assert mac in outside.run(["ip", "neigh", "show", address]).stdout


def test_what_the_host_has_is_described_as_what_is_wanted_and_a_missing_element_by_the_device_s_name(
    leaving: Spaces,
) -> None:
    _, host, _, _ = leaving
    wanted = firewall()
    assert host.listed() == nft.described(ruleset(wanted), egress.sets(wanted.egress))
    host.run(["nft", "delete", "element", "inet", "wgnode", "egress-out-v4", f"{{ {ALICE[4]} : {PUBLIC_A[4]} }}"])
    then, now = (egress.described(sets, wanted.egress) for sets in (egress.sets(wanted.egress), host.listed().sets))
    name = f"alice/phone {ALICE[4]}"
    assert then[name] == f"leaves, as {PUBLIC_A[4]}, is behind {PUBLIC_A[4]}"
    assert {key: text for key, text in now.items() if then[key] != text} == {name: f"leaves, is behind {PUBLIC_A[4]}"}
    assert leaving[2].sees(leaving[0], ALICE[4], OUTSIDE[4]) == "", "nobody leaves untranslated"


@BOTH
def test_a_running_flow_of_a_mapping_that_changes_goes_on_by_the_new_one(leaving: Spaces, version: int) -> None:
    outside, host, gateway, _ = leaving
    family = socket.AF_INET6 if version == 6 else socket.AF_INET
    make = lambda: socket.socket(family, socket.SOCK_DGRAM)  # noqa: E731
    with netns.inside(outside.namespace, make) as server, netns.inside(gateway.namespace, make) as device:
        server.bind((OUTSIDE[version], 0))
        server.settimeout(2)
        device.bind((ALICE[version], 0))
        device.connect(server.getsockname()[:2])

        def seen() -> str:
            device.send(b"x")
            return str(server.recvfrom(9)[1][0])

        assert seen() == PUBLIC_A[version]
        before, after = firewall(), firewall(PUBLIC_NEW)
        host.load(after)
        assert seen() == PUBLIC_A[version], "as long as the kernel knows the flow"
        forget_flows(host, egress.changed(egress.sets(before.egress), egress.sets(after.egress)))  # type: ignore[arg-type]
        assert seen() == PUBLIC_NEW[version]
        host.load(replace(after, egress=None))
        forget_flows(host, egress.changed(egress.sets(after.egress), ()))  # type: ignore[arg-type]
        with pytest.raises(TimeoutError):
            seen()


def test_when_nobody_leaves_any_more_nothing_is_left(leaving: Spaces) -> None:
    outside, host, _, _ = leaving
    nobody = Network("wan0", "lanbr", LINK.host, {})
    assert host.answer(nobody) == {}
    assert host.run(["ip", "neigh", "show", "proxy"]).stdout == ""
    host.load(replace(firewall(), egress=None))
    assert host.listed() == nft.described(ruleset(replace(firewall(), egress=None)))
    assert not outside.finds(PUBLIC_A[4])


def test_the_whole_script_of_a_host_answers_changes_and_takes_everything_back() -> None:
    addresses = "ip addr add 203.0.113.9/24 dev wan0; ip addr add 10.1.0.1/24 dev lan0"
    with bare_host(f"{addresses}; ip addr add 2001:db8:1::9/64 dev wan0 nodad") as host:
        before = host.snapshot()
        first = Network("wan0", "lan0", LINK.host, {}, public=(*PUBLIC_A.values(), PUBLIC_B[4]))
        for wanted, verb in ((first, "up"), (first, "up"), (replace(first, public=(PUBLIC_NEW[4],)), "routes")):
            done = host.script(wanted, verb)
            assert (done.returncode, done.stderr) == (0, "")
            proxies, routes = (host.shell(command[2]) for command in (network.READ_PROXIES, network.READ_ROUTES))
            assert network.observed_egress(proxies, routes, wanted) == network.described_egress(wanted)
        assert host.script(first, "down").returncode == 0
        assert host.shell("ip neigh show proxy; ip route show proto 118; ip -6 route show proto 118") == ""
        assert host.snapshot() == before
