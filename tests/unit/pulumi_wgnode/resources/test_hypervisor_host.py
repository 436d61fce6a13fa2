from __future__ import annotations

import contextlib
import json

import pytest

from pulumi_wgnode.call import log
from pulumi_wgnode.call.kind import UNKNOWN, CheckError, Partial
from pulumi_wgnode.call.log import Severity
from pulumi_wgnode.contracts.hypervisor_host import PACKAGES
from pulumi_wgnode.hosts import undo
from pulumi_wgnode.hosts.host import HostError, Unsupported
from pulumi_wgnode.hosts.judging import facts
from pulumi_wgnode.hosts.networks import network_change
from pulumi_wgnode.resources import foreign_checks, host_checks
from pulumi_wgnode.resources.hypervisor_state import FOUND, directories
from tests.unit.pulumi_wgnode.fake_host import link
from tests.unit.pulumi_wgnode.keys import OTHER_KEY
from tests.unit.pulumi_wgnode.resources.hypervisor_case import NEWS, RECORD, TRANSIT, created, host, kind, paths
from wgnode.image.paths import PLAIN

SCRIPT, UNIT, SYSCTL_FILE = PLAIN.network_script, PLAIN.network_unit, PLAIN.sysctl_file
DIRECTORIES = directories(PLAIN)

__all__ = ["host", "kind"]


def test_all_that_a_gateway_needs_is_there_afterwards(kind, host):
    _, id, state = created(kind)
    assert id == "3fa9c1d2e4b50607"
    assert set(PACKAGES) <= host.packages
    assert host.users == {"wgnode", "wgnode-qemu"}
    assert host.joined == {"wgnode-qemu"}
    assert host.directories == DIRECTORIES
    assert host.sysctls["net/ipv4/ip_forward"] == host.sysctls["net/ipv6/conf/all/forwarding"] == "1"
    assert host.units[UNIT] == ["active", "enabled"]
    assert {SCRIPT, SYSCTL_FILE, FOUND} <= set(host.files)
    assert state["facts"]["interfaces"] == ["lan0", "wan0"]
    assert state["facts"]["kvm"] is False


@pytest.fixture
def told():
    """(text, severity) of what is said."""
    lines = []
    log.send_to(lambda text, severity: lines.append((text, severity)))
    yield lines
    log.send_to(None)


def test_a_host_of_arm64_gets_its_own_qemu_emulates_and_is_warned_of(kind, host, told):
    host.release = host.release.replace("architecture amd64", "architecture arm64")
    host.available.add("qemu-system-arm")
    inputs, id, state = created(kind)
    assert "qemu-system-arm" in host.packages
    assert "qemu-system-x86" not in host.packages
    assert (state["facts"]["architecture"], state["facts"]["kvm"]) == ("arm64", False)
    assert "KVM on arm64 has not been tried" in state["facts"]["kvmReason"]
    assert any("no host was ever tried" in text for text, severity in told if severity is Severity.WARNING)
    state, real = kind.read(id, state, inputs)
    assert not kind.diff(state, real, kind.check(NEWS, real)).changes


FORKY = 'architecture amd64\ninit systemd\nID=debian\nVERSION_ID="14"\nPRETTY_NAME="Debian GNU/Linux 14 (forky)"\n'


def test_on_another_system_nothing_is_done(kind, host):
    host.release = FORKY
    with pytest.raises(
        Unsupported, match=r"it is Debian GNU/Linux 14 \(forky\), .*needed is a host of Debian 12 or 13"
    ):
        created(kind)
    assert host.events == []


def test_a_host_that_became_another_system_is_read_with_a_warning_left_alone_and_can_be_freed(kind, host, told):
    inputs, id, state = created(kind)
    host.release = FORKY
    host.events.clear()
    assert kind.read(id, state, inputs)[0]["facts"]["os"] == "Debian GNU/Linux 14 (forky)"
    assert any("14 (forky)" in text for text, severity in told if severity is Severity.WARNING)
    with pytest.raises(Unsupported):
        kind.update(id, state, kind.check({**NEWS, "packages": []}, inputs), False)
    assert host.events == []
    kind.delete(id, state)
    assert not [path for path in host.files if "wgnode" in path]


def test_only_missing_packages_are_installed(kind, host):
    host.packages |= set(PACKAGES) - {"conntrack"}
    created(kind)
    assert [event for event in host.events if event.startswith("install")] == ["install conntrack"]


def test_reading_probes_no_guest_that_is_known_to_run(kind, host, monkeypatch):
    inputs, id, state = created(kind)
    asked = []
    of = facts.of
    monkeypatch.setattr(
        facts, "of", lambda h, seen, known=None, *more: asked.append(known) or of(h, seen, known, *more)
    )
    kind.read(id, state, inputs)
    kind.update(id, state, inputs, False)
    assert asked == [state["facts"], None], "an update looks anew"


def test_right_after_creation_nothing_differs_and_creating_again_changes_nothing(kind, host):
    inputs, id, state = created(kind)
    assert paths(kind, state, inputs) == set()
    again, real_inputs = kind.read(id, state, inputs)
    assert again == state
    assert real_inputs == inputs
    host.events.clear()
    created(kind)
    assert host.events == [f"write {RECORD}"], "with its own claim"


def test_networks_are_confirmed_by_a_new_connection_before_they_are_persisted(kind, host):
    created(kind)
    order = ["arm wgnode-undo-network", "run wgnode-network-change", "new connection", f"write {SCRIPT}"]
    order.insert(3, "rearm wgnode-undo-network")
    order += [f"start {UNIT}", "stop wgnode-undo-network.timer"]
    assert [event for event in host.events if event in order] == order


def test_the_undo_of_a_first_change_takes_back_what_the_kernel_was_told_too(kind, host):
    host.sysctls["net/ipv4/conf/all/send_redirects"] = "0"
    inputs, id, state = created(kind)
    undone = host.kept["/run/wgnode-undo/network.sh"].decode().splitlines()
    settings = [line.removeprefix("sysctl --quiet --write ") for line in undone if line.startswith("sysctl")]
    assert settings == ["net/ipv6/conf/wan0/accept_ra=1", "net/ipv6/conf/all/forwarding=0", "net/ipv4/ip_forward=0"]
    assert f"rm -f {SYSCTL_FILE}" in undone
    host.routes.clear()
    state, real = kind.read(id, state, inputs)
    kind.update(id, state, kind.check(NEWS, real), False)
    assert b"sysctl" not in host.kept["/run/wgnode-undo/network.sh"].replace(b"sysctl -q", b""), (
        "there is one to go back to"
    )


def test_a_host_listens_to_router_advertisements_before_it_forwards(kind, host):
    created(kind)
    accept = host.events.index("set net/ipv6/conf/wan0/accept_ra=2")
    assert accept < host.events.index("set net/ipv6/conf/all/forwarding=1")


def test_a_host_that_did_not_listen_to_them_is_not_made_to(kind, host):
    host.sysctls["net/ipv6/conf/wan0/accept_ra"] = "0"
    inputs, id, state = created(kind)
    assert host.sysctls["net/ipv6/conf/wan0/accept_ra"] == "0"
    state, inputs = kind.read(id, state, inputs)
    assert paths(kind, state, kind.check(NEWS, inputs)) == set()


@pytest.mark.parametrize("ipv6", ["gone", "disabled"])
def test_a_host_without_ipv6_gets_what_it_can_have_and_shows_no_drift_for_the_rest(kind, host, ipv6):
    if ipv6 == "gone":
        for name in [name for name in host.sysctls if "ipv6" in name]:
            del host.sysctls[name]
    else:
        host.sysctls["net/ipv6/conf/default/disable_ipv6"] = "1"
    host.transit = TRANSIT[:1]
    routes = [*NEWS["networks"]["routes"], {"to": "fd00:10:2::/64", "via": "fd00:10:1::2"}]
    inputs, id, state = created(kind, networks={**NEWS["networks"], "routes": routes})
    script = host.files[SCRIPT][0].decode()
    assert "fd77:" not in script
    assert "fd00:" not in script
    assert not [event for event in host.events if event.startswith("set net/ipv6")]
    state, inputs = kind.read(id, state, inputs)
    assert paths(kind, state, inputs) == set()


def test_the_uplink_joins_datagrams_that_are_forwarded_and_the_lan_is_left_alone(kind, host):
    created(kind)
    assert host.features == {"wan0": "on", "lan0": "off"}
    assert json.loads(host.files[FOUND][0])["features"] == {"wan0": "off"}


def test_an_uplink_that_did_so_before_us_goes_on_with_it(kind, host):
    host.features["wan0"] = "on"
    _, id, state = created(kind)
    assert not [event for event in host.events if event.startswith("feature")]
    kind.delete(id, state)
    assert host.features["wan0"] == "on"


def test_an_uplink_that_cannot_join_them_is_no_drift(kind, host):
    """As of a kernel before 5.12, or where its driver has the last word."""
    host.features.clear()
    inputs, id, state = created(kind)
    assert json.loads(host.files[FOUND][0])["features"] == {}
    state, inputs = kind.read(id, state, inputs)
    assert paths(kind, state, kind.check(NEWS, inputs)) == set()


def test_a_host_that_gets_python_from_us_only_is_asked_then(kind, host):
    host.packages.clear()
    host.available.add("python3")
    inputs, _, state = created(kind)
    assert host.features["wan0"] == "on"
    assert json.loads(host.files[FOUND][0])["features"] == {"wan0": "off"}, "as it was before"
    assert paths(kind, state, inputs) == set()


def test_one_whose_features_an_older_version_did_not_look_at_is_asked_before_they_change(kind, host):
    inputs, id, state = created(kind)
    kept = json.loads(host.files[FOUND][0])
    del kept["features"], state["traits"]["groForwarding"], state["features"]
    host.files[FOUND] = (json.dumps(kept).encode(), 0o644, "root")
    host.features["wan0"] = "off"
    state, inputs = kind.read(id, state, inputs)
    news = kind.check(NEWS, inputs)
    assert paths(kind, state, news) == {'features.wan0["rx-udp-gro-forwarding"]'}
    kind.update(id, state, news, False)
    assert json.loads(host.files[FOUND][0])["features"] == {"wan0": "off"}
    assert host.features["wan0"] == "on"


@pytest.mark.parametrize(
    ("harm", "path"),
    [
        (lambda host: host.packages.remove("qemu-system-x86"), 'packageStates["qemu-system-x86"]'),
        (lambda host: host.users.remove("wgnode"), "users.wgnode"),
        (lambda host: host.users.remove("wgnode-qemu"), 'users["wgnode-qemu"]'),
        (lambda host: host.joined.clear(), 'users["wgnode-qemu"]'),
        (lambda host: host.directories.pop("/var/lib/wgnode/hostd"), 'directories["/var/lib/wgnode/hostd"]'),
        (lambda host: host.sysctls.update({"net/ipv4/ip_forward": "0"}), 'sysctls["net/ipv4/ip_forward"]'),
        (lambda host: host.features.update(wan0="off"), 'features.wan0["rx-udp-gro-forwarding"]'),
        (lambda host: host.files.pop(SCRIPT), f'files["{SCRIPT}"]'),
        (lambda host: host.units[UNIT].__setitem__(0, "inactive"), f'units["{UNIT}"]'),
        (lambda host: host.links.pop("wgnode-lan"), 'links["wgnode-lan"]'),
        (lambda host: host.routes.clear(), 'routes["10.2.0.0/24"]'),
        (lambda host: host.links.update(lan0=link("lan0", "10.1.0.1/24")), "links.lan0"),
    ],
)
def test_drift_is_found_by_name_and_mended_alone(kind, host, harm, path):
    inputs, id, state = created(kind)
    harm(host)
    state, real_inputs = kind.read(id, state, inputs)
    news = kind.check(NEWS, real_inputs)
    assert paths(kind, state, news) == {path}
    state = kind.update(id, state, news, False)
    assert paths(kind, state, news) == set()


def test_another_route_is_set_without_touching_a_link_in_few_round_trips(kind, host):
    inputs, id, state = created(kind)
    more = [*NEWS["networks"]["routes"], {"to": "10.3.0.0/24", "via": "10.1.0.2"}]
    news = kind.check({**NEWS, "networks": {**NEWS["networks"], "routes": more}}, inputs)
    host.routes_up = {route["to"]: f"via {route['via']}" for route in more}
    host.events.clear()
    host.commands.clear()
    host.round_trips = 0
    state = kind.update(id, state, news, False)
    assert paths(kind, state, news) == set()
    (change,) = [command for command in host.commands if "wgnode-network-change" in command]
    assert "network-new.sh routes " in change
    assert "new connection" in host.events
    assert host.round_trips == 3, "one to judge, one to look and one to see"


def test_a_file_or_a_directory_is_mended_without_touching_the_networks(kind, host):
    inputs, id, state = created(kind)
    host.files[SCRIPT] = (host.files[SCRIPT][0], 0o600, "root")
    host.directories["/etc/wgnode"] = "0777 root:root"
    host.events.clear()
    state, _ = kind.read(id, state, inputs)
    assert paths(kind, state, inputs) == {f'files["{SCRIPT}"]', 'directories["/etc/wgnode"]'}
    state = kind.update(id, state, inputs, False)
    assert host.events == ["make /etc/wgnode", f"write {SCRIPT}"]
    assert paths(kind, state, inputs) == set()


def test_a_host_of_one_user_for_all_gets_qemu_s_and_taps_for_it(kind, host):
    inputs, id, state = created(kind)
    host.users, host.joined = {"wgnode"}, set()
    for tap in ("wgnode-wan", "wgnode-lan"):
        data = host.links[tap]["linkinfo"]["info_data"]
        data["user"] = data.pop("group").removesuffix("-qemu")
    state, _ = kind.read(id, state, inputs)
    assert paths(kind, state, inputs) == {'users["wgnode-qemu"]', 'links["wgnode-wan"]', 'links["wgnode-lan"]'}
    state = kind.update(id, state, inputs, False)
    assert paths(kind, state, inputs) == set()
    assert (host.users, host.joined) == ({"wgnode", "wgnode-qemu"}, {"wgnode-qemu"})


def test_a_stranger_in_our_bridge_is_drift(kind, host):
    inputs, id, state = created(kind)
    host.links["tap9"] = link("tap9", master="wgnode-br0")
    state, _ = kind.read(id, state, inputs)
    assert paths(kind, state, inputs) == {'links["wgnode-br0"]'}
    assert state["links"]["wgnode-br0"] == "bridge, up, with tap9"


def test_a_firewall_that_came_later_is_warned_of_and_is_no_drift(kind, host, monkeypatch):
    said_so = []
    monkeypatch.setattr(foreign_checks, "log", lambda text, *_: said_so.append(text))
    inputs, id, state = created(kind)
    host.foreign = [
        {"chain": {"family": "ip", "table": "filter", "name": "FORWARD", "hook": "forward", "policy": "drop"}}
    ]
    state, _ = kind.read(id, state, inputs)
    assert "another firewall drops what the gateway needs forwarded" in said_so[0]
    assert "ip filter FORWARD" in said_so[0]
    assert paths(kind, state, inputs) == set()


def test_a_lan_interface_that_got_its_address_back_is_told_with_the_usual_reason(kind, host, monkeypatch):
    said_so = []
    monkeypatch.setattr(host_checks, "log", lambda text, *_: said_so.append(text))
    inputs, id, state = created(kind)
    kind.read(id, state, inputs)
    assert said_so == []
    host.links["lan0"] = link("lan0", "10.1.0.1/24", master="wgnode-br0")
    state, real = kind.read(id, state, inputs)
    assert "lan0 has got 10.1.0.1/24 of its own again" in said_so[0]
    assert paths(kind, state, real) == {"links.lan0"}


def test_deleting_leaves_the_host_as_it_was_found(kind, host):
    before = (dict(host.sysctls), dict(host.features))
    _, id, state = created(kind)
    host.links = {name: link for name, link in host.links.items() if not name.startswith("wgnode")}
    kind.delete(id, state)
    assert (host.sysctls, host.features) == before
    assert (host.files, host.directories, host.users, host.units) == ({}, {}, set(), {})
    assert kind.read(id, state, kind.check(NEWS, {})) is None


def test_a_host_is_not_taken_away_under_its_gateway(kind, host):
    _, id, state = created(kind)
    host.units["wgnode-gateway.service"] = ["active", "enabled"]
    before = (dict(host.files), dict(host.sysctls), set(host.users), dict(host.units))
    with pytest.raises(HostError, match=r"gateway still runs on it, so nothing was removed.*pulumi destroy"):
        kind.delete(id, state)
    assert (host.files, host.sysctls, host.users, host.units) == before


def test_what_a_creation_cut_short_has_left_goes_with_the_host(kind, host):
    """The engine was killed after they had begun, so no state knows of the gateway and of the firewall."""
    _, id, state = created(kind)
    record = json.loads(host.read_file(RECORD))
    record["claims"] |= {"gateway": "1" * 16, "firewall": "2" * 16}
    host.write_file(RECORD, json.dumps(record).encode())
    for unit in ("wgnode-hostd.service", "wgnode-firewall.service"):
        host.write_file(f"/etc/systemd/system/{unit}", b"[Service]")
        host.units[unit] = ["active", "enabled"]
    for path in ("/var/lib/wgnode/gateway/secrets.cpio", "/etc/wgnode/firewall.nft"):
        host.write_file(path, b"of theirs")
    host.events.clear()
    kind.delete(id, state)
    assert (host.files, host.directories, host.users, host.units) == ({}, {}, set(), {})
    assert "delete table" in host.events


def test_what_was_found_is_remembered_from_the_first_time_only(kind, host):
    inputs, id, state = created(kind)
    host.sysctls["net/ipv4/ip_forward"] = "0"
    host.files.pop(SYSCTL_FILE)
    host.sysctls["net/ipv4/conf/all/send_redirects"] = "1"
    kind.update(id, state, inputs, False)
    assert json.loads(host.files[FOUND][0])["sysctls"]["net/ipv4/ip_forward"] == "0"
    assert json.loads(host.files[FOUND][0])["sysctls"]["net/ipv4/conf/all/send_redirects"] == "1"


def test_a_package_that_cannot_be_had_leaves_a_state_that_says_what_is_missing(kind, host):
    with pytest.raises(Partial, match="cannot install nosuch") as raised:
        created(kind, packages=["nosuch"])
    inputs = kind.check({**NEWS, "packages": ["nosuch"]}, {})
    assert "packageStates.nosuch" in paths(kind, raised.value.state, inputs)


def test_a_host_that_is_gone_in_the_middle_leaves_a_state_in_which_all_is_to_do(kind, host, monkeypatch):
    def gone(argv, input):
        host.reachable = False
        host._reach()

    with monkeypatch.context() as patched:
        patched.setattr(host, "_useradd", gone)
        with pytest.raises(Partial, match="cannot connect") as raised:
            created(kind)
    host.reachable = True
    inputs = kind.check(NEWS, {})
    assert {"users.wgnode", "links.lan0", 'packageStates["qemu-system-x86"]'} <= paths(kind, raised.value.state, inputs)
    assert kind.update(raised.value.id, raised.value.state, inputs, True)["facts"] is UNKNOWN
    state = kind.update(raised.value.id, raised.value.state, inputs, False)
    assert paths(kind, state, inputs) == set()


def test_networks_that_lock_us_out_leave_no_unit_behind(kind, host, monkeypatch):
    monkeypatch.setattr(undo, "SECONDS", 0)
    attempts = []

    @contextlib.contextmanager
    def cut_off_until_the_undo():
        attempts.append(1)
        host.reachable = len(attempts) > 3
        host.files[f"{undo.DIRECTORY}/network.sh.ran"] = (b"", 0o644, "root")
        host._reach()
        yield host

    kind._reconnect = lambda _: cut_off_until_the_undo()
    with pytest.raises(Partial, match="the new network would lock us out"):
        created(kind)
    assert UNIT not in host.units
    assert SCRIPT not in host.files


def test_an_answer_that_came_through_only_after_the_undo_persists_nothing(kind, host, monkeypatch):
    def held_up(reached, new):
        host.files[f"{undo.DIRECTORY}/network.sh.ran"] = (b"", 0o644, "root")

    monkeypatch.setattr(network_change, "_finished", held_up)
    with pytest.raises(Partial, match="would lock us out"):
        created(kind)
    assert UNIT not in host.units
    assert SCRIPT not in host.files


def test_a_script_that_fails_is_taken_back_with_what_it_said(kind, host, monkeypatch):
    def fail(reached, new):
        raise HostError("RTNETLINK answers: Operation not permitted")

    monkeypatch.setattr(network_change, "_finished", fail)
    with pytest.raises(Partial, match="Operation not permitted"):
        created(kind)
    assert UNIT not in host.units


def test_only_another_site_replaces(kind):
    inputs, _, state = created(kind)
    key = kind.check({**NEWS, "connection": {**NEWS["connection"], "privateKey": OTHER_KEY}}, inputs)
    assert [(one.path, one.replace) for one in kind.diff(state, inputs, key).changes] == [
        ("connection.privateKey", False)
    ]
    moved = kind.check({**NEWS, "connection": {**NEWS["connection"], "address": "198.51.100.3"}}, inputs)
    assert not [one for one in kind.diff(state, inputs, moved).changes if one.replace]
    other = kind.check({**NEWS, "site": {**NEWS["site"], "id": "0" * 16}}, inputs)
    assert [one.path for one in kind.diff(state, inputs, other).changes if one.replace] == ["site.id"]


def test_inputs_are_judged_all_at_once(kind):
    routes = [{"to": "10.2.0.1/24", "via": "10.1.0.2"}]
    with pytest.raises(CheckError) as raised:
        kind.check({**NEWS, "networks": {"uplink": "", "lanInterface": "lan0", "routes": routes}, "extra": 1}, {})
    assert {path for path, _ in raised.value.failures} == {"networks.uplink", "networks.routes[0].to", "extra"}


def test_unknown_routes_are_not_judged_at_preview(kind):
    old, _, state = created(kind)
    news = kind.check({**NEWS, "networks": {**NEWS["networks"], "routes": UNKNOWN}}, old)
    assert [one.path for one in kind.diff(state, old, news).changes] == ["networks.routes"]


def test_it_says_how_the_host_forwarded_before_it_was_switched_on(kind, host):
    host.sysctls["net/ipv6/conf/all/forwarding"] = "1"
    host.links["br1"] = link("br1", kind="bridge")
    inputs, id, state = created(kind)
    assert host.sysctls["net/ipv4/ip_forward"] == "1"
    assert state["forwarding"] == {"versions": [6], "bridges": ["br1", "wgnode-br0"]}
    host.links["docker0"] = link("docker0", kind="bridge")
    assert kind.read(id, state, inputs)[0]["forwarding"] == state["forwarding"]
    assert kind.create("host", inputs, True)[1]["forwarding"] is UNKNOWN


def test_a_bridge_that_was_removed_is_made_again_though_the_host_has_no_address_in_its_lan_just_now(kind, host):
    inputs, id, state = created(kind)
    del host.links["wgnode-br0"]
    host.links["lan0"] = link("lan0")
    host.links["wgnode-lan"] = link("wgnode-lan", kind="tun", type="tap", user="wgnode")
    state, real = kind.read(id, state, inputs)
    with pytest.raises(HostError, match=r"lan0 has no address in the network of 10\.1\.0\.2"):
        kind.update(id, state, inputs, False)
    host.recorded = "4 addr replace 10.1.0.1/24 brd 10.1.0.255 scope global dev @\n6 addr replace fd00::1/64 dev @\n"
    state = kind.update(id, state, inputs, False)
    assert kind.diff(state, real, inputs).changes == ()
    host.recorded = "4 addr replace 10.7.0.1/24 dev @\n"
    del host.links["wgnode-br0"]
    with pytest.raises(HostError, match=r"lan0 has no address in the network of 10\.1\.0\.2"):
        kind.update(id, state, inputs, False)
