"""A gateway's inputs, what should be on its host, and what reads as drift."""

from __future__ import annotations

import base64

import pytest

from pulumi_wgnode.resources.gateway import desired
from pulumi_wgnode.resources.gateway_state import SILENT, reported
from tests.unit.pulumi_wgnode.keys import OTHER_KEY
from tests.unit.pulumi_wgnode.resources.gateway_case import (
    CONFIG,
    GATEWAY_FILE,
    GATEWAY_UNIT,
    HOSTD_FILE,
    ID,
    JOINED,
    MOVED,
    NEWS,
    PEER,
    SECRETS,
    clock,
    created,
    host,
    hostd_file,
    kind,
    read_paths,
)
from wgnode.hostd.said import believed
from wgnode.image import paths
from wgnode.nodeconfig import expected_live_digest

__all__ = ["clock", "host", "kind"]


# Creating, reading, differing


def test_right_after_creation_nothing_differs(kind):
    inputs, id, state = created(kind)
    assert id == ID
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
    host.files[paths.PLAIN.secrets_layer] = (host.files[paths.PLAIN.secrets_layer][0], mode, owner)
    assert read_paths(kind, id, state, inputs) == ["files.secrets"]


def test_a_missing_companion_is_drift_and_then_nobody_can_ask_the_node(kind, host):
    inputs, id, state = created(kind)
    host.remove(hostd_file(host))
    assert read_paths(kind, id, state, inputs) == ["files.hostd", "applied", "live"]


def test_a_stopped_gateway_is_drift_by_its_unit(kind, host):
    inputs, id, state = created(kind)
    host.states[paths.PLAIN.gateway_unit][0] = "inactive"
    found, real_inputs = kind.read(id, state, inputs)
    assert found["units"][paths.PLAIN.gateway_unit] == "inactive, enabled"
    changes = kind.diff(found, real_inputs, inputs).changes
    assert [(change.path, change.drift) for change in changes] == [
        ('units["wgnode-gateway.service"]', True),
        ("applied", True),
        ("live", True),
    ]


def test_a_gateway_that_would_not_start_at_boot_is_drift(kind, host):
    inputs, id, state = created(kind)
    host.states[paths.PLAIN.gateway_unit][1] = "disabled"
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
    ("what", "value", "path", "kind_of_change"),
    [
        ("allowed_ips", ["0.0.0.0/0", "10.2.0.0/24"], "allowedIPs[0]", "DELETE"),
        ("allowed_ips", [], "allowedIPs[0]", "ADD"),
        ("allowed_ips", ["10.2.9.0/24"], "allowedIPs[0]", "UPDATE"),
        ("persistent_keepalive", 7, "keepalive", "UPDATE"),
        ("preshared_keys", [], "presharedKey", "UPDATE"),
        ("public_keys", ["AAAA"], "publicKey", "UPDATE"),
    ],
)
def test_what_of_a_peer_was_changed_by_hand_is_named(kind, host, what, value, path, kind_of_change):
    inputs, id, state = created(kind)
    host.node["peers"][0][what] = value
    found, real = kind.read(id, state, inputs)
    changes = kind.diff(found, real, inputs).changes
    assert [(change.path, change.kind) for change in changes] == [(f"peers.cabin.{path}", kind_of_change)]


def test_peers_of_a_state_of_an_earlier_version_are_no_difference_once_read(kind, host):
    """They were sentences."""
    inputs, id, state = created(kind)
    assert read_paths(kind, id, {**state, "peers": {"cabin": "key AAAA; keepalive 25"}}, inputs) == []


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
        ("config.addresses[0]", False),
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
        ({"site": {**NEWS["site"], "id": "0" * 16}}, ["site.id"]),
        ({"site": {**NEWS["site"], "name": "munich"}}, []),
        ({"connection": {**NEWS["connection"], "address": "192.0.2.9"}}, []),
    ],
)
def test_another_site_is_another_gateway_another_name_or_address_is_none(kind, changes, path):
    inputs, _, state = created(kind)
    diff = kind.diff(state, inputs, kind.check({**NEWS, **changes}, inputs))
    assert [change.path for change in diff.changes if change.replace] == path
    assert diff.delete_before_replace


def test_a_new_key_to_log_in_with_touches_nothing_on_the_host(kind, host):
    inputs, id, state = created(kind)
    news = kind.check({**NEWS, "connection": {**NEWS["connection"], "privateKey": OTHER_KEY}}, inputs)
    assert [change.path for change in kind.diff(state, inputs, news).changes] == ["connection.privateKey"]
    host.events.clear()
    kind.update(id, state, news, False)
    assert host.events == []


def test_a_gateway_deployed_by_another_version_is_read_as_drift_and_brought_up_to_date(kind, host):
    inputs, id, state = created(kind)
    older = {**inputs, "config": NEWS["config"].replace('"format":1', '"format":0')}
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
    host.directories[paths.PLAIN.gateway] = "0777 root:root"
    assert read_paths(kind, id, state, inputs) == [f'directories["{paths.PLAIN.gateway}"]']
    host.events.clear()
    kind.update(id, state, inputs, False)
    assert host.restarted == []
    assert read_paths(kind, id, state, inputs) == []


@pytest.mark.parametrize(
    "lie",
    [
        {"live": ["x"]},
        {"live": "a", "public_keys": ["x" * 100]},
        {"live": "a", "public_keys": [3]},
        {"live": "a", "peers": 3},
        {"live": "a", "peers": [{}]},
        {"live": "a", "peers": [{"public_key": "AAAA", "allowed_ips": ["10.0.0.1/8"]}]},
        {"live": "a", "listen_port": "many"},
    ],
    ids=str,
)
def test_a_report_that_is_not_believed_is_none(lie):
    assert reported(believed(lie)) == SILENT


def test_a_report_with_less_in_it_is_read_as_far_as_it_goes():
    found = reported(believed({"live": "a", "peers": [{"public_key": "AAAA"}]}))
    assert (found["live"], found["node"]["listenPort"], list(found["peers"])) == ("a", "0", ["AAAA"])


def test_what_a_node_found_of_a_path_is_in_no_diff() -> None:
    peer = {"public_key": "AAAA", "name": "cabin"}
    found = [
        reported(
            believed({"live": "a", "peers": [peer | {"path_mtu": {"size": size, "evidence": "probe", "since": 1.0}}]})
        )
        for size in (1280, 1440)
    ]
    assert found[0] == found[1] == reported(believed({"live": "a", "peers": [peer]}))
    assert found[0]["live"] == "a"
