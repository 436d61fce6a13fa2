"""What of a site's host is as its stack has it: judged by the resources themselves, told in words."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from pulumi_wgnode.call.kind import Properties
from pulumi_wgnode.hosts.host import Connection, NoRoot
from pulumi_wgnode.operations import part_words, site_parts
from pulumi_wgnode.operations.recorded import Recorded
from pulumi_wgnode.operations.site_parts import Difference, Part
from pulumi_wgnode.resources.inputs import described
from tests.unit.pulumi_wgnode.fake_host import link, ways
from tests.unit.pulumi_wgnode.keys import PIN
from tests.unit.pulumi_wgnode.resources.whole_site import SiteHost, WholeSite
from wgnode.image import paths

CONNECTION = Connection("198.51.100.2", (PIN,), private_key="key")
BERLIN = paths.PLAIN


@pytest.fixture
def whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> WholeSite:
    return WholeSite(tmp_path, monkeypatch)


def parts(site: WholeSite, *left_out: str) -> dict[str, Part]:
    recorded = [Recorded(token, *one) for token, one in site.recorded.items() if token.split(":")[2] not in left_out]
    found = site_parts.read_all(recorded, CONNECTION, site.kinds.__getitem__)
    return {part.name: part for part in found}


def problems(site: WholeSite, *left_out: str) -> list[str]:
    return list(part_words.all_problems(list(parts(site, *left_out).values())))


def test_right_after_deployment_all_is_as_wanted(whole: WholeSite) -> None:
    assert {name: part.state for name, part in parts(whole).items()} == dict.fromkeys(
        ("host", "firewall", "image", "gateway"), "as wanted"
    )
    assert problems(whole) == []


def flushed(host: SiteHost) -> None:
    host.table = None


def bridge_gone(host: SiteHost) -> None:
    del host.links["wgnode-br0"]
    host.links["lan0"] = link("lan0", "10.1.0.1/24")
    host.links["wgnode-lan"] = link("wgnode-lan", kind="tun", type="tap", group="wgnode-qemu")


def route_elsewhere(host: SiteHost) -> None:
    host.routes["10.2.0.0/24"] = "via 10.1.0.77"


def forwarding_off(host: SiteHost) -> None:
    host.sysctls["net/ipv4/ip_forward"] = "0"


def stopped(host: SiteHost) -> None:
    host.states[BERLIN.gateway_unit][0] = "inactive"


def failed(host: SiteHost) -> None:
    host.states[BERLIN.firewall_unit][0] = "failed"


def disabled(host: SiteHost) -> None:
    host.states[BERLIN.network_unit][1] = "disabled"


def of_another(host: SiteHost) -> None:
    host.node["peers"][0]["allowed_ips"] = ["10.9.0.0/16"]


def image_edited(host: SiteHost) -> None:
    path = next(path for path in host.files if path.endswith("initramfs.zst"))
    host.files[path] = (b"another", 0o644, "root")


def image_torn(host: SiteHost) -> None:
    del host.files[next(path for path in host.files if path.endswith("vmlinux"))]


def layer_gone(host: SiteHost) -> None:
    del host.files[BERLIN.config_layer]


def no_hostd(host: SiteHost) -> None:
    host.states[BERLIN.hostd_unit][0] = "inactive"


def hostd_masked(host: SiteHost) -> None:
    host.states[BERLIN.hostd_unit] = ["inactive", "masked"]


def guest_failed(host: SiteHost) -> None:
    host.states[BERLIN.gateway_unit][0] = "failed"


def lan_let_go(host: SiteHost) -> None:
    del host.links["lan0"]["master"]


def lan_gone(host: SiteHost) -> None:
    del host.links["lan0"]


def tap_down(host: SiteHost) -> None:
    host.links["wgnode-wan"]["flags"] = []


def bridge_down(host: SiteHost) -> None:
    host.links["wgnode-br0"]["flags"] = []


def uplink_down(host: SiteHost) -> None:
    host.links["wan0"]["flags"] = []


def uplink_unplugged(host: SiteHost) -> None:
    host.links["wan0"]["flags"].append("NO-CARRIER")


def lan_unplugged(host: SiteHost) -> None:
    host.links["lan0"]["flags"].append("NO-CARRIER")


def chains_emptied(host: SiteHost) -> None:
    assert host.table is not None
    host.table = tuple(replace(chain, rules=()) for chain in host.table)


def transit_cut_off(host: SiteHost) -> None:
    host.cut_off.add("172.31.255.252/30")


def lan_cut_off(host: SiteHost) -> None:
    host.routing = ways({"dst": "default", "dev": "wan0"})


def not_forwarded(host: SiteHost) -> None:
    host.sysctls |= {f"net/ipv4/conf/{name}/forwarding": "1" for name in ("wgnode-br0", "wgnode-wan")}
    host.sysctls["net/ipv4/conf/wan0/forwarding"] = "0"


def disk_full(host: SiteHost) -> None:
    host.room = "0 1000 2000 /var\n"


def no_inodes(host: SiteHost) -> None:
    host.room = "1000 0 2000 /var\n"


def disk_broken(host: SiteHost) -> None:
    host.room = "1000 1000 2000 /\nread-only\n"


@pytest.mark.parametrize(
    ("harm", "part", "said"),
    [
        (no_hostd, "gateway", f"service {BERLIN.hostd_unit} is inactive, enabled instead of active, enabled"),
        (hostd_masked, "gateway", f"service {BERLIN.hostd_unit} is inactive, masked instead of active, enabled"),
        (guest_failed, "gateway", f"(`journalctl -u {BERLIN.gateway_unit}` on the host says why)"),
        (lan_let_go, "host", "host: link lan0 is up instead of up, in wgnode-br0"),
        (lan_gone, "host", "host: link lan0 is missing"),
        (tap_down, "host", "host: link wgnode-wan is tap of wgnode-qemu, down, "),
        (bridge_down, "host", "host: link wgnode-br0 is bridge, down instead of bridge, up"),
        (uplink_down, "host", "host: the uplink wan0 is down, so nothing passes by it; `ip link set wan0 up`"),
        (uplink_unplugged, "host", "host: the uplink wan0 has no carrier, so nothing passes by it: its cable is out"),
        (lan_unplugged, "host", "host: the LAN interface lan0 has no carrier"),
        (chains_emptied, "firewall", "firewall: none of its "),
        (
            transit_cut_off,
            "host",
            "host: link wgnode-wan is without a route to 172.31.255.252/30, tap of wgnode-qemu, up, ",
        ),
        (lan_cut_off, "host", "host: it has 10.1.0.1/24 on wgnode-br0, but no route to 10.1.0.0/24 by it"),
        (
            not_forwarded,
            "host",
            "host: it forwards, but nothing of IPv4 that comes in by wan0; `sysctl -w net/ipv4/conf/wan0",
        ),
        (disk_full, "host", "host: its file system /var is full, no space is free"),
        (no_inodes, "host", "host: its file system /var is full, no inode is free"),
        (disk_broken, "host", "host: its file system / is read-only"),
        (flushed, "firewall", "firewall: none of its "),
        (bridge_gone, "host", "host: link wgnode-br0 is missing"),
        (route_elsewhere, "host", "host: route 10.2.0.0/24 is via 10.1.0.77 instead of via 10.1.0.2"),
        (forwarding_off, "host", "host: kernel setting net/ipv4/ip_forward is 0 instead of 1"),
        (stopped, "gateway", f"gateway: service {BERLIN.gateway_unit} is inactive, enabled instead of active, enabled"),
        (failed, "firewall", f"is failed, enabled instead of active, enabled (`journalctl -u {BERLIN.firewall_unit}`"),
        (disabled, "host", f"host: service {BERLIN.network_unit} is active, disabled instead of active, enabled"),
        (of_another, "gateway", "gateway: peer cabin allowedIPs is 10.9.0.0/16 instead of 10.2.0.0/24"),
        (image_edited, "image", "image: file initramfs.zst is sha256:"),
        (image_torn, "image", "image: file vmlinux is missing"),
        (layer_gone, "gateway", "gateway: file config is missing"),
    ],
    ids=lambda value: value.__name__ if callable(value) else "",
)
def test_what_is_broken_is_named_with_what_is_wanted(
    whole: WholeSite, harm: Callable[[SiteHost], None], part: str, said: str
) -> None:
    harm(whole.host)
    assert [name for name, one in parts(whole).items() if not one.well] == [part]
    assert said in "\n".join(problems(whole))


def test_an_uplink_by_which_nothing_leaves_is_told_with_the_way_out_though_nothing_of_ours_was_changed(
    whole: WholeSite,
) -> None:
    whole.host.links["vmbr0"] = link("vmbr0", "198.51.100.2/24", kind="bridge")
    whole.host.links["wan0"] = link("wan0", master="vmbr0")
    told = problems(whole)
    assert re.match("host: uplink wan0 is a port of the bridge vmbr0.* instead of traffic leaves by it$", told[0])
    assert re.match("host: the uplink wan0 is a port of .* set `uplink: vmbr0` in the site's stack file$", told[1])
    assert {name for name, part in parts(whole).items() if not part.well} == {"host", "firewall"}


def test_a_table_that_is_gone_is_a_line_a_kind_of_thing_and_not_one_a_rule(whole: WholeSite) -> None:
    flushed(whole.host)
    wanted = parts(whole)["firewall"].wanted
    assert wanted is not None
    assert problems(whole) == [
        f"firewall: none of its {wanted['rules']} rules is there",
        f"firewall: none of its {wanted['chains']} chains is there",
    ]


def test_of_a_node_that_does_not_run_nothing_else_is_told(whole: WholeSite) -> None:
    stopped(whole.host)
    assert len(problems(whole)) == 1


def test_a_firewall_of_somebody_else_that_came_later_is_a_problem_though_nothing_of_ours_differs(
    whole: WholeSite,
) -> None:
    base = {"family": "ip", "table": "filter", "name": "FORWARD"}
    whole.host.foreign = [{"chain": {**base, "hook": "forward", "policy": "drop"}}]
    host = parts(whole)["host"]
    assert (host.state, host.differences, host.well) == ("as wanted", (), False)
    assert "another firewall drops what the gateway needs" in "\n".join(problems(whole))


def test_what_nobody_can_be_sure_of_is_a_note_and_no_problem(whole: WholeSite) -> None:
    base = {"family": "inet", "table": "filter"}
    whole.host.foreign = [
        {"chain": {**base, "name": "forward", "hook": "forward", "policy": "drop"}},
        {"rule": {**base, "chain": "forward", "expr": [{"xt": {"type": "match", "name": "set"}}, {"accept": None}]}},
    ]
    (note,) = parts(whole)["host"].notes
    assert "may drop what the gateway needs" in note
    assert problems(whole) == []


def test_what_keeps_all_parts_from_being_read_is_told_once() -> None:
    unread = [Part(name, "unread", said=("host x: cannot connect",)) for name in ("host", "firewall")]
    assert list(part_words.all_problems([*unread, Part("image", "unread", said=("another",))])) == [
        "host, firewall: can't be read: host x: cannot connect",
        "image: can't be read: another",
    ]


def test_what_was_taken_away_or_never_deployed_is_told(whole: WholeSite) -> None:
    assert problems(whole, "NatFirewall") == ["firewall: its stack has none: no `pulumi up` has got so far"]
    for path in [path for path in whole.host.files if "/images/" in path]:
        del whole.host.files[path]
    whole.host.directories = {path: mode for path, mode in whole.host.directories.items() if "/images/" not in path}
    assert "image: it is not on that host any more, or that is another host than it was deployed to" in problems(whole)


def test_a_part_that_can_not_be_read_says_why_and_is_no_end_of_the_others(
    whole: WholeSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise NoRoot("host root@fake: ops gets no root by sudo")

    monkeypatch.setattr(whole.kinds["wgnode:index:NatFirewall"]._kind, "read", refuse)
    assert problems(whole) == ["firewall: can't be read: ops gets no root by sudo"]
    assert parts(whole)["gateway"].well


def test_the_connection_is_that_of_the_stack_file(whole: WholeSite, monkeypatch: pytest.MonkeyPatch) -> None:
    kind = whole.kinds["wgnode:index:NatFirewall"]
    seen = []

    def read(id: str, state: Properties, inputs: Properties) -> None:
        seen.append(inputs["connection"])

    monkeypatch.setattr(kind, "read", read)
    moved = replace(CONNECTION, address="198.51.100.9", private_key=None)
    site_parts.read(Recorded("wgnode:index:NatFirewall", *whole.recorded["wgnode:index:NatFirewall"]), moved, kind)
    assert seen == [{"address": "198.51.100.9", "hostKeys": [PIN], "agent": False}]
    jump = {"address": "192.0.2.1", "hostKeys": [PIN], "user": "ops", "agent": True}
    far = {"sshHost": "far", "hostAuthorities": [PIN], "port": 2222, "passphrase": "x", "jumpHosts": [jump]}
    site_parts.read(
        Recorded("wgnode:index:NatFirewall", *whole.recorded["wgnode:index:NatFirewall"]), described(far), kind
    )
    assert described(seen[1]) == described(far), "none of it is lost"


def test_words_for_what_no_one_has_words_for_and_for_many() -> None:
    differences = tuple(
        [Difference(("masters", f"eth{n}"), "none", "bond0") for n in range(5)]
        + [Difference(("uplink",), "wan1", "wan0"), Difference(("routes", "10.0.0.0/8"), "via 10.1.0.9", None)]
    )
    assert list(part_words.problems(Part("host", "differs", differences, {"masters": 5}))) == [
        "host: masters eth0 is none instead of bond0",
        "host: masters eth1 is none instead of bond0",
        "host: masters eth2 is none instead of bond0",
        "host: so are 2 more of its masters",
        "host: uplink is wan1 instead of wan0",
        "host: route 10.0.0.0/8 (via 10.1.0.9) does not belong there",
    ]
    digest = "0123456789abcdef" * 4
    file = Difference(("files", "/etc/x"), f"sha256:{digest} 0644 root:root", f"sha256:{digest} 0600 root:root")
    assert list(part_words.problems(Part("host", "differs", (file,), {"files": 1}))) == [
        "host: file /etc/x is sha256:0123456789ab 0644 root:root instead of sha256:0123456789ab 0600 root:root"
    ]
