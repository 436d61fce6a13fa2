"""What a preview tells of what the update would refuse, or cost. Nothing on the host is changed for it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pulumi_wgnode.call import log
from pulumi_wgnode.call.kind import UNKNOWN
from pulumi_wgnode.call.log import Severity
from pulumi_wgnode.contracts.node import config_of
from pulumi_wgnode.hosts import owners
from pulumi_wgnode.hosts.host import HostKeyMismatch, HostUnreachable
from pulumi_wgnode.hosts.owners import Owner, Record
from pulumi_wgnode.resources.gateway import Gateway
from pulumi_wgnode.resources.hypervisor_host import HypervisorHost
from pulumi_wgnode.resources.nat_firewall import NatFirewall
from pulumi_wgnode.resources.unread import OnHost
from tests.unit.pulumi_wgnode.fake_host import FakeHost, failed, link, said
from tests.unit.pulumi_wgnode.keys import KEY, PIN
from tests.unit.pulumi_wgnode.resources import gateway_case
from tests.unit.pulumi_wgnode.resources.gateway_host import GatewayHost
from wgnode.image import paths

CONNECTION = {"address": "198.51.100.2", "hostKeys": [PIN], "privateKey": KEY}
NETWORKS = {"uplink": "wan0", "lanInterface": "lan0", "routes": [{"to": "10.2.0.0/24", "via": "10.1.0.2"}]}
RULES = {"uplink": "wan0", "managementNetworks": ["192.0.2.0/24"]}
SITE = {"id": gateway_case.ID, "mesh": "demo", "name": "berlin"}
HOST = {"connection": CONNECTION, "site": SITE, "networks": NETWORKS}
FIREWALL = {"connection": CONNECTION, "site": SITE, **RULES}


@pytest.fixture
def told():
    """(text, severity) of what a preview says."""
    lines = []
    log.send_to(lambda text, severity: lines.append((text, severity)))
    yield lines
    log.send_to(None)


def preview(kind, host, news, state=None):
    """As the server does it; whatever `host` is raised instead of a connection, if it is an error."""

    def connect(_):
        if isinstance(host, Exception):
            raise host
        return host

    OnHost(kind(connect=connect), connect).foresee(kind().check(news, {}), state)


def warnings(told):
    return [text for text, severity in told if severity is Severity.WARNING]


def one(told):
    (text,) = warnings(told)
    return text


def gateway(host, **changes):
    """A gateway that runs on the host, and what a preview of it with `changes` tells."""
    kind = Gateway(connect=lambda _: host)
    _, _, state = gateway_case.created(kind)
    host.events.clear()
    return {**gateway_case.NEWS, **changes}, state


def test_a_host_where_all_is_well_is_not_spoken_of(told):
    host = FakeHost()
    preview(HypervisorHost, host, HOST)
    preview(NatFirewall, host, FIREWALL)
    news, state = gateway(guest := GatewayHost())
    preview(Gateway, guest, news, state)
    assert warnings(told) == []
    assert host.events == guest.events == []


@pytest.mark.parametrize(
    ("networks", "says"),
    [
        ({"uplink": "wan9"}, "there is no uplink interface wan9; there are wan0, lan0; correct it"),
        ({"lanInterface": "lan9"}, "there is no LAN interface lan9"),
        ({"routes": [{"to": "10.2.0.0/24", "via": "10.9.0.2"}]}, "no address in the network of 10.9.0.2"),
        (
            {"transit": {"v4": "10.1.0.0/30"}},
            "lan0 has 10.1.0.1/24, which is in the network of the link to the gateway",
        ),
    ],
)
@pytest.mark.parametrize("state", [None, {}], ids=["create", "update"])
def test_networks_that_cannot_be_are_told(told, networks, says, state):
    preview(HypervisorHost, FakeHost(), {**HOST, "networks": {**NETWORKS, **networks}}, state)
    assert says in one(told)
    assert one(told).startswith("`pulumi up` would be refused: host root@fake: ")


def test_an_interface_is_judged_also_while_routes_are_unknown(told):
    networks = {**NETWORKS, "uplink": "wan9", "routes": UNKNOWN}
    preview(HypervisorHost, FakeHost(), {**HOST, "networks": networks})
    assert "no uplink interface wan9" in one(told)


def test_another_firewall_is_judged_also_while_routes_and_port_are_unknown(told):
    host = FakeHost()
    host.foreign = [
        {"chain": {"family": "inet", "table": "mine", "name": "fwd", "hook": "forward", "policy": "drop"}},
    ]
    inputs = {**HOST, "networks": {**NETWORKS, "routes": UNKNOWN}, "listenPort": UNKNOWN}
    preview(HypervisorHost, host, inputs)
    assert "inet mine fwd: nft insert rule inet mine fwd iifname wgnode-wan accept" in one(told)
    assert "wgnode-br0" not in one(told)


REFERRED = "host root@fake is of a system that gateways are not run on; `pulumi up` would be refused"
UBUNTU = 'architecture amd64\ninit systemd\nID=ubuntu\nID_LIKE=debian\nPRETTY_NAME="Ubuntu 24.04 LTS"\n'


class Alpine(FakeHost):
    """Has an `ip` that knows no JSON, and no nft."""

    release = "architecture x86_64\ninit init\nID=alpine\nVERSION_ID=3.20\n"

    def __init__(self):
        super().__init__()
        self.release = Alpine.release

    def _answer(self, argv, input):
        return failed("not found") if argv[0] in ("ip", "nft", "systemctl", "ss") else super()._answer(argv, input)


@pytest.mark.parametrize("routes", [NETWORKS["routes"], UNKNOWN], ids=["known", "unknown"])
@pytest.mark.parametrize("name", ["Ubuntu 24.04 LTS (ubuntu, made of Debian)", "alpine 3.20 (alpine)"])
def test_a_host_of_another_system_is_told_by_name_and_nothing_else_of_it(told, name, routes):
    host = Alpine() if "alpine" in name else FakeHost()
    if "Ubuntu" in name:
        host.release = UBUNTU
    preview(HypervisorHost, host, {**HOST, "networks": {**NETWORKS, "routes": routes}})
    in_full, of_the_resource = warnings(told)
    assert f"it is {name}; needed is a host of Debian 12 or 13 on amd64" in in_full
    assert of_the_resource == REFERRED
    assert host.events == []


def test_the_other_resources_of_such_a_host_say_no_more(told):
    host = Alpine()
    preview(NatFirewall, host, FIREWALL)
    preview(Gateway, host, gateway_case.NEWS)
    assert warnings(told)[1::2] == [REFERRED, REFERRED]
    assert all("alpine 3.20" in text for text in warnings(told)[::2])


class Routing(FakeHost):
    """Reached from 203.0.113.9; answers go by `way`."""

    way = "wan0"

    def __init__(self):
        super().__init__()
        self.ssh_connection = "203.0.113.9 50000 198.51.100.2 22"

    def _ip(self, argv, input):
        return said(f"203.0.113.9 via 198.51.100.1 dev {self.way} src 198.51.100.2 uid 0\n")


def test_a_firewall_that_would_lock_us_out_is_foreseen(told):
    preview(NatFirewall, Routing(), FIREWALL)
    assert "the firewall would lock us out: our SSH comes from 203.0.113.9" in one(told)
    assert "managementNetworks (192.0.2.0/24)" in one(told)


@pytest.mark.parametrize("client", ["192.0.2.77", "::ffff:192.0.2.77", "127.0.0.1", "fe80::1%wan0"])
def test_who_is_let_in_is_not_locked_out(told, client):
    host = Routing()
    host.ssh_connection = f"{client} 50000 198.51.100.2 22"
    preview(NatFirewall, host, {**FIREWALL, "managementNetworks": ["192.0.2.0/24", "fe80::/10"]})
    assert warnings(told) == []


def test_who_does_not_come_by_the_uplink_is_not_judged(told):
    host = Routing()
    host.way = "lan0"
    preview(NatFirewall, host, FIREWALL)
    assert warnings(told) == []


def test_a_port_that_is_taken_and_an_ssh_port_behind_a_forward_are_told_both(told):
    host = FakeHost()
    host.ssh_connection = "192.0.2.7 50000 198.51.100.2 2200"
    host.listeners = 'UNCONN 0 0 0.0.0.0:51820 0.0.0.0:* users:(("dnsd",pid=7,fd=3))\n'
    preview(NatFirewall, host, FIREWALL)
    first, second = warnings(told)
    assert "its SSH listens on port 2200" in first
    assert "UDP port 51820 is taken by dnsd (pid 7)" in second


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"machine": {"memory": 320, "accelerator": "tcg"}}, "machine.memory is to be 320 MiB instead of 160 MiB"),
        ({"machine": {"memory": 160, "cpus": 2, "accelerator": "tcg"}}, "machine.cpus is to be 2 instead of 1"),
        (
            {"image": {"directory": paths.image_directory("cd" * 32), "sha256": "cd" * 32}},
            "image.sha256 is to be cdcdcdcdcdcd instead of abababababab",
        ),
        (
            {"machine": {"memory": 160, "cpus": 1, "accelerator": "tcg", "udpSegmentation": True}},
            "its host's QEMU and kernel carry UDP segmentation to its cards now, which it is to have",
        ),
    ],
)
def test_a_new_guest_is_announced_with_its_reason(told, changes, reason):
    host = GatewayHost()
    news, state = gateway(host, **changes)
    preview(Gateway, host, news, state)
    assert "a new guest is needed, an outage until it has booted: " in one(told)
    assert one(told).endswith(reason)
    assert host.events == []


def test_a_host_that_carries_udp_segmentation_no_more_is_told_of_as_the_reason(told):
    host = GatewayHost()
    _, _, state = gateway_case.created(
        Gateway(connect=lambda _: host), machine={"memory": 160, "udpSegmentation": True}
    )
    preview(Gateway, host, gateway_case.NEWS, state)
    assert one(told).endswith("its host's QEMU or kernel does not carry UDP segmentation to its cards any more")


def test_what_the_running_node_can_take_is_no_new_guest(told):
    host = GatewayHost()
    news, state = gateway(host, **gateway_case.JOINED)
    preview(Gateway, host, news, state)
    assert warnings(told) == []


def test_with_an_unknown_configuration_what_is_known_is_told(told):
    host = GatewayHost()
    news, state = gateway(host)
    kind = OnHost(Gateway(connect=lambda _: host), lambda _: host)
    kind.foresee({**news, "machine": {"memory": 320, "cpus": 1, "accelerator": "tcg"}, "config": UNKNOWN}, state)
    assert "machine.memory is to be 320 MiB" in one(told)


def stop(host):
    host.states[paths.PLAIN.gateway_unit][0] = "inactive"


def detach(host):
    host.detached.add(paths.PLAIN.lan_tap)


def rewrite(host):
    path = gateway_case.GATEWAY_FILE
    data, mode, owner = host.files[path]
    host.files[path] = (data + b"# by hand\n", mode, owner)


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (stop, f"{paths.PLAIN.gateway_unit} is inactive"),
        (detach, f"nothing is attached to {paths.PLAIN.lan_tap}"),
        (rewrite, "on the host is another than is wanted"),
    ],
)
def test_drift_that_needs_a_new_guest_is_announced(told, spoil, reason):
    host = GatewayHost()
    news, state = gateway(host)
    spoil(host)
    preview(Gateway, host, news, state)
    assert reason in one(told)


def test_a_guest_without_room_is_told(told):
    host = GatewayHost()
    host.memory = (100, 0)
    preview(Gateway, host, gateway_case.NEWS)
    assert "is to have 160 MiB of memory, but 100 MiB are available" in one(told)


def test_a_gateways_address_that_is_the_hosts_own_is_told_and_refused(told):
    host = GatewayHost()
    host.links["lan0"] = link("lan0", "10.1.0.2/24")
    preview(Gateway, host, gateway_case.NEWS)
    assert "10.1.0.2 is to be the gateway's address in the LAN, but is the host's own, on lan0" in one(told)
    with pytest.raises(Exception, match=r"host's own, on lan0"):
        gateway_case.created(Gateway(connect=lambda _: host))


@pytest.mark.parametrize(("mac", "taken"), [("02:00:00:00:00:01", True), (gateway_case.CONFIG.lan.mac, False)])
def test_an_address_that_another_machine_answers_for_is_told(told, monkeypatch, mac, taken):
    host = GatewayHost()
    answer = host._sh
    neighbour = said(f"10.1.0.2 dev lan0 lladdr {mac} REACHABLE\n")
    monkeypatch.setattr(host, "_sh", lambda argv, data: neighbour if "ip neigh" in argv[2] else answer(argv, data))
    preview(Gateway, host, gateway_case.NEWS)
    assert [
        f"10.1.0.2 is to be the gateway's address in the LAN, but is in use there by {mac}" in text
        for text in warnings(told)
    ] == [True] * taken


def test_a_host_that_is_away_is_no_error_of_a_preview(told):
    preview(HypervisorHost, HostUnreachable("host root@a: cannot connect"), HOST)
    assert told[0] == ("host root@a: cannot connect", Severity.WARNING)
    assert "cannot be told beforehand" in told[1][0]


def test_pins_that_the_host_does_not_have_are_told(told):
    preview(HypervisorHost, HostKeyMismatch("host root@a: shows host key x"), HOST, {})
    assert ("host root@a: shows host key x", Severity.WARNING) in told
    assert "`pulumi up` would be refused" in warnings(told)[1]


def test_an_address_that_is_not_known_yet_is_not_connected_to(told):
    news = {**HOST, "connection": {**CONNECTION, "address": UNKNOWN}}
    preview(HypervisorHost, AssertionError("connected"), news)
    assert told == []


def test_fixed_differences_are_those_of_what_lies_on_the_host(told):
    """As after a live change, which the recorded inputs know nothing of."""
    host = GatewayHost()
    news, state = gateway(host)
    config = config_of(news["config"])
    lan = replace(config.lan, addresses=("10.1.0.7/24",))
    preview(Gateway, host, {**news, "config": replace(config, lan=lan).to_json().decode()}, state)
    assert "lan can't be changed while it runs" in one(told)


def test_a_host_that_is_another_site_s_is_told_and_nothing_more(told):
    host = FakeHost()
    owner = Owner("77ac01d2e4b50607", "demo", "cabin")
    host.files[owners.path_of(owner.id)] = (Record(owner, "1").to_json().encode(), 0o644, "root")
    preview(HypervisorHost, host, {**HOST, "networks": {**NETWORKS, "uplink": "wan9"}})
    assert "would be refused: host root@fake: it is the host of site 'cabin' of mesh 'demo'" in one(told)
