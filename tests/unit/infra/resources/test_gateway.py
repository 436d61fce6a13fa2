from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import replace

import pytest

from infra.hosts.host import HostError, HostUnreachable
from infra.provider.kind import UNKNOWN, CheckError, Partial
from infra.resources import gateway_change
from infra.resources.gateway import Gateway, desired
from infra.resources.gateway_state import BOOT_TIMEOUT
from tests.unit.infra.resources.gateway_host import CONSOLE, Clock, GatewayHost
from wgnode.image import layers, paths
from wgnode.nodeconfig import LinkConfig, NodeConfig, NodeSecrets, PeerConfig, expected_live_digest

PRIVATE, PUBLIC, PEER, SHARED = (bytes([fill]) * 32 for fill in (1, 2, 3, 4))
CONFIG = NodeConfig(
    mesh="demo",
    name="berlin",
    public_keys=(PUBLIC,),
    listen_port=51820,
    addresses=("10.99.0.1/24",),
    transit=LinkConfig(paths.TRANSIT_MAC, ("172.31.255.254/30",), ("172.31.255.253",)),
    lan=LinkConfig("52:54:00:aa:bb:cc", ("10.1.0.2/24",)),
    peers=(PeerConfig("cabin", (PEER,), ("10.2.0.0/24",), None, 25),),
)
SECRETS = NodeSecrets((PRIVATE,), {PEER: (SHARED,)})
IMAGE = "ab" * 32
NEWS = {
    "connection": {"address": "198.51.100.2", "hostKeys": ["ssh-ed25519 AAAA"], "privateKey": "SSH-KEY"},
    "name": "berlin",
    "image": {"directory": paths.image_directory(IMAGE), "sha256": IMAGE},
    "machine": {"memory": 160},
    "config": CONFIG.to_json().decode(),
    "secrets": SECRETS.to_json().decode(),
}
MOVED = {"config": replace(CONFIG, addresses=("10.99.0.9/24",)).to_json().decode()}
ROME = PeerConfig("rome", (b"\5" * 32,), ("10.3.0.0/24",), "192.0.2.7:51820")
JOINED = {"config": replace(CONFIG, peers=(*CONFIG.peers, ROME)).to_json().decode()}
GATEWAY_FILE, HOSTD_FILE = (f"/etc/systemd/system/{unit}" for unit in (paths.GATEWAY_UNIT, paths.HOSTD_UNIT))
GATEWAY_UNIT, HOSTD_UNIT = (f'units["{unit}"]' for unit in (paths.GATEWAY_UNIT, paths.HOSTD_UNIT))


@pytest.fixture
def clock(monkeypatch):
    made = Clock()
    monkeypatch.setattr(gateway_change, "time", made)
    return made


@pytest.fixture
def host(clock):
    made = GatewayHost()
    made.waited = clock.sleep
    return made


@pytest.fixture
def kind(host):
    return Gateway(connect=lambda _: host)


def created(kind, **changes):
    inputs = kind.check({**NEWS, **changes}, {})
    id, state = kind.create("berlin-gateway", inputs, False)
    return inputs, id, state


def read_paths(kind, id, state, inputs, news=None):
    """The paths that differ after a refresh."""
    state, real_inputs = kind.read(id, state, inputs)
    return [change.path for change in kind.diff(state, real_inputs, news or inputs).changes]


def layer_digest(host):
    return layers.config_of(host.files[paths.CONFIG_LAYER][0]).digest


def hostd_file(host):
    return next(path for path in host.files if path.startswith(paths.HOSTD_DIRECTORY))


# What should be there


def test_the_files_of_a_gateway_and_who_may_read_them(kind):
    files = desired(kind.check(NEWS, {})).files
    modes = {name: (content.path, content.mode, content.owner) for name, content in files.items()}
    hostd = modes.pop("hostd")
    assert modes == {
        "config": ("/var/lib/wgnode/gateway/config.cpio", 0o644, "root"),
        "secrets": ("/var/lib/wgnode/gateway/secrets.cpio", 0o600, "wgnode"),
        "gatewayUnit": (GATEWAY_FILE, 0o644, "root"),
        "hostdUnit": (HOSTD_FILE, 0o644, "root"),
    }
    digest = hashlib.sha256(files["hostd"].data).hexdigest()
    assert hostd == (f"/var/lib/wgnode/hostd/{digest[:16]}.pyz", 0o644, "root")


def test_the_layers_hold_configuration_and_secrets_apart(kind):
    files = desired(kind.check(NEWS, {})).files
    assert layers.config_of(files["config"].data) == CONFIG
    assert SECRETS.to_json() in files["secrets"].data
    private = base64.b64encode(PRIVATE)
    assert [name for name, content in files.items() if private in content.data] == ["secrets"]


def test_the_units_name_image_machine_and_companion(kind):
    inputs = kind.check({**NEWS, "machine": {"memory": 160, "cpus": 2, "accelerator": "kvm"}}, {})
    files = desired(inputs).files
    text = files["gatewayUnit"].data.decode()
    for word in (f"{paths.image_directory(IMAGE)}/vmlinux", "52:54:00:aa:bb:cc", "-m 160", "-smp 2", "-accel kvm"):
        assert word in text
    assert files["hostd"].path in files["hostdUnit"].data.decode()


def test_the_digests_wanted_are_those_that_the_node_computes(kind):
    wanted = desired(kind.check(NEWS, {}))
    assert (wanted.applied, wanted.live) == (CONFIG.digest, expected_live_digest(CONFIG, SECRETS))


def test_other_preshared_keys_are_another_live_digest_of_the_same_configuration(kind):
    other = NodeSecrets((PRIVATE,), {PEER: (PRIVATE,)}).to_json().decode()
    one, two = desired(kind.check(NEWS, {})), desired(kind.check({**NEWS, "secrets": other}, {}))
    assert one.applied == two.applied
    assert one.live != two.live


# Checking


def test_what_is_not_given_gets_its_default(kind):
    inputs = kind.check({**NEWS, "machine": {}}, {})
    assert inputs["machine"] == {"memory": 128, "cpus": 1, "accelerator": "tcg"}


def test_a_check_tells_what_the_host_will_say(kind):
    inputs = kind.check(NEWS, {})
    assert inputs["units"] == dict.fromkeys((paths.GATEWAY_UNIT, paths.HOSTD_UNIT), "active, enabled")
    assert inputs["publicKey"] == base64.b64encode(PUBLIC).decode()
    assert inputs["addresses"] == ["10.99.0.1/24"]


def test_during_a_rotation_the_public_key_is_the_current_one(kind):
    rotating = replace(CONFIG, public_keys=(PEER, PUBLIC)).to_json().decode()
    assert kind.check({**NEWS, "config": rotating}, {})["publicKey"] == base64.b64encode(PEER).decode()


def test_unknown_configuration_is_not_judged(kind):
    inputs = kind.check({**NEWS, "config": UNKNOWN, "secrets": UNKNOWN}, {})
    assert "files" not in inputs
    _, _, state = created(kind)
    assert "config" in [change.path for change in kind.diff(state, kind.check(NEWS, {}), inputs).changes]


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"machine": {"memory": 95}}, "machine.memory"),
        ({"machine": {"accelerator": "hvf"}}, "machine.accelerator"),
        ({"image": {"directory": "/x", "sha256": "AB"}}, "image.sha256"),
        ({"config": "{}"}, "config"),
        ({"config": json.dumps(json.loads(CONFIG.to_json()))}, "config"),
        ({"secrets": "{}"}, "secrets"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_unusable_inputs_are_named_by_path(kind, changes, path):
    with pytest.raises(CheckError) as error:
        kind.check({**NEWS, **changes}, {})
    assert [where for where, _ in error.value.failures] == [path]


def test_the_refusal_of_secrets_never_quotes_them(kind):
    broken = SECRETS.to_json().decode().replace('"format"', '"farmat"')
    with pytest.raises(CheckError) as error:
        kind.check({**NEWS, "secrets": broken, "machine": {"memory": 1}}, {})
    assert {where for where, _ in error.value.failures} == {"secrets", "machine.memory"}
    assert not [text for text in (base64.b64encode(PRIVATE).decode(), "SSH-KEY", "farmat") if text in str(error.value)]


# Creating, reading, differing


def test_right_after_creation_nothing_differs(kind):
    inputs, id, state = created(kind)
    assert id == "berlin"
    assert state["live"] == expected_live_digest(CONFIG, SECRETS)
    assert kind.diff(state, inputs, inputs).changes == ()
    assert kind.read(id, state, inputs) == (state, inputs)


def test_a_preview_does_nothing_to_the_host(kind, host):
    inputs = kind.check(NEWS, {})
    assert kind.create("berlin-gateway", inputs, True) == ("", inputs)
    assert kind.update("berlin", {}, inputs, True) == inputs
    assert (host.events, host.commands) == ([], [])


@pytest.mark.parametrize("file", ["config", "gatewayUnit", "hostdUnit"])
def test_an_edited_file_is_drift_by_its_name(kind, host, file):
    inputs, id, state = created(kind)
    path = desired(inputs).files[file].path
    host.files[path] = (b"edited", *host.files[path][1:])
    assert read_paths(kind, id, state, inputs) == [f"files.{file}"]


@pytest.mark.parametrize(("mode", "owner"), [(0o644, "wgnode"), (0o600, "root")])
def test_secrets_readable_by_others_are_drift(kind, host, mode, owner):
    inputs, id, state = created(kind)
    host.files[paths.SECRETS_LAYER] = (host.files[paths.SECRETS_LAYER][0], mode, owner)
    assert read_paths(kind, id, state, inputs) == ["files.secrets"]


def test_a_missing_companion_is_drift_and_then_nobody_can_ask_the_node(kind, host):
    inputs, id, state = created(kind)
    host.remove(hostd_file(host))
    assert read_paths(kind, id, state, inputs) == ["files.hostd", "applied", "live"]


def test_a_stopped_gateway_is_drift_by_its_unit(kind, host):
    inputs, id, state = created(kind)
    host.states[paths.GATEWAY_UNIT][0] = "inactive"
    found, real_inputs = kind.read(id, state, inputs)
    assert found["units"][paths.GATEWAY_UNIT] == "inactive, enabled"
    changes = kind.diff(found, real_inputs, inputs).changes
    assert [(change.path, change.drift) for change in changes] == [
        ('units["wgnode-gateway.service"]', True),
        ("applied", True),
        ("live", True),
    ]


def test_a_gateway_that_would_not_start_at_boot_is_drift(kind, host):
    inputs, id, state = created(kind)
    host.states[paths.GATEWAY_UNIT][1] = "disabled"
    assert read_paths(kind, id, state, inputs) == [GATEWAY_UNIT]


def test_a_device_changed_while_it_runs_is_drift_of_its_live_digest_alone(kind, host):
    inputs, id, state = created(kind)
    host.node["live"] = "00" * 32
    assert read_paths(kind, id, state, inputs) == ["live"]


def test_an_old_configuration_still_in_force_is_drift(kind, host):
    inputs, id, state = created(kind)
    host.node["applied"] = "00" * 32
    assert read_paths(kind, id, state, inputs) == ["applied"]


def test_that_another_configuration_was_booted_is_none(kind, host):
    inputs, id, state = created(kind)
    host.node["loaded"] = "00" * 32
    assert read_paths(kind, id, state, inputs) == []


@pytest.mark.parametrize("what", ["endpoint", "last_handshake", "rx_bytes", "tx_bytes"])
def test_roaming_counters_and_handshakes_are_never_drift(kind, host, what):
    inputs, id, state = created(kind)
    host.node["peers"][0][what] = None if what == "endpoint" else 12345
    assert read_paths(kind, id, state, inputs) == []


@pytest.mark.parametrize(
    ("what", "value", "said"),
    [
        ("allowed_ips", ["10.2.0.0/24", "0.0.0.0/0"], "allowed IPs 0.0.0.0/0 10.2.0.0/24"),
        ("persistent_keepalive", 7, "keepalive 7"),
        ("preshared_keys", [], "pre-shared key none"),
        ("public_keys", ["AAAA"], "key AAAA"),
    ],
)
def test_a_peer_changed_by_hand_is_named_with_what_it_is_now(kind, host, what, value, said):
    inputs, id, state = created(kind)
    host.node["peers"][0][what] = value
    found, real = kind.read(id, state, inputs)
    assert [change.path for change in kind.diff(found, real, inputs).changes] == ["peers.cabin"]
    assert said in found["peers"]["cabin"]
    assert said not in inputs["peers"]["cabin"]


def test_a_peer_added_or_removed_by_hand_is_named(kind, host):
    inputs, id, state = created(kind)
    stranger = {**host.node["peers"][0], "name": "", "public_key": "c3RyYW5nZXI="}
    host.node["peers"] = [stranger]
    assert read_paths(kind, id, state, inputs) == ["peers.cabin", 'peers["c3RyYW5nZXI="]']


@pytest.mark.parametrize(("what", "value"), [("listen_port", 1), ("fwmark", 9), ("public_keys", ["BBBB" * 11])])
def test_the_node_s_own_settings_are_drift_by_name(kind, host, what, value):
    inputs, id, state = created(kind)
    host.node[what] = value if what != "public_keys" else [base64.b64encode(PEER).decode()]
    name = {"listen_port": "listenPort", "fwmark": "fwmark", "public_keys": "publicKey"}[what]
    assert read_paths(kind, id, state, inputs) == [f"node.{name}"]


def test_another_configuration_is_a_change_of_input_and_of_what_should_be(kind):
    inputs, _, state = created(kind)
    news = kind.check({**NEWS, **MOVED}, inputs)
    changes = kind.diff(state, inputs, news).changes
    assert [(change.path, change.drift) for change in changes] == [
        ("config", False),
        ("files.config", True),
        ("applied", True),
    ]
    assert not any(change.replace for change in changes)


def test_a_new_peer_is_shown_by_name_before_it_is_there(kind):
    inputs, _, state = created(kind)
    changes = kind.diff(state, inputs, kind.check({**NEWS, **JOINED}, inputs)).changes
    assert ("peers.rome", "ADD") in [(change.path, change.kind) for change in changes]


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"name": "munich"}, "name"),
        ({"connection": {**NEWS["connection"], "address": "192.0.2.9"}}, "connection.address"),
    ],
)
def test_another_host_or_name_is_another_gateway_and_the_old_one_goes_first(kind, changes, path):
    inputs, _, state = created(kind)
    diff = kind.diff(state, inputs, kind.check({**NEWS, **changes}, inputs))
    assert [change.path for change in diff.changes if change.replace] == [path]
    assert diff.delete_before_replace


def test_a_new_key_to_log_in_with_touches_nothing_on_the_host(kind, host):
    inputs, id, state = created(kind)
    news = kind.check({**NEWS, "connection": {**NEWS["connection"], "privateKey": "another"}}, inputs)
    assert [change.path for change in kind.diff(state, inputs, news).changes] == ["connection"]
    host.events.clear()
    kind.update(id, state, news, False)
    assert host.events == []


def test_a_gateway_deployed_by_another_version_is_read_as_drift_and_brought_up_to_date(kind, host):
    inputs, id, state = created(kind)
    older = {**inputs, "config": inputs["config"].replace('"format":1', '"format":0')}
    assert older != inputs
    state, real = kind.read(id, {**state, "config": older["config"]}, older)
    assert {"config", "applied", "live"} <= {change.path for change in kind.diff(state, real, inputs).changes}
    state = kind.update(id, state, inputs, False)
    assert not read_paths(kind, id, state, inputs)


def test_a_gateway_that_is_gone_is_read_as_none(kind, host):
    inputs, id, state = created(kind)
    kind.delete(id, state)
    assert kind.read(id, state, inputs) is None


def test_a_gateway_without_its_files_that_runs_is_still_one(kind, host):
    inputs, id, state = created(kind)
    host.files.clear()
    found, _ = kind.read(id, state, inputs)
    assert found["files"] == {}


def test_a_gateway_without_its_units_is_still_one(kind, host):
    inputs, id, state = created(kind)
    host.states.clear()
    del host.files[GATEWAY_FILE], host.files[HOSTD_FILE]
    found, _ = kind.read(id, state, inputs)
    assert (sorted(found["files"]), found["units"]) == (["config", "hostd", "secrets"], {})


def test_a_gateway_is_read_in_one_round_trip(kind, host):
    inputs, id, state = created(kind)
    before, host.commands = host.round_trips, []
    kind.read(id, state, inputs)
    assert host.round_trips - before == 1


def test_a_directory_that_others_may_write_to_is_drift_and_mended_under_what_runs(kind, host):
    inputs, id, state = created(kind)
    host.directories[paths.GATEWAY] = "0777 root:root"
    assert read_paths(kind, id, state, inputs) == [f'directories["{paths.GATEWAY}"]']
    host.events.clear()
    kind.update(id, state, inputs, False)
    assert host.restarted == []
    assert read_paths(kind, id, state, inputs) == []


# Applying


def test_first_the_companion_then_the_layers_and_the_gateway_last(kind, host):
    inputs, *_ = created(kind)
    files = desired(inputs).files
    assert [event for event in host.events if not event.startswith("make")] == [
        *(f"write {files[name].path}" for name in ("hostd", "hostdUnit")),
        "daemon-reload",
        f"restart {paths.HOSTD_UNIT}",
        *(f"write {files[name].path}" for name in ("config", "secrets")),
        f"write {paths.GATEWAY}/{paths.GATEWAY_UNIT}",
        "daemon-reload",
        f"restart {paths.GATEWAY_UNIT}",
    ]
    assert host.states == {unit: ["active", "enabled"] for unit in (paths.HOSTD_UNIT, paths.GATEWAY_UNIT)}


def test_the_directories_are_open_to_the_user_of_qemu_whatever_the_umask(kind, host):
    created(kind)
    assert host.directories == dict.fromkeys((paths.GATEWAY, paths.HOSTD_DIRECTORY), "0755 root:root")


def test_creating_it_again_changes_nothing(kind, host):
    created(kind)
    host.events.clear()
    host.commands.clear()
    created(kind)
    assert host.events == []
    assert not [command for command in host.commands if command.startswith("systemctl")]


def test_another_configuration_is_written_and_then_changed_live(kind, host):
    inputs, id, state = created(kind)
    host.events.clear()
    news = kind.check({**NEWS, **JOINED}, inputs)
    state = kind.update(id, state, news, False)
    assert host.events == [f"write {paths.CONFIG_LAYER}", "change live"]
    assert kind.diff(state, news, news).changes == ()
    assert state["loaded"] == CONFIG.digest != state["applied"]


def test_what_the_running_node_can_not_take_needs_a_new_guest(kind, host):
    inputs, id, state = created(kind)
    host.events.clear()
    host.live_answer = {"restart": "lan can't be changed while it runs"}
    news = kind.check({**NEWS, **MOVED}, inputs)
    state = kind.update(id, state, news, False)
    assert host.restarted == [paths.GATEWAY_UNIT]
    assert kind.diff(state, news, news).changes == ()


def test_other_network_cards_need_a_new_guest_and_the_former_one_is_kept_to_go_back_to(kind, host):
    inputs, id, state = created(kind)
    host.events.clear()
    host.restarts_by_itself = 3
    host.waited = lambda _: setattr(host, "boots", False)
    moved = replace(CONFIG, lan=replace(CONFIG.lan, addresses=("10.1.0.9/24",))).to_json().decode()
    with pytest.raises(Partial, match="does not run either"):
        kind.update(id, state, kind.check({**NEWS, "config": moved}, inputs), False)
    assert host.changed_live == 0
    assert layer_digest(host) == CONFIG.digest
    host.boots, host.waited = True, lambda _: None
    news = kind.check({**NEWS, "config": moved}, inputs)
    state = kind.update(id, state, news, False)
    assert kind.diff(state, news, news).changes == ()


def test_a_live_change_that_is_refused_is_an_error_and_the_node_goes_on_as_it_was(kind, host):
    inputs, id, state = created(kind)
    host.events.clear()
    host.live_answer = {"error": "port 7 is in use"}
    with pytest.raises(Partial, match=r"did not take .*: port 7 is in use\. It goes on with the former one") as error:
        kind.update(id, state, kind.check({**NEWS, **MOVED}, inputs), False)
    assert host.restarted == []
    assert error.value.state["applied"] == CONFIG.digest
    host.live_answer = None
    news = error.value.inputs
    state = kind.update(id, error.value.state, news, False)
    assert kind.diff(state, news, news).changes == ()


def test_another_machine_is_a_new_guest(kind, host):
    inputs, id, state = created(kind)
    host.events.clear()
    kind.update(id, state, kind.check({**NEWS, "machine": {"memory": 256}}, inputs), False)
    assert host.events == [
        f"write {paths.GATEWAY}/{paths.GATEWAY_UNIT}",
        "daemon-reload",
        f"restart {paths.GATEWAY_UNIT}",
    ]
    assert not [path for path in host.files if path.startswith(paths.PREVIOUS)], "not needed any more"


def test_what_a_killed_run_kept_of_the_former_gateway_is_drift_and_goes(kind, host):
    inputs, id, state = created(kind)
    host.directories[paths.PREVIOUS] = "0700 root:root"
    host.files[f"{paths.PREVIOUS}/secrets.cpio"] = (b"former", 0o600, "wgnode")
    assert read_paths(kind, id, state, inputs) == [f'directories["{paths.PREVIOUS}"]']
    host.events.clear()
    kind.update(id, state, inputs, False)
    assert read_paths(kind, id, state, inputs) == []
    assert (f"{paths.PREVIOUS}/secrets.cpio" in host.files, host.events) == (False, [])


def test_a_new_guest_that_does_not_run_makes_room_for_the_former_one(kind, host):
    inputs, id, state = created(kind)
    host.broken_memory = "-m 256"
    host.restarts_by_itself = 3
    bigger = kind.check({**NEWS, **JOINED, "machine": {"memory": 256}}, inputs)
    with pytest.raises(Partial, match="The former gateway runs again") as error:
        kind.update(id, state, bigger, False)
    assert "No module named wgnode" in str(error.value), "and why the new one did not"
    assert host.node["applied"] == CONFIG.digest == layer_digest(host)
    assert "-m 160" in host.files[GATEWAY_FILE][0].decode()
    state = error.value.state
    differing = {change.path for change in kind.diff(state, bigger, bigger).changes}
    assert {"files.gatewayUnit", "files.config", "applied"} <= differing
    host.broken_memory = None
    state = kind.update(id, state, bigger, False)
    assert kind.diff(state, bigger, bigger).changes == ()


def test_a_former_gateway_that_does_not_run_either_is_said_to(kind, host):
    inputs, id, state = created(kind)
    host.restarts_by_itself = 3
    host.waited = lambda _: setattr(host, "boots", False)  # whatever is started from now on
    with pytest.raises(Partial, match="that gateway does not run either"):
        kind.update(id, state, kind.check({**NEWS, "machine": {"memory": 256}}, inputs), False)


def test_a_guest_without_room_is_refused_while_the_former_one_runs_on(kind, host):
    inputs, id, state = created(kind)
    host.memory = (100, 160)
    host.events.clear()
    with pytest.raises(Partial, match="261 MiB of memory, but 260 MiB are available"):
        kind.update(id, state, kind.check({**NEWS, "machine": {"memory": 261}}, inputs), False)
    assert host.restarted == []
    kind.update(id, state, kind.check({**NEWS, "machine": {"memory": 260}}, inputs), False)
    assert host.restarted == [paths.GATEWAY_UNIT]


def test_half_a_change_on_the_disk_is_not_what_is_gone_back_to(kind, host):
    inputs, id, state = created(kind)
    joined = kind.check({**NEWS, **JOINED}, inputs)
    host.files[paths.CONFIG_LAYER] = (desired(joined).files["config"].data, 0o644, "root")
    host.broken_memory, host.restarts_by_itself = "-m 256", 3
    bigger = kind.check({**NEWS, **JOINED, "machine": {"memory": 256}}, inputs)
    with pytest.raises(Partial) as error:
        kind.update(id, state, bigger, False)
    assert "former" not in str(error.value)


@pytest.mark.parametrize("broken", ["switch", f"{paths.GATEWAY}/{paths.GATEWAY_UNIT}"])
def test_an_update_that_ends_before_the_new_guest_starts_is_gone_on_with(kind, host, broken):
    inputs, id, state = created(kind)
    bigger = kind.check({**NEWS, "machine": {"memory": 192}}, inputs)
    host.fails = broken
    with pytest.raises(Partial) as raised:
        kind.update(id, state, bigger, False)
    host.fails = None
    host.events.clear()
    assert [change.path for change in kind.diff(raised.value.state, bigger, bigger).changes]
    kind.update(id, raised.value.state, bigger, False)
    assert paths.GATEWAY_UNIT in host.restarted


def test_a_tap_made_anew_under_the_guest_is_drift_and_needs_a_new_guest(kind, host):
    inputs, id, state = created(kind)
    host.detached = {paths.LAN_TAP}
    assert read_paths(kind, id, state, inputs) == ['taps["wgnode-lan"]']
    host.events.clear()
    kind.update(id, state, inputs, False)
    assert host.restarted == [paths.GATEWAY_UNIT]
    assert read_paths(kind, id, state, inputs) == []


def test_the_sealed_bundle_is_kept_on_the_host_and_a_new_one_disturbs_nothing(kind, host):
    inputs, id, state = created(kind, bundle="sealed")
    assert host.files[paths.SEALED_BUNDLE] == (b"sealed", 0o644, "root")
    host.events.clear()
    state = kind.update(id, state, kind.check({**NEWS, "bundle": "resealed"}, inputs), False)
    assert host.events == [f"write {paths.SEALED_BUNDLE}"]


@pytest.mark.parametrize("change", ["hostd gone", "hostd stopped", "unit edited"])
def test_mending_the_companion_leaves_the_gateway_running(kind, host, change):
    inputs, id, state = created(kind)
    if change == "hostd gone":
        host.remove(hostd_file(host))
    elif change == "hostd stopped":
        host.states[paths.HOSTD_UNIT][0] = "failed"
    else:
        host.files[HOSTD_FILE] = (b"edited", 0o644, "root")
    host.events.clear()
    state = kind.update(id, state, inputs, False)
    assert host.restarted == [paths.HOSTD_UNIT]
    assert kind.diff(state, inputs, inputs).changes == ()


def test_a_companion_of_another_version_takes_the_place_of_the_old_one(kind, host):
    inputs, id, state = created(kind)
    old, current = f"{paths.HOSTD_DIRECTORY}/0123456789abcdef.pyz", hostd_file(host)
    host.files[old] = host.files.pop(current)
    assert read_paths(kind, id, state, inputs) == ["files.hostd"]  # the old one can still be asked
    kind.update(id, state, inputs, False)
    assert current in host.files
    assert old not in host.files
    assert host.restarted == [paths.HOSTD_UNIT, paths.GATEWAY_UNIT, paths.HOSTD_UNIT]  # two of them at creation


def test_a_node_that_has_drifted_under_a_missing_companion_is_changed_live(kind, host):
    inputs, id, state = created(kind)
    host.remove(hostd_file(host))
    host.node["live"] = "00" * 32
    host.events.clear()
    kind.update(id, state, inputs, False)
    assert host.restarted == [paths.HOSTD_UNIT]
    assert host.changed_live == 1


def test_companion_and_configuration_at_once_restart_the_companion_alone(kind, host, clock):
    inputs, id, state = created(kind)
    host.remove(hostd_file(host))
    host.events.clear()
    kind.update(id, state, kind.check({**NEWS, **MOVED}, inputs), False)
    assert (host.restarted, host.changed_live) == ([paths.HOSTD_UNIT], 1)


@pytest.mark.parametrize("unit", [paths.GATEWAY_UNIT, paths.HOSTD_UNIT])
def test_a_stopped_unit_is_started_alone(kind, host, unit):
    inputs, id, state = created(kind)
    host.states[unit] = ["inactive", "disabled"]
    host.events.clear()
    kind.update(id, state, inputs, False)
    assert host.restarted == [unit]
    assert host.states[unit] == ["active", "enabled"]


def test_a_gateway_that_would_not_start_at_boot_is_enabled_and_runs_on(kind, host):
    inputs, id, state = created(kind)
    host.states[paths.GATEWAY_UNIT][1] = "disabled"
    host.events.clear()
    kind.update(id, state, inputs, False)
    assert (host.states[paths.GATEWAY_UNIT], host.restarted) == (["active", "enabled"], [])


def test_a_device_changed_while_it_runs_is_changed_back_live(kind, host):
    inputs, id, state = created(kind)
    host.node["live"] = "00" * 32
    host.events.clear()
    state = kind.update(id, state, inputs, False)
    assert host.events == ["change live"]
    assert state["live"] == inputs["live"]


@pytest.mark.parametrize("layer", [paths.CONFIG_LAYER, paths.SECRETS_LAYER])
def test_a_layer_mended_under_a_node_that_runs_as_wanted_restarts_nothing(kind, host, layer):
    inputs, id, state = created(kind)
    host.files[layer] = (b"edited", 0o666, "root")
    host.events.clear()
    kind.update(id, state, inputs, False)
    assert host.events == [f"write {layer}", "change live"]


@pytest.mark.parametrize("file", [GATEWAY_FILE, HOSTD_FILE])
def test_a_unit_file_s_mode_is_mended_under_what_runs(kind, host, file):
    inputs, id, state = created(kind)
    host.files[file] = (host.files[file][0], 0o600, "root")
    host.events.clear()
    kind.update(id, state, inputs, False)
    assert (host.restarted, host.files[file][1]) == ([], 0o644)


def test_no_key_is_ever_in_a_command(kind, host):
    _, id, state = created(kind)
    kind.delete(id, state)
    assert not [word for word in host.commands if base64.b64encode(PRIVATE).decode() in word or "SSH-KEY" in word]


# Waiting until it runs


def test_a_node_that_takes_its_time_is_waited_for(kind, host, clock):
    host.boots_after = 10
    created(kind)
    assert host.node["live"]


@pytest.mark.parametrize("accelerator", BOOT_TIMEOUT)
@pytest.mark.parametrize("waits", [pytest.param(True, id="just in time"), pytest.param(False, id="too late")])
def test_the_wait_ends_after_its_time(kind, host, waits, accelerator):
    slices = BOOT_TIMEOUT[accelerator] / gateway_change.SLICE
    host.boots_after = int(slices) - 1 if waits else int(slices) + 1
    if waits:
        created(kind, machine={"accelerator": accelerator})
    else:
        with pytest.raises(Partial):
            created(kind, machine={"accelerator": accelerator})


def test_a_node_that_never_answers_is_an_error_with_its_host_and_console(kind, host, clock):
    host.boots = False
    before = clock.now
    with pytest.raises(Partial) as error:
        created(kind)
    assert BOOT_TIMEOUT["tcg"] <= clock.now - before < BOOT_TIMEOUT["tcg"] + gateway_change.SLICE
    for text in (host.name, CONFIG.digest, "the guest is booting", "journalctl -u wgnode-gateway.service", CONSOLE):
        assert text in str(error.value)


def test_a_guest_that_says_why_it_can_not_run_is_not_waited_for(kind, host, clock):
    host.refuses = "node configuration: format 2, this node reads 1"
    before = clock.now
    with pytest.raises(Partial, match="format 2, this node reads 1"):
        created(kind)
    assert clock.now - before < 5


@pytest.mark.parametrize("wrong", ["applied", "live"])
def test_a_node_that_runs_something_else_is_an_error_with_what_it_runs(kind, host, monkeypatch, wrong):
    right = {"applied": CONFIG.digest, "live": expected_live_digest(CONFIG, SECRETS)}
    node = GatewayHost._node
    monkeypatch.setattr(GatewayHost, "_node", lambda self: {**node(self), wrong: "11" * 32})
    with pytest.raises(Partial) as error:
        created(kind)
    for text in (CONFIG.digest, {**right, wrong: "11" * 32}["applied"], {**right, wrong: "11" * 32}["live"]):
        assert text in str(error.value)


@pytest.mark.parametrize(("restarts", "given_up"), [(2, False), (3, True)])
def test_a_gateway_that_ends_again_and_again_is_given_up_early(kind, host, clock, restarts, given_up):
    host.boots, host.restarts_by_itself = False, restarts
    before = clock.now
    with pytest.raises(Partial, match="No module named wgnode"):
        created(kind)
    assert (clock.now - before <= gateway_change.SLICE) is given_up


def test_a_gateway_that_came_up_after_several_tries_is_healthy(kind, host):
    host.restarts_by_itself = 7
    created(kind)


def test_ctrl_c_ends_the_wait_and_the_error_says_that_it_can_go_on(kind, host, clock, monkeypatch):
    host.boots = False
    before = clock.now
    monkeypatch.setattr(gateway_change, "cancelled", lambda: clock.now - before > 3)
    with pytest.raises(Partial, match=r"198\.51\.100\.2: interrupted .* goes on"):
        created(kind)
    assert clock.now - before < 4 + gateway_change.SLICE


# Failing


def test_what_was_made_before_a_failure_is_kept_and_differs(kind, host):
    host.fails = gateway_change._SWITCH
    with pytest.raises(Partial) as error:
        created(kind)
    assert error.value.id == "berlin"
    state = error.value.state
    assert {"config", "secrets", "hostd", "hostdUnit"} == set(state["files"])
    inputs = error.value.inputs
    differing = {change.path for change in kind.diff(state, inputs, inputs).changes}
    assert {"files.gatewayUnit", "applied", "live"} <= differing
    host.fails = None
    state = kind.update("berlin", state, inputs, False)
    assert kind.diff(state, inputs, inputs).changes == ()


def test_a_host_lost_half_way_keeps_the_gateway_in_state_as_unfinished(kind, host):
    host.fails, host.loses_connection = paths.SECRETS_LAYER, True
    with pytest.raises(Partial) as error:
        created(kind)
    inputs, state = error.value.inputs, error.value.state
    assert (error.value.id, state["connection"]) == ("berlin", inputs["connection"])
    differing = {change.path for change in kind.diff(state, inputs, inputs).changes}
    assert {"files.config", "files.secrets", GATEWAY_UNIT, HOSTD_UNIT, "applied", "live"} <= differing


def test_a_host_that_was_never_reached_has_no_gateway(kind, host):
    host.reachable = False
    with pytest.raises(HostUnreachable):
        Gateway(connect=lambda _: host._reach()).create("berlin-gateway", kind.check(NEWS, {}), False)


@pytest.mark.parametrize("fails", [paths.SECRETS_LAYER, "switch", f"restart {paths.HOSTD_UNIT}"])
def test_no_key_is_in_the_text_of_a_failure(kind, host, fails):
    host.fails = fails
    with pytest.raises(Partial) as error:
        created(kind)
    assert not [text for text in (base64.b64encode(PRIVATE).decode(), "SSH-KEY") if text in str(error.value)]
    assert "SSH-KEY" not in repr(error.value)


# Deleting


def test_deleting_leaves_no_file_and_no_running_unit(kind, host):
    host.files["/var/lib/wgnode/images/x/vmlinux"] = (b"other", 0o644, "root")
    before = dict(host.files)
    _, id, state = created(kind)
    host.files[f"{paths.SECRETS_LAYER}.Xy12"] = (b"half a write", 0o600, "root")
    assert paths.INITRD in host.files
    kind.delete(id, state)
    assert host.files == before
    assert host.states == {unit: ["inactive", "disabled"] for unit in (paths.GATEWAY_UNIT, paths.HOSTD_UNIT)}


def test_deleting_twice_is_no_error(kind, host):
    _, id, state = created(kind)
    kind.delete(id, state)
    kind.delete(id, state)


def test_a_failed_deletion_is_an_error(kind, host):
    _, id, state = created(kind)
    host.fails = "rm -rf"
    with pytest.raises(HostError):
        kind.delete(id, state)
