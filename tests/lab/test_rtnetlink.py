"""Our rtnetlink and TUN against the kernel, with iproute2 as the witness."""

from __future__ import annotations

import errno
import json
import select
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.lab.interop import Bench, Namespace, bench, wait_for
from wgnode.io.netlink import NetlinkError, Rtnetlink
from wgnode.io.netlink.links import Link
from wgnode.io.netlink.monitor import LinkMonitor
from wgnode.io.netlink.routes import Route
from wgnode.io.tun import Tun, TunGone, get_mtu
from wgnode.platform.linux.announce import announce
from wgnode.platform.linux.route_mtu import RouteMtus
from wgnode.platform.linux.sysctl import read_sysctl, write_sysctl

pytestmark = pytest.mark.lab


@pytest.fixture
def cable(tmp_path: Path) -> Iterator[Bench]:
    with bench(tmp_path) as made:
        yield made


@pytest.fixture
def space(cable: Bench) -> Namespace:
    return cable.spaces[0]


@pytest.fixture
def kernel(space: Namespace) -> Iterator[Rtnetlink]:
    with space.call(Rtnetlink) as made:
        yield made


def ip(space: Namespace, *words: str) -> list[dict[str, Any]]:
    return list(json.loads(space.run("ip", "-j", *words) or "[]"))


def test_links_are_found_by_name_and_mac(space: Namespace, kernel: Rtnetlink) -> None:
    (seen,) = ip(space, "link", "show", "veth0")
    link = kernel.link("veth0")
    assert link == Link(seen["ifindex"], "veth0", seen["address"], seen["mtu"], True)
    assert kernel.link_by_mac(seen["address"].upper()) == link
    with pytest.raises(NetlinkError, match="no network interface nonsense") as error:
        kernel.link("nonsense")
    assert error.value.errno == errno.ENODEV


def test_links_change(space: Namespace, kernel: Rtnetlink) -> None:
    index = kernel.link("veth0").index
    kernel.set_link(index, up=False)
    kernel.set_link(index, name="wan0", mtu=1280)
    assert kernel.link("wan0").up is False
    kernel.set_link(index, up=True)
    (seen,) = ip(space, "link", "show", "wan0")
    assert seen["mtu"] == 1280
    assert "UP" in seen["flags"]
    kernel.delete_link(index)
    assert [link.name for link in kernel.links()] == ["lo"]


def test_addresses_come_and_go_and_are_usable_at_once(space: Namespace, kernel: Rtnetlink) -> None:
    index = kernel.link("veth0").index
    for address in ("10.5.0.1/24", "fd05::1/64"):
        kernel.add_address(index, address)
        kernel.add_address(index, address)
        assert address in kernel.addresses(index)
    (seen,) = ip(space, "address", "show", "veth0")
    assert all(not each.get("tentative") for each in seen["addr_info"] if each["local"] == "fd05::1")
    for address in ("10.5.0.1/24", "fd05::1/64"):
        kernel.delete_address(index, address)
        kernel.delete_address(index, address)
        assert address not in kernel.addresses(index)


def test_routes_come_and_go(space: Namespace, kernel: Rtnetlink) -> None:
    index = kernel.link("veth0").index
    kernel.add_route("0.0.0.0/0", via="192.0.2.2")
    kernel.add_route("::/0", via="2001:db8::2")
    kernel.add_route("10.2.0.0/16", index=index, mtu=1299)
    kernel.add_route("10.2.0.0/16", index=index, mtu=1300)
    kernel.add_route("fd02::/64", index=index)
    routes = kernel.routes()
    assert Route("0.0.0.0/0", "192.0.2.2", index) in routes
    assert Route("::/0", "2001:db8::2", index) in routes
    assert [route for route in routes if route.destination == "10.2.0.0/16"] == [Route("10.2.0.0/16", None, index)]
    (seen,) = ip(space, "route", "show", "10.2.0.0/16")
    assert seen["metrics"] == [{"mtu": 1300}]
    for destination in ("0.0.0.0/0", "::/0", "10.2.0.0/16", "fd02::/64"):
        kernel.delete_route(destination)
        kernel.delete_route(destination)
    left = {route.destination for route in kernel.routes()}
    assert not left & {"0.0.0.0/0", "::/0", "10.2.0.0/16", "fd02::/64"}


def test_mtus_of_a_links_routes_are_followed_and_nothing_else_is_looked_up(
    space: Namespace, kernel: Rtnetlink, monkeypatch: pytest.MonkeyPatch
) -> None:
    index, other = kernel.link("veth0").index, kernel.link("lo").index
    kernel.add_route("10.1.0.0/16", index=index, mtu=1290)
    kernel.add_route("10.9.0.0/16", index=other, mtu=1111)
    routes = space.call(lambda: RouteMtus(index))
    assert routes.mtus == (1290,)
    looks: list[None] = []
    look = routes.look
    monkeypatch.setattr(routes, "look", lambda: (looks.append(None), look())[1])  # type: ignore[func-returns-value]

    def after(change: str) -> tuple[tuple[int, ...], bool]:
        """What is known then, and whether it was asked for."""
        looks.clear()
        space.run("ip", *change.split())
        told = routes.read()
        assert told is bool(looks)
        return routes.mtus, told

    assert routes.read() is False
    assert after("route add 10.8.0.0/16 dev lo mtu 1222") == ((1290,), False)
    assert after("-6 route add fd01::/64 dev veth0 mtu 1400") == ((1290, 1400), True)
    assert after("route add 10.2.0.0/16 via 192.0.2.2 mtu 1299 table 77") == ((1290, 1299, 1400), True)
    assert after("route replace 10.1.0.0/16 dev veth0") == ((1299, 1400), True)
    assert after("route flush table 77") == ((1400,), True)
    assert after("-6 route del fd01::/64 dev veth0") == ((), True)
    assert after("route add 10.3.0.0/16 dev veth0") == ((), False)
    kernel.delete_link(index)
    routes.look()
    assert routes.mtus == ()
    routes.close()


def test_refusals_name_the_request(kernel: Rtnetlink) -> None:
    with pytest.raises(NetlinkError, match=r"add route 10\.2\.0\.0/16: Network is unreachable") as error:
        kernel.add_route("10.2.0.0/16", via="203.0.113.1")
    assert error.value.errno == errno.ENETUNREACH


def test_neighbours_and_proxies(space: Namespace, kernel: Rtnetlink) -> None:
    index = kernel.link("veth0").index
    kernel.add_neighbour(index, "192.0.2.9", "52:54:00:77:67:00")
    (seen,) = ip(space, "neighbour", "show", "192.0.2.9", "dev", "veth0")
    assert (seen["lladdr"], seen["state"]) == ("52:54:00:77:67:00", ["PERMANENT"])
    for address in ("10.2.0.7", "fd02::7"):
        kernel.add_proxy(index, address)
        kernel.add_proxy(index, address)
    assert {each["dst"] for each in ip(space, "neighbour", "show", "proxy")} == {"10.2.0.7", "fd02::7"}
    kernel.delete_proxy(index, "10.2.0.7")
    kernel.delete_proxy(index, "10.2.0.7")
    assert {each["dst"] for each in ip(space, "neighbour", "show", "proxy")} == {"fd02::7"}


def test_sysctls_are_the_namespaces_own(space: Namespace) -> None:
    def change() -> tuple[str, str]:
        before = read_sysctl("net/ipv4/conf/veth0/proxy_arp")
        write_sysctl("net/ipv4/conf/veth0/proxy_arp", 1)
        return before, read_sysctl("net/ipv4/conf/veth0/proxy_arp")

    assert space.call(change) == ("0", "1")


def test_monitor_tells_of_changes_and_of_the_end(space: Namespace, kernel: Rtnetlink) -> None:
    monitor = space.call(LinkMonitor)
    monitor.read()  # the kernel tells late that the cable is plugged in
    index = kernel.link("veth0").index
    kernel.set_link(index, mtu=1400)
    link, exists = monitor.read()[-1]
    assert (link.index, link.mtu, exists) == (index, 1400, True)
    kernel.delete_link(index)
    assert (index, False) in [(link.index, exists) for link, exists in monitor.read()]
    monitor.close()


def waits(watch: LinkMonitor | RouteMtus) -> bool:
    return bool(select.select([watch.fd], [], [], 0)[0])


def test_monitor_of_one_link_hears_of_no_other(space: Namespace, kernel: Rtnetlink) -> None:
    index = kernel.link("veth0").index
    monitor = space.call(lambda: LinkMonitor(index))
    space.run("ip", "link", "set", "lo", "mtu", "60000")
    space.run("ip", "link", "add", "d0", "type", "veth", "peer", "name", "d1")
    space.run("ip", "link", "del", "d0")
    assert not waits(monitor)
    kernel.set_link(index, up=False)
    assert [(link.index, link.up) for link, _ in monitor.read()][-1] == (index, False)
    kernel.delete_link(index)
    assert (index, False) in [(link.index, exists) for link, exists in monitor.read()]
    monitor.close()


def test_routes_of_other_links_do_not_wake_who_follows_those_of_one(space: Namespace, kernel: Rtnetlink) -> None:
    index = kernel.link("veth0").index
    kernel.add_route("10.1.0.0/16", index=index, mtu=1290)
    routes = space.call(lambda: RouteMtus(index))
    for change in ("add 10.8.0.0/16 dev lo mtu 1222", "add blackhole 10.4.0.0/16", "del 10.8.0.0/16 dev lo"):
        space.run("ip", "route", *change.split())
        assert not waits(routes)
    for change in ("add 10.2.0.0/16 via 192.0.2.2 mtu 1299 table 77", "del 10.1.0.0/16 dev veth0"):
        space.run("ip", "route", *change.split())
        assert waits(routes)
        assert routes.read()
    assert routes.mtus == (1299,)
    routes.close()


def test_a_link_is_found_by_its_index(kernel: Rtnetlink) -> None:
    link = kernel.link("veth0")
    assert kernel.link_at(link.index) == link
    kernel.delete_link(link.index)
    with pytest.raises(NetlinkError, match=f"network interface with index {link.index}") as error:
        kernel.link_at(link.index)
    assert error.value.errno == errno.ENODEV


def test_packets_pass_through_a_tun(space: Namespace, kernel: Rtnetlink) -> None:
    tun = space.call(lambda: Tun("t0", 1300))
    assert space.call(lambda: get_mtu("t0")) == 1300
    index = kernel.link("t0").index
    tun.write(b"\x45" + bytes(19))
    assert tun.counters == {"EIO": 1}  # the link is down
    kernel.add_address(index, "10.5.0.1/24")
    kernel.set_link(index, up=True)
    tun.read()
    space.run("ping", "-c", "1", "-W", "1", "-p", "abcd", "10.5.0.2", check=False)
    (echo,) = [packet for packet in tun.read() if packet[0] == 0x45 and packet[9] == 1]
    assert echo[16:20] == bytes([10, 5, 0, 2])
    assert tun.read() == []
    tun.write(b"\xff" * 40)
    assert tun.counters == {"EIO": 1, "EINVAL": 1}
    kernel.delete_link(index)
    with pytest.raises(TunGone):
        tun.read()
    with pytest.raises(TunGone):
        tun.write(echo)
    tun.close()


@pytest.mark.parametrize("name", ["", "a" * 16, "a/b", "..", "ü" * 8])
def test_names_that_no_interface_can_have_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match="interface name"):
        Tun(name)


def test_neighbours_who_know_another_gateways_mac_learn_ours_from_an_announcement(
    cable: Bench, space: Namespace
) -> None:
    neighbour, addresses = cable.spaces[1], ("192.0.2.77/24", "2001:db8::77/64")
    for address in addresses:
        entry = (address.split("/")[0], "lladdr", "02:00:00:00:00:09", "dev", "veth0")
        neighbour.run("ip", "neigh", "replace", *entry, "nud", "stale")
    (own,) = ip(space, "link", "show", "veth0")

    def known() -> set[str]:
        space.call(lambda: announce("veth0", own["address"], addresses))  # the namespace's IPv6 is not all up yet
        return {each["lladdr"] for each in ip(neighbour, "neigh", "show") if each["dst"].endswith("77")}

    wait_for(lambda: known() == {own["address"]}, "the neighbours' tables did not change")
    with pytest.raises(OSError, match="No such device"):
        space.call(lambda: announce("nonsense", own["address"], addresses))
