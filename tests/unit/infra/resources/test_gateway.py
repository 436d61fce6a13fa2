from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import replace

import pytest

from infra.hosts.host import HostError, HostUnreachable
from infra.provider.kind import UNKNOWN, CheckError, Partial
from infra.resources import gateway
from infra.resources.gateway import Gateway, desired
from tests.unit.infra.resources.gateway_host import CONSOLE, Clock, GatewayHost
from wgnode.hostd import client
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
GATEWAY_FILE, HOSTD_FILE = (f"/etc/systemd/system/{unit}" for unit in (paths.GATEWAY_UNIT, paths.HOSTD_UNIT))
GATEWAY_UNIT, HOSTD_UNIT = (f'units["{unit}"]' for unit in (paths.GATEWAY_UNIT, paths.HOSTD_UNIT))


@pytest.fixture
def clock(monkeypatch):
    made = Clock()
    monkeypatch.setattr(gateway, "time", made)
    return made


@pytest.fixture
def host(clock):
    return GatewayHost()


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
    assert (wanted.loaded, wanted.live) == (CONFIG.digest, expected_live_digest(CONFIG, SECRETS))


def test_other_preshared_keys_are_another_live_digest_and_the_same_loaded_one(kind):
    other = NodeSecrets((PRIVATE,), {PEER: (PRIVATE,)}).to_json().decode()
    one, two = desired(kind.check(NEWS, {})), desired(kind.check({**NEWS, "secrets": other}, {}))
    assert one.loaded == two.loaded
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
    assert read_paths(kind, id, state, inputs) == ["files.hostd", "loaded", "live"]


def test_a_stopped_gateway_is_drift_by_its_unit(kind, host):
    inputs, id, state = created(kind)
    host.states[paths.GATEWAY_UNIT][0] = "inactive"
    found, real_inputs = kind.read(id, state, inputs)
    assert found["units"][paths.GATEWAY_UNIT] == "inactive, enabled"
    changes = kind.diff(found, real_inputs, inputs).changes
    assert [(change.path, change.drift) for change in changes] == [
        ('units["wgnode-gateway.service"]', True),
        ("loaded", True),
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


def test_an_old_configuration_still_running_is_drift_of_what_is_loaded(kind, host):
    inputs, id, state = created(kind)
    host.node["loaded"] = "00" * 32
    assert read_paths(kind, id, state, inputs) == ["loaded"]


def test_another_configuration_is_a_change_of_input_and_of_what_should_be(kind):
    inputs, _, state = created(kind)
    news = kind.check({**NEWS, **MOVED}, inputs)
    changes = kind.diff(state, inputs, news).changes
    assert [(change.path, change.drift) for change in changes] == [
        ("config", False),
        ("files.config", True),
        ("loaded", True),
    ]
    assert not any(change.replace for change in changes)


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
    assert {"config", "loaded", "live"} <= {change.path for change in kind.diff(state, real, inputs).changes}
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


def test_a_companion_that_hangs_gives_up_before_the_host_does(kind, host):
    """Else reading it would be an error of the host, and nothing could mend it."""
    inputs, id, state = created(kind)
    kind.read(id, state, inputs)
    assert min(host.patience) > client.TIMEOUT


# Applying


def test_first_the_files_then_the_units_then_the_companion_and_the_gateway_last(kind, host):
    inputs, *_ = created(kind)
    files = desired(inputs).files
    assert [event for event in host.events if not event.startswith("make")] == [
        *(f"write {files[name].path}" for name in ("config", "secrets", "hostd", "gatewayUnit", "hostdUnit")),
        "daemon-reload",
        f"restart {paths.HOSTD_UNIT}",
        f"restart {paths.GATEWAY_UNIT}",
    ]
    assert host.states == {unit: ["active", "enabled"] for unit in (paths.HOSTD_UNIT, paths.GATEWAY_UNIT)}


def test_the_directories_are_open_to_the_user_of_qemu_whatever_the_umask(kind, host):
    created(kind)
    assert host.directories == dict.fromkeys((gateway.GATEWAY_DIRECTORY, paths.HOSTD_DIRECTORY), "0755 root:root")


def test_creating_it_again_changes_nothing(kind, host):
    created(kind)
    host.events.clear()
    host.commands.clear()
    created(kind)
    assert host.events == []
    assert not [command for command in host.commands if command.startswith("systemctl")]


def test_another_configuration_restarts_the_gateway_alone(kind, host):
    inputs, id, state = created(kind)
    host.events.clear()
    news = kind.check({**NEWS, **MOVED}, inputs)
    state = kind.update(id, state, news, False)
    assert host.events == [f"write {paths.CONFIG_LAYER}", f"restart {paths.GATEWAY_UNIT}"]
    assert kind.diff(state, news, news).changes == ()


def test_another_machine_is_told_to_systemd_first(kind, host):
    inputs, id, state = created(kind)
    host.events.clear()
    kind.update(id, state, kind.check({**NEWS, "machine": {"memory": 256}}, inputs), False)
    assert host.events == [f"write {GATEWAY_FILE}", "daemon-reload", f"restart {paths.GATEWAY_UNIT}"]


@pytest.mark.parametrize("broken", ["daemon-reload", "restart wgnode-gateway"])
def test_an_update_that_ends_between_the_units_file_and_its_start_is_gone_on_with(kind, host, broken):
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


def test_a_gateway_that_does_not_answer_a_new_companion_is_restarted_as_well(kind, host, clock):
    inputs, id, state = created(kind)
    host.remove(hostd_file(host))
    host.node["live"] = "00" * 32
    host.events.clear()
    before = clock.now
    kind.update(id, state, inputs, False)
    assert host.restarted == [paths.HOSTD_UNIT, paths.GATEWAY_UNIT]
    assert gateway.HOSTD_TIMEOUT <= clock.now - before < gateway.HOSTD_TIMEOUT + 1


def test_companion_and_configuration_at_once_wait_for_no_old_gateway(kind, host, clock):
    inputs, id, state = created(kind)
    host.remove(hostd_file(host))
    before = clock.now
    kind.update(id, state, kind.check({**NEWS, **MOVED}, inputs), False)
    assert clock.now - before < 1


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


def test_a_device_changed_while_it_runs_is_restarted(kind, host):
    inputs, id, state = created(kind)
    host.node["live"] = "00" * 32
    host.events.clear()
    state = kind.update(id, state, inputs, False)
    assert host.events == [f"restart {paths.GATEWAY_UNIT}"]
    assert state["live"] == inputs["live"]


@pytest.mark.parametrize("layer", [paths.CONFIG_LAYER, paths.SECRETS_LAYER])
def test_a_file_mended_under_a_node_that_runs_as_wanted_interrupts_nothing(kind, host, layer):
    inputs, id, state = created(kind)
    host.files[layer] = (b"edited", 0o666, "root")
    host.events.clear()
    kind.update(id, state, inputs, False)
    assert host.events == [f"write {layer}"]


def test_no_key_is_ever_in_a_command(kind, host):
    _, id, state = created(kind)
    kind.delete(id, state)
    assert not [word for word in host.commands if base64.b64encode(PRIVATE).decode() in word or "SSH-KEY" in word]


# Waiting until it runs


def test_a_node_that_takes_its_time_is_waited_for(kind, host, clock):
    host.boots_after = 100
    before = clock.now
    created(kind)
    assert clock.now - before == pytest.approx(100 * gateway.POLL_INTERVAL, rel=0.05)


@pytest.mark.parametrize("waits", [pytest.param(True, id="just in time"), pytest.param(False, id="too late")])
def test_the_wait_ends_after_its_time(kind, host, waits):
    polls = gateway.BOOT_TIMEOUT / gateway.POLL_INTERVAL
    host.boots_after = int(polls) - 2 if waits else int(polls) + 3
    if waits:
        created(kind)
    else:
        with pytest.raises(Partial):
            created(kind)


def test_a_node_that_never_answers_is_an_error_with_its_host_and_console(kind, host, clock):
    host.boots = False
    before = clock.now
    with pytest.raises(Partial) as error:
        created(kind)
    assert gateway.BOOT_TIMEOUT <= clock.now - before < gateway.BOOT_TIMEOUT + 1
    for text in (host.name, CONFIG.digest, "the guest is booting", "journalctl -u wgnode-gateway.service", CONSOLE):
        assert text in str(error.value)


def test_a_guest_that_says_why_it_can_not_run_is_not_waited_for(kind, host, clock):
    host.refuses = "node configuration: format 2, this node reads 1"
    before = clock.now
    with pytest.raises(Partial, match="format 2, this node reads 1"):
        created(kind)
    assert clock.now - before < 5


@pytest.mark.parametrize("wrong", ["loaded", "live"])
def test_a_node_that_runs_something_else_is_an_error_with_what_it_runs(kind, host, monkeypatch, wrong):
    right = {"loaded": CONFIG.digest, "live": expected_live_digest(CONFIG, SECRETS)}
    monkeypatch.setattr(GatewayHost, "_boot", lambda self: self.node.update({**right, wrong: "11" * 32}))
    with pytest.raises(Partial) as error:
        created(kind)
    for text in (CONFIG.digest, {**right, wrong: "11" * 32}["loaded"], {**right, wrong: "11" * 32}["live"]):
        assert text in str(error.value)


@pytest.mark.parametrize(("restarts", "given_up"), [(2, False), (3, True)])
def test_a_gateway_that_ends_again_and_again_is_given_up_early(kind, host, clock, restarts, given_up):
    host.boots, host.restarts_by_itself = False, restarts
    before = clock.now
    with pytest.raises(Partial, match="No module named wgnode"):
        created(kind)
    assert (clock.now - before < 1) is given_up


def test_a_gateway_that_came_up_after_several_tries_is_healthy(kind, host):
    host.restarts_by_itself = 7
    created(kind)


def test_its_count_of_restarts_is_set_to_zero_before_it_is_started(kind, host):
    created(kind)
    reset, restart = f"systemctl reset-failed {paths.GATEWAY_UNIT}", f"systemctl restart {paths.GATEWAY_UNIT}"
    assert host.commands.index(reset) < host.commands.index(restart)


def test_ctrl_c_ends_the_wait_and_the_error_says_that_it_can_go_on(kind, host, clock, monkeypatch):
    host.boots = False
    before = clock.now
    monkeypatch.setattr(gateway, "cancelled", lambda: clock.now - before > 3)
    with pytest.raises(Partial, match=r"198\.51\.100\.2: interrupted .* goes on"):
        created(kind)
    assert clock.now - before < 4


def test_ctrl_c_while_a_new_companion_is_asked_does_not_restart_the_gateway(kind, host, monkeypatch):
    inputs, id, state = created(kind)
    host.remove(hostd_file(host))
    host.boots = False
    host.events.clear()
    monkeypatch.setattr(gateway, "cancelled", lambda: True)
    with pytest.raises(Partial, match="interrupted"):
        kind.update(id, state, inputs, False)
    assert host.restarted == [paths.HOSTD_UNIT]


# Failing


def test_what_was_made_before_a_failure_is_kept_and_differs(kind, host):
    host.fails = f"restart {paths.GATEWAY_UNIT}"
    with pytest.raises(Partial) as error:
        created(kind)
    assert error.value.id == "berlin"
    state = error.value.state
    assert state["files"] == kind.check(NEWS, {})["files"]
    inputs = error.value.inputs
    assert [change.path for change in kind.diff(state, inputs, inputs).changes] == [GATEWAY_UNIT, "loaded", "live"]
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
    assert {"files.config", "files.secrets", GATEWAY_UNIT, HOSTD_UNIT, "loaded", "live"} <= differing


def test_a_host_that_was_never_reached_has_no_gateway(kind, host):
    host.reachable = False
    with pytest.raises(HostUnreachable):
        Gateway(connect=lambda _: host._reach()).create("berlin-gateway", kind.check(NEWS, {}), False)


@pytest.mark.parametrize("fails", [paths.SECRETS_LAYER, "daemon-reload", f"restart {paths.HOSTD_UNIT}"])
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
