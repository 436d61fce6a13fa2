"""How a gateway becomes as wanted: live, by a new guest, back to the former one, and away."""

from __future__ import annotations

import base64
from dataclasses import replace

import pytest

from pulumi_wgnode.call.kind import Partial
from pulumi_wgnode.resources.gateway import desired
from tests.unit.pulumi_wgnode.keys import UNSHOWN
from tests.unit.pulumi_wgnode.resources.gateway_case import (
    CONFIG,
    GATEWAY_FILE,
    HOSTD_FILE,
    JOINED,
    MOVED,
    NEWS,
    PRIVATE,
    RECORD,
    clock,
    created,
    host,
    hostd_file,
    kind,
    layer_digest,
    read_paths,
)
from wgnode.image import paths

__all__ = ["clock", "host", "kind"]


def test_first_the_companion_then_the_layers_and_the_gateway_last(kind, host):
    inputs, *_ = created(kind)
    files = desired(inputs).files
    assert [event for event in host.events if not event.startswith("make")] == [
        f"write {RECORD}",
        *(f"write {files[name].path}" for name in ("hostd", "hostdUnit")),
        "daemon-reload",
        f"restart {paths.PLAIN.hostd_unit}",
        *(f"write {files[name].path}" for name in ("config", "secrets")),
        f"write {paths.PLAIN.gateway}/{paths.PLAIN.gateway_unit}",
        "daemon-reload",
        f"restart {paths.PLAIN.gateway_unit}",
    ]
    assert host.states == {unit: ["active", "enabled"] for unit in (paths.PLAIN.hostd_unit, paths.PLAIN.gateway_unit)}


def test_the_directories_are_open_to_the_user_of_qemu_whatever_the_umask(kind, host):
    created(kind)
    assert host.directories == dict.fromkeys((paths.PLAIN.gateway, paths.PLAIN.hostd_directory), "0755 root:root")


def test_creating_it_again_changes_nothing(kind, host):
    created(kind)
    host.events.clear()
    host.commands.clear()
    created(kind)
    assert host.events == [f"write {RECORD}"], "with its own claim"
    assert not [command for command in host.commands if command.startswith("systemctl")]


def test_another_name_is_an_update_in_place_and_the_guest_runs_on(kind, host):
    inputs, id, state = created(kind)
    host.events.clear()
    config = replace(CONFIG, name="lager").to_json().decode()
    renamed = kind.check({**NEWS, "site": {**NEWS["site"], "name": "lager"}, "config": config}, inputs)
    assert not [change for change in kind.diff(state, inputs, renamed).changes if change.replace]
    state = kind.update(id, state, renamed, False)
    assert (host.restarted, host.changed_live) == ([paths.PLAIN.hostd_unit], 1)
    assert kind.diff(*kind.read(id, state, renamed), renamed).changes == ()
    assert b"-name wgnode-lager" in host.files[GATEWAY_FILE][0], "for its next start"
    assert b"--name lager" in host.files[HOSTD_FILE][0]


def test_another_configuration_is_written_and_then_changed_live(kind, host):
    inputs, id, state = created(kind)
    host.events.clear()
    news = kind.check({**NEWS, **JOINED}, inputs)
    state = kind.update(id, state, news, False)
    assert host.events == [f"write {paths.PLAIN.config_layer}", "change live"]
    assert kind.diff(state, news, news).changes == ()
    assert state["loaded"] == CONFIG.digest != state["applied"]


def test_what_the_running_node_can_not_take_needs_a_new_guest(kind, host):
    inputs, id, state = created(kind)
    host.events.clear()
    host.live_answer = {"restart": "lan can't be changed while it runs"}
    news = kind.check({**NEWS, **MOVED}, inputs)
    state = kind.update(id, state, news, False)
    assert host.restarted == [paths.PLAIN.gateway_unit]
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
        f"write {paths.PLAIN.gateway}/{paths.PLAIN.gateway_unit}",
        "daemon-reload",
        f"restart {paths.PLAIN.gateway_unit}",
    ]
    assert not [path for path in host.files if path.startswith(paths.PLAIN.previous)], "not needed any more"


def test_what_a_killed_run_kept_of_the_former_gateway_is_drift_and_goes(kind, host):
    inputs, id, state = created(kind)
    host.directories[paths.PLAIN.previous] = "0700 root:root"
    host.files[f"{paths.PLAIN.previous}/secrets.cpio"] = (b"former", 0o600, "wgnode")
    assert read_paths(kind, id, state, inputs) == [f'directories["{paths.PLAIN.previous}"]']
    host.events.clear()
    kind.update(id, state, inputs, False)
    assert read_paths(kind, id, state, inputs) == []
    assert (f"{paths.PLAIN.previous}/secrets.cpio" in host.files, host.events) == (False, [])


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
    assert host.restarted == [paths.PLAIN.gateway_unit]


def test_half_a_change_on_the_disk_is_not_what_is_gone_back_to(kind, host):
    inputs, id, state = created(kind)
    joined = kind.check({**NEWS, **JOINED}, inputs)
    host.files[paths.PLAIN.config_layer] = (desired(joined).files["config"].data, 0o644, "root")
    host.broken_memory, host.restarts_by_itself = "-m 256", 3
    bigger = kind.check({**NEWS, **JOINED, "machine": {"memory": 256}}, inputs)
    with pytest.raises(Partial) as error:
        kind.update(id, state, bigger, False)
    assert "former" not in str(error.value)


@pytest.mark.parametrize("broken", ["switch", f"{paths.PLAIN.gateway}/{paths.PLAIN.gateway_unit}"])
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
    assert paths.PLAIN.gateway_unit in host.restarted


def test_a_tap_made_anew_under_the_guest_is_drift_and_needs_a_new_guest(kind, host):
    inputs, id, state = created(kind)
    host.detached = {paths.PLAIN.lan_tap}
    assert read_paths(kind, id, state, inputs) == ['taps["wgnode-lan"]']
    host.events.clear()
    kind.update(id, state, inputs, False)
    assert host.restarted == [paths.PLAIN.gateway_unit]
    assert read_paths(kind, id, state, inputs) == []


def test_the_sealed_bundle_is_kept_on_the_host_and_a_new_one_disturbs_nothing(kind, host):
    inputs, id, state = created(kind, bundle="sealed")
    assert host.files[paths.PLAIN.sealed_bundle] == (b"sealed", 0o644, "root")
    host.events.clear()
    state = kind.update(id, state, kind.check({**NEWS, "bundle": "resealed"}, inputs), False)
    assert host.events == [f"write {paths.PLAIN.sealed_bundle}"]


@pytest.mark.parametrize("change", ["hostd gone", "hostd stopped", "unit edited"])
def test_mending_the_companion_leaves_the_gateway_running(kind, host, change):
    inputs, id, state = created(kind)
    if change == "hostd gone":
        host.remove(hostd_file(host))
    elif change == "hostd stopped":
        host.states[paths.PLAIN.hostd_unit][0] = "failed"
    else:
        host.files[HOSTD_FILE] = (b"edited", 0o644, "root")
    host.events.clear()
    state = kind.update(id, state, inputs, False)
    assert host.restarted == [paths.PLAIN.hostd_unit]
    assert kind.diff(state, inputs, inputs).changes == ()


def test_a_companion_of_another_version_takes_the_place_of_the_old_one(kind, host):
    inputs, id, state = created(kind)
    old, current = f"{paths.PLAIN.hostd_directory}/0123456789abcdef.pyz", hostd_file(host)
    host.files[old] = host.files.pop(current)
    assert read_paths(kind, id, state, inputs) == ["files.hostd"]  # the old one can still be asked
    kind.update(id, state, inputs, False)
    assert current in host.files
    assert old not in host.files
    assert host.restarted == [
        paths.PLAIN.hostd_unit,
        paths.PLAIN.gateway_unit,
        paths.PLAIN.hostd_unit,
    ]  # two of them at creation


def test_a_node_that_has_drifted_under_a_missing_companion_is_changed_live(kind, host):
    inputs, id, state = created(kind)
    host.remove(hostd_file(host))
    host.node["live"] = "00" * 32
    host.events.clear()
    kind.update(id, state, inputs, False)
    assert host.restarted == [paths.PLAIN.hostd_unit]
    assert host.changed_live == 1


def test_companion_and_configuration_at_once_restart_the_companion_alone(kind, host, clock):
    inputs, id, state = created(kind)
    host.remove(hostd_file(host))
    host.events.clear()
    kind.update(id, state, kind.check({**NEWS, **MOVED}, inputs), False)
    assert (host.restarted, host.changed_live) == ([paths.PLAIN.hostd_unit], 1)


@pytest.mark.parametrize("unit", [paths.PLAIN.gateway_unit, paths.PLAIN.hostd_unit])
def test_a_stopped_unit_is_started_alone(kind, host, unit):
    inputs, id, state = created(kind)
    host.states[unit] = ["inactive", "disabled"]
    host.events.clear()
    kind.update(id, state, inputs, False)
    assert host.restarted == [unit]
    assert host.states[unit] == ["active", "enabled"]


def test_a_gateway_that_would_not_start_at_boot_is_enabled_and_runs_on(kind, host):
    inputs, id, state = created(kind)
    host.states[paths.PLAIN.gateway_unit][1] = "disabled"
    host.events.clear()
    kind.update(id, state, inputs, False)
    assert (host.states[paths.PLAIN.gateway_unit], host.restarted) == (["active", "enabled"], [])


def test_a_device_changed_while_it_runs_is_changed_back_live(kind, host):
    inputs, id, state = created(kind)
    host.node["live"] = "00" * 32
    host.events.clear()
    state = kind.update(id, state, inputs, False)
    assert host.events == ["change live"]
    assert state["live"] == inputs["live"]


@pytest.mark.parametrize("layer", [paths.PLAIN.config_layer, paths.PLAIN.secrets_layer])
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
    assert not [word for word in host.commands if base64.b64encode(PRIVATE).decode() in word or UNSHOWN in word]
