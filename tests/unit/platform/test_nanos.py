"""What Nanos does otherwise than Linux, and what the node does about it: a test for each row of the table in
docs/decisions/nanos.md, by the row's name."""

from __future__ import annotations

import errno
import os
import re
import socket
import struct
import time
from collections.abc import Iterator
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Interface
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fake_nanos import Ended, FakeNanos
from wgnode.io.control import Decoder, encode
from wgnode.io.loop import Loop
from wgnode.io.sticky import IP_PKTINFO
from wgnode.io.tun import Tun, TunOffloads
from wgnode.nanos import fits
from wgnode.nanos.words import Environment
from wgnode.nodeconfig import ConfigError, LinkConfig, NodeConfig, NodeSecrets, PeerConfig
from wgnode.pathmtu.checksum import checksum
from wgnode.platform import Platform
from wgnode.platform.nanos import Unikernel, forward
from wgnode.platform.nanos.links import stale_image
from wgnode.platform.nanos.machine import LACKING, Clock
from wgnode.platform.nanos.shared import Shared
from wgnode.platform.nanos.sockets import UDP_SEGMENT, ReadBack
from wgnode.work import at_once

ROOT = Path(__file__).parents[3]
CABIN = PeerConfig("cabin", (b"\1" * 32,), ("10.2.0.0/24", "10.2.1.2/32"), "192.0.2.9:51820")
CONFIG = NodeConfig(
    mesh="dev",
    name="berlin",
    public_keys=(b"\7" * 32,),
    listen_port=0,
    addresses=("10.2.1.1/32",),
    transit=LinkConfig("52:54:00:77:67:00", ("127.0.0.1/30", "fd77:676e:6f64:6500::2/126"), ("127.0.0.2",)),
    lan=LinkConfig("52:54:00:00:00:02", ("192.168.7.1/24",)),
    peers=(CABIN,),
    interface="wgnode0",
)
TOLD = Environment(IPv4Interface("127.0.0.1/30"), IPv4Address("127.0.0.2"), IPv4Interface("192.168.7.1/24"), port=0)


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Installs a Nanos as it is described, and closes it."""
    fakes: list[FakeNanos] = []
    with monkeypatch.context() as patch:

        def make(**options: Any) -> FakeNanos:
            fakes.append(FakeNanos(**options))
            fakes[-1].install(patch)
            return fakes[-1]

        yield make
    for each in fakes:
        each.close()


def opened(name: str = "wgnode0", mtu: int = 1420) -> tuple[Unikernel, Tun]:
    platform = Unikernel(TOLD.to_dict())
    return platform, platform.tun(name, mtu, TunOffloads(vnet_header=True, tso4=True))


def test_rows_of_the_table_and_tests_are_the_same() -> None:
    rows = re.findall(r"^\| `([a-z0-9-]+)` \|", (ROOT / "docs/decisions/nanos.md").read_text(), re.MULTILINE)
    files = (
        Path(__file__),
        ROOT / "tests/unit/appliance/test_nanos_program.py",
        *(ROOT / "tests/unit/image").glob("test_nanos*.py"),
    )
    cited = {name for file in files for name in re.findall(r"Row: ([a-z0-9, -]+)\.", file.read_text())}
    assert {name for line in cited for name in line.split(", ")} == set(rows)
    assert len(rows) == len(set(rows))


def test_the_parts_that_there_are_not() -> None:
    """Row: no-routing, no-neighbours."""
    parts = {name for name, member in vars(Platform).items() if isinstance(member, property)}
    missing = {name for name in parts if getattr(Unikernel(TOLD.to_dict()), name) is None}
    assert missing == {"now", "limit_frames", "routing", "neighbours"}


def test_the_tun_is_asked_for_nothing_that_it_has_not_and_its_name_is_read_back(made: Any) -> None:
    """Row: tun-flags, tun-name, tun-offloads."""
    fake = made()
    with pytest.raises(OSError, match="Invalid argument"):
        Tun("wgnode0", 1400, TunOffloads(vnet_header=True))
    _, tun = opened()
    assert (tun.name, tun.offloads) == ("wg3", TunOffloads())
    assert fake.netif("wg3").mtu == 1420
    tun.close()


def test_the_tunnel_gets_an_address_a_network_and_goes_up_without_netlink(made: Any) -> None:
    """Row: no-netlink, flags-or-ed, one-network."""
    fake = made()
    platform, tun = opened()
    platform.links.prepare(CONFIG)
    assert platform.links.configure_tunnel(replace(CONFIG, peers=(with_networks("0.0.0.0/0"),)), tun.name) == [
        "0.0.0.0/0"
    ]
    assert fake.tun.address == IPv4Interface("10.2.1.1/23")
    assert fake.tun.flags & 1
    assert fake.route(IPv4Address("10.2.0.77")) is fake.tun
    assert fake.route(IPv4Address("192.168.7.77")).name == "en2"
    assert fake.route(IPv4Address("192.0.2.9")).name == "en1"
    tun.close()


def with_networks(*more: str) -> PeerConfig:
    return replace(CABIN, allowed_ips=(*CABIN.allowed_ips, *more))


def test_the_tunnels_network_changes_live_and_its_mtu(made: Any) -> None:
    """Row: one-network."""
    fake = made()
    platform, tun = opened()
    platform.links.configure_tunnel(CONFIG, tun.name)
    new = replace(CONFIG, mtu=1380, peers=(with_networks("10.3.0.0/24"),))
    assert at_once(platform.links.change_tunnel(CONFIG, new, tun.name)) == []
    assert (fake.tun.address, fake.tun.mtu) == (IPv4Interface("10.2.1.1/15"), 1380)
    with pytest.raises(OSError, match="users' devices"):
        at_once(platform.links.change_tunnel(new, replace(new, devices=(CABIN,)), tun.name))
    tun.close()


def test_an_mtu_that_is_taken_and_not_kept_is_an_error(made: Any) -> None:
    """Row: read-back."""
    fake = made()
    fake.accept_mtu = lambda mtu: False
    platform, tun = opened()
    with pytest.raises(OSError, match="was to have an MTU of 1420 bytes and has 32768"):
        platform.links.configure_tunnel(CONFIG, tun.name)
    tun.close()


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"addresses": ("10.2.1.1/32", "fd00::1/128")}, "2 addresses; Nanos takes one"),
        ({"addresses": ("fd00::1/128",)}, "Nanos forwards IPv4 only"),
        ({"peers": (with_networks("fd01::/64"),)}, r"\(fd01::/64\): Nanos forwards IPv4 only"),
        ({"lan": replace(CONFIG.lan, masquerade=True)}, "translates no addresses; choose host-route"),
        ({"lan": replace(CONFIG.lan, proxy_arp=True)}, "its own address only; choose host-route"),
        ({"lan": replace(CONFIG.lan, addresses=("192.168.7.1/24", "192.168.8.1/24"))}, "2 IPv4 addresses"),
        ({"lan": replace(CONFIG.lan, addresses=("fd02::1/64",))}, "0 IPv4 addresses"),
        ({"transit": replace(CONFIG.transit, gateways=("fd77::1",))}, "no IPv4 gateway"),
        ({"devices": (replace(CABIN, name="phone"),)}, "1 users' devices"),
        ({"peers": (replace(CABIN, endpoint="[2001:db8::1]:51820"),)}, "no default route of IPv6"),
        ({"peers": (with_networks("10.4.0.0/16", "193.0.0.0/24"),)}, "would need 0.0.0.0/0"),
        (
            {"peers": (with_networks("10.3.0.9/32"),), "lan": replace(CONFIG.lan, addresses=("10.3.0.1/24",))},
            r"would need 10.2.0.0/15, .* overlaps the LAN 10.3.0.0/24: Nanos has one network",
        ),
    ],
)
def test_what_nanos_can_not_do_is_refused_by_name(made: Any, change: dict[str, Any], why: str) -> None:
    """Row: ipv4-inside, one-address, no-nat, arp-own-address, no-neighbours, ipv6-outside, one-network, no-raw."""
    made()
    config = replace(CONFIG, **change)
    assert any(re.search(why, problem) for problem in fits.problems(config))
    with pytest.raises(OSError, match=why) as refused:
        Unikernel(TOLD.to_dict()).links.prepare(config)
    assert refused.value.errno == errno.EOPNOTSUPP


def test_what_it_can_do_has_no_problems() -> None:
    assert fits.problems(CONFIG) == []


@given(st.lists(st.tuples(st.integers(0, 2**24), st.integers(8, 32)), max_size=5))
def test_the_tunnels_network_is_the_smallest_around_all(networks: list[tuple[int, int]]) -> None:
    texts = [str(IPv4Interface((IPv4Address(0x0A000000 + at % 2**24), length)).network) for at, length in networks]
    config = replace(CONFIG, peers=(replace(CABIN, allowed_ips=tuple(texts)),))
    around = fits.tunnel_network(config).network
    inside = [IPv4Interface(text).network for text in (*texts, *config.addresses)]
    assert all(each.subnet_of(around) for each in inside)
    if around.prefixlen < 32:
        assert not any(all(each.subnet_of(half) for each in inside) for half in around.subnets())


def test_a_kernel_without_forwarding_is_found_out_by_a_packet_that_never_leaves(made: Any) -> None:
    """Row: ip-forward."""
    fake = made(forwards=False)
    platform, tun = opened()
    began = time.monotonic()
    with pytest.raises(OSError, match=r"build Nanos with IP_FORWARD 1 in src/net/lwipopts\.h"):
        platform.links.configure_tunnel(CONFIG, tun.name)
    assert forward.PATIENCE <= time.monotonic() - began < 2 * forward.PATIENCE
    assert fake.counters["not forwarded"] >= 4
    assert not fake.netif("en1").out + fake.netif("en2").out
    tun.close()
    unproven = replace(TOLD, unproven=True)
    assert Environment.read(unproven.to_dict()) == unproven
    platform = Unikernel(unproven.to_dict())
    tun = platform.tun("wgnode1", 1420, TunOffloads())
    platform.links.configure_tunnel(CONFIG, tun.name)
    tun.close()


def test_one_with_it_proves_it_and_nothing_of_that_is_on_a_wire(made: Any) -> None:
    """Row: ip-forward."""
    fake = made()
    platform, tun = opened()
    platform.links.prepare(CONFIG)
    platform.links.configure_tunnel(CONFIG, tun.name)
    assert fake.netif("en1").out + fake.netif("en2").out == []
    assert tun.read() == []
    tun.close()


def test_only_an_answer_about_that_packet_proves_anything() -> None:
    sent = forward.dying_packet(IPv4Address("10.2.0.9"), IPv4Address("192.168.7.9"))
    quoted = sent[:8] + b"\0" + sent[9:10] + b"\1\2" + sent[12:]
    answer = b"\x45" + bytes(8) + b"\x01" + bytes(6) + sent[12:16] + b"\x0b\0\0\0" + bytes(4) + quoted
    assert forward.answers(answer, sent)
    other = forward.dying_packet(IPv4Address("10.2.0.9"), IPv4Address("192.168.7.8"))
    for wrong in (b"", answer[:24], sent, answer.replace(b"\x0b", b"\x03", 1), b"\x60" + answer[1:]):
        assert not forward.answers(wrong, sent)
    assert not forward.answers(answer, other)


def test_cards_have_what_the_configuration_says_or_get_it_and_are_in_order(made: Any) -> None:
    """Row: one-address, mac."""
    fake = made(lan="192.168.7.4/24")
    Unikernel(TOLD.to_dict()).links.prepare(CONFIG)
    assert fake.netif("en2").address == IPv4Interface("192.168.7.1/24")
    swapped = replace(CONFIG, lan=replace(CONFIG.lan, mac="52:54:00:99:99:99"))
    with pytest.raises(OSError, match="en2 is 52:54:00:00:00:02 and not 52:54:00:99:99:99: QEMU has them in another"):
        Unikernel(TOLD.to_dict()).links.prepare(swapped)
    fake.tells_mac = False
    Unikernel(TOLD.to_dict()).links.prepare(swapped)


def test_an_image_for_another_transit_link_or_lan_says_so(made: Any) -> None:
    """Row: default-route."""
    made()
    assert stale_image(CONFIG, TOLD) is None
    stale = replace(TOLD, next_hop=IPv4Address("127.0.0.3"), lan=IPv4Interface("192.168.9.1/24"))
    with pytest.raises(OSError, match=r"next hop is 127.0.0.2, in the image 127.0.0.3.*LAN's address.*make it anew"):
        Unikernel(stale.to_dict()).links.prepare(CONFIG)


def test_options_that_are_taken_and_ignored_count_as_missing(made: Any) -> None:
    """Row: options-ignored."""
    made()
    options = ReadBack()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.setsockopt(socket.IPPROTO_IP, IP_PKTINFO, 1)  # nobody complains
        options.prepare(sock)
        assert not options.join_and_split(sock, gro=True)
        assert options.missing == {
            "ECN bits", "joined datagrams", "local addresses", "split datagrams", "times of arrival"
        }  # fmt: skip
        assert options.forbid_fragments(sock, 0) is None
        options.mark(sock, 0)
        with pytest.raises(OSError, match="fwmark 0x7: Nanos takes it and ignores it") as refused:
            options.mark(sock, 7)
        assert refused.value.errno == errno.EOPNOTSUPP
    assert (options.too_bigs(1), options.fragmenter(0), options.whole_messages(1, None)) == (None, None, None)  # type: ignore[arg-type]


def test_one_that_a_version_to_come_does_is_used(made: Any) -> None:
    """Row: options-ignored."""
    made(implements=frozenset({(socket.IPPROTO_UDP, UDP_SEGMENT), (socket.IPPROTO_IP, IP_PKTINFO)}))
    options = ReadBack()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        options.prepare(sock)
        assert options.join_and_split(sock, gro=False)
    assert "local addresses" not in options.missing


def test_the_node_says_what_it_does_without_and_what_confines_it_not(made: Any) -> None:
    """Row: options-ignored, mitigations, single-process."""
    made()
    machine, told = Unikernel(TOLD.to_dict()).machine, list[str]()
    machine.boot(told.append)
    confinement = machine.ready(told.append)
    assert "experimental" in told[0]
    assert "local addresses" in told[1]
    assert confinement.lacking == LACKING
    machine.alive()
    with pytest.raises(Ended):
        machine.end()
    with pytest.raises(OSError, match="not implemented"):
        os.fork()


def test_the_share_is_read_and_left_as_it_is(made: Any, tmp_path: Path) -> None:
    """Row: share."""
    fake = made()
    (tmp_path / "config.json").write_bytes(CONFIG.to_json())
    (tmp_path / "secrets.json").write_bytes(NodeSecrets((b"\1" * 32,)).to_json())
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    layers = Unikernel(replace(TOLD, share=str(tmp_path)).to_dict()).layers
    assert layers.config() == CONFIG
    assert layers.secrets() == NodeSecrets((b"\1" * 32,))
    assert layers.secrets() == NodeSecrets((b"\1" * 32,))
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == before
    assert fake.asked_files == []


def test_a_share_that_is_not_mounted_says_what_qemu_needs(tmp_path: Path) -> None:
    """Row: share."""
    layers = Unikernel(replace(TOLD, share=str(tmp_path / "gone")).to_dict()).layers
    with pytest.raises(ConfigError, match=r"config\.json on the 9P share: No such file.*opens it for both"):
        layers.config()
    with pytest.raises(ConfigError, match=r"secrets\.json"):
        layers.secrets()
    assert layers.image() == {}


def test_the_image_describes_itself_where_it_can(tmp_path: Path) -> None:
    described = tmp_path / "image.json"
    described.write_text('{"version": "7"}')
    assert Shared("/nowhere", described).image() == {"version": "7"}
    described.write_text("[]")
    assert Shared("/nowhere", described).image() == {}


def test_the_clock_is_set_where_there_is_such_a_call_and_else_complained_of_once(made: Any) -> None:
    """Row: clock."""
    fake = made()
    at = time.time_ns() + 10**10
    assert Clock().set(at) == pytest.approx(10, abs=1)
    assert fake.clock == at
    assert abs(Clock().set(time.time_ns())) < 1
    fake.sets_clock, fake.clock = False, None
    clock = Clock()
    with pytest.raises(OSError, match="not implemented"):
        clock.set(at)
    assert (clock.set(at), fake.clock) == (0.0, None)


def test_the_host_comes_over_tcp_from_its_own_address_only(made: Any) -> None:
    """Row: control-tcp, weak-host."""
    made()
    loop, bodies, opened_times = Loop(), list[bytes](), list[int]()
    platform = Unikernel(TOLD.to_dict())
    line = platform.control(loop, bodies.append, lambda: opened_times.append(1))
    assert platform.line is not None
    address = platform.line.address
    assert not line.send({"type": "hello"})
    with socket.create_connection(address, timeout=10) as stranger:  # from 127.0.0.1, as a peer or a machine of the LAN
        loop.run_once(1)
        assert stranger.recv(1) == b""
    assert opened_times == []
    with socket.create_connection(address, timeout=10, source_address=("127.0.0.2", 0)) as host:
        loop.run_once(1)
        assert opened_times == [1]
        assert line.send({"type": "hello"})
        assert Decoder().feed(host.recv(1000)) == [{"type": "hello"}]
        line.listen(False)
        host.sendall(encode({"type": "time"}))
        loop.run_once(0.05)
        assert bodies == []
        line.listen(True)
        loop.run_once(1)
        assert len(bodies) == 1
        with socket.create_connection(address, timeout=10, source_address=("127.0.0.2", 0)) as newer:
            loop.run_once(1)
            assert host.recv(1) == b""
            assert line.send({"type": "hello"})
            assert newer.recv(1000)
    loop.run_once(1)
    assert not line.send({"type": "hello"})
    platform.line.close()
    loop.close()


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"WGNODE_TRANSIT": None}, "was this image made by"),
        ({"WGNODE_LAN": "x"}, "WGNODE_LAN"),
        ({"WGNODE_CONTROL_PORT": "y"}, "PORT"),
    ],
)
def test_an_environment_that_no_manifest_has_is_refused(change: dict[str, str | None], why: str) -> None:
    told = {**TOLD.to_dict(), **change}
    with pytest.raises(ValueError, match=why):
        Unikernel({name: value for name, value in told.items() if value is not None})


def test_what_the_fake_does_with_a_long_packet_is_what_nanos_does(made: Any) -> None:
    """Row: frag-needed. The kernel tells no MTU, so the node's own answer has to come first (test_nanos_program.py)."""
    fake = made()
    platform, tun = opened()
    platform.links.configure_tunnel(CONFIG, tun.name)
    header = struct.pack(
        "!BBHHHBBH4s4s",
        0x45,
        0,
        1500,
        7,
        0x4000,
        64,
        17,
        0,
        IPv4Address("192.168.7.9").packed,
        IPv4Address("10.2.0.9").packed,
    )
    fake.from_lan(header[:10] + checksum(header).to_bytes(2, "big") + header[12:] + bytes(1480))
    (told,) = fake.netif("en2").out
    assert (told[9], told[20], told[21], told[24:28]) == (1, 3, 4, bytes(4))
    tun.close()


def test_what_comes_from_one_peer_for_another_is_not_sent_back_into_the_tunnel(made: Any) -> None:
    """Row: no-hairpin."""
    fake = made()
    platform, tun = opened()
    platform.links.configure_tunnel(CONFIG, tun.name)
    tun.write(forward.dying_packet(IPv4Address("10.2.0.9"), IPv4Address("10.2.1.2")))
    deadline = time.monotonic() + 10
    while not fake.counters["not sent back by where it came"] and time.monotonic() < deadline:
        time.sleep(0.01)
    assert fake.counters["not sent back by where it came"] == 1
    tun.close()
