"""The table on its host: armed, loaded, confirmed, kept, mended by name, and taken away."""

from __future__ import annotations

import contextlib
from dataclasses import replace

import pytest

from pulumi_wgnode.call.kind import UNKNOWN
from pulumi_wgnode.hosts import undo
from pulumi_wgnode.hosts.host import HostError
from pulumi_wgnode.resources import closing, foresee
from tests.unit.pulumi_wgnode.fake_host import failed
from tests.unit.pulumi_wgnode.resources.firewall_case import NEWS, RECORD, created, host, kind
from wgnode.image.paths import PLAIN

__all__ = ["host", "kind"]


def without(chains, name):
    return tuple(replace(one, rules=tuple(rule for rule in one.rules if rule.name != name)) for one in chains)


def test_the_undo_is_armed_before_loading_and_disarmed_after_persisting(kind, host):
    created(kind)
    order = [
        "arm wgnode-undo-firewall",
        "load table",
        "new connection",
        f"write {PLAIN.firewall_file}",
        f"start {PLAIN.firewall_unit}",
    ]
    order += ["stop wgnode-undo-firewall.timer"]
    assert [event for event in host.events if event in order] == order
    assert not [path for path in host.files if path.startswith("/run")]


def test_right_after_creation_nothing_differs(kind):
    inputs, id, state = created(kind)
    assert kind.diff(state, inputs, inputs).changes == ()
    assert kind.read(id, state, inputs) == (state, inputs)


def test_creating_it_again_changes_nothing(kind, host):
    created(kind)
    host.events.clear()
    created(kind)
    assert host.events == [f"write {RECORD}"], "with its own claim"


def test_a_rule_removed_by_hand_is_found_and_mended_by_name(kind, host):
    inputs, id, state = created(kind)
    host.table = without(host.table, "dnat-v4")
    state, real_inputs = kind.read(id, state, inputs)
    assert [(change.path, change.kind) for change in kind.diff(state, real_inputs, inputs).changes] == [
        ('rules["dnat-v4"]', "ADD")
    ]
    state = kind.update(id, state, inputs, False)
    assert kind.diff(state, inputs, inputs).changes == ()


def test_rules_in_another_order_are_drift(kind, host):
    inputs, id, state = created(kind)
    host.table = tuple(replace(chain, rules=chain.rules[::-1]) for chain in host.table)
    state, _ = kind.read(id, state, inputs)
    paths = {change.path for change in kind.diff(state, inputs, inputs).changes}
    assert "order.input" in paths


def test_a_unit_that_was_disabled_is_drift(kind, host):
    inputs, id, state = created(kind)
    host.units[PLAIN.firewall_unit][1] = "disabled"
    state, _ = kind.read(id, state, inputs)
    assert [change.path for change in kind.diff(state, inputs, inputs).changes] == [f'units["{PLAIN.firewall_unit}"]']


def test_an_edited_file_is_drift(kind, host):
    inputs, id, state = created(kind)
    host.files[PLAIN.firewall_file] = (b"flush ruleset", 0o600, "root")
    state, _ = kind.read(id, state, inputs)
    assert [change.path for change in kind.diff(state, inputs, inputs).changes] == [f'files["{PLAIN.firewall_file}"]']


def test_without_a_new_connection_nothing_is_persisted_and_the_error_says_it_was_taken_back(kind, host, monkeypatch):
    attempts = []

    @contextlib.contextmanager
    def cut_off_until_the_undo():
        attempts.append(len(attempts))
        host.reachable = len(attempts) > 3
        if host.reachable:
            host.files[f"{undo.DIRECTORY}/firewall.sh.ran"] = (b"", 0o644, "root")
        host._reach()
        yield host

    monkeypatch.setattr(undo, "SECONDS", 0)
    kind._reconnect = lambda _: cut_off_until_the_undo()
    with pytest.raises(undo.Reverted, match=r"would lock us out.*taken it back"):
        created(kind)
    assert PLAIN.firewall_file not in host.files
    assert PLAIN.firewall_unit not in host.units


RAN = f"{undo.DIRECTORY}/firewall.sh.ran"


def test_an_undo_that_was_quicker_than_the_confirmation_is_an_error(kind, host):
    answer = host._systemctl

    def elapsed(argv, input):
        if "stop" not in argv:
            return answer(argv, input)
        host.files[RAN] = (b"", 0o644, "root")
        return failed("not loaded")

    host._systemctl = elapsed
    with pytest.raises(undo.Reverted, match="too late"):
        created(kind)


def test_a_connection_that_came_only_after_the_undo_confirms_nothing(kind, host):
    @contextlib.contextmanager
    def late():
        host.files[RAN] = (b"", 0o644, "root")
        yield host

    kind._reconnect = lambda _: late()
    with pytest.raises(undo.Reverted, match=r"would lock us out \(no new connection before"):
        created(kind)


def test_a_ruleset_that_nft_refuses_arms_and_changes_nothing(kind, host):
    host.refused_ruleset = "syntax error"
    with pytest.raises(HostError, match="syntax error"):
        created(kind)
    assert host.events == [f"write {RECORD}"]


def test_a_foreign_firewall_that_drops_an_allowed_port_is_named_and_nothing_is_changed(kind, host):
    host.foreign = [{"chain": {"family": "inet", "table": "mine", "name": "in", "hook": "input", "policy": "drop"}}]
    with pytest.raises(HostError, match="inet mine in, drops port 443"):
        created(kind, allow=[{"protocol": "tcp", "port": 443}])
    assert host.events == []
    created(kind)  # SSH is proven by the new connection


def test_a_policy_or_a_set_changed_by_hand_is_found_by_name_and_mended(kind, host):
    inputs, id, state = created(kind)
    ours = {"family": "inet", "table": "wgnode"}
    hooked = {"type": "filter", "hook": "forward", "prio": 0, "policy": "drop"}
    host.in_our_table = [{"chain": {**ours, "name": "extra", **hooked}}, {"set": {**ours, "name": "s", "elem": ["x"]}}]
    state, _ = kind.read(id, state, inputs)
    assert [change.path for change in kind.diff(state, inputs, inputs).changes] == ["chains.extra", 'others["set s"]']
    assert state["chains"]["extra"] == "filter hook forward priority 0; policy drop"
    assert kind.diff(kind.update(id, state, inputs, False), inputs, inputs).changes == ()


def test_a_file_or_unit_is_mended_without_loading_the_table(kind, host):
    inputs, id, state = created(kind)
    host.files[PLAIN.firewall_file] = (host.files[PLAIN.firewall_file][0], 0o644, "root")
    override = f"/etc/systemd/system/{PLAIN.firewall_unit}.d/mine.conf"
    host.files[override] = (b"", 0o644, "root")
    host.events.clear()
    state, _ = kind.read(id, state, inputs)
    assert state["units"][PLAIN.firewall_unit] == f"active, enabled; overridden by {override}"
    paths = {change.path for change in kind.diff(state, inputs, inputs).changes}
    assert paths == {f'files["{PLAIN.firewall_file}"]', f'units["{PLAIN.firewall_unit}"]'}
    kind.update(id, state, inputs, False)
    assert host.events == [f"write {PLAIN.firewall_file}"]
    assert f"rm -rf /etc/systemd/system/{PLAIN.firewall_unit}.d" in "\n".join(host.commands)


def test_stale_connections_are_forgotten_only_when_translation_changed(kind, host):
    inputs, id, state = created(kind)
    assert any(command.startswith("conntrack -D -p udp --orig-port-dst 51820") for command in host.commands)
    host.commands.clear()
    wider = kind.check({**NEWS, "managementNetworks": ["192.0.2.0/24", "10.0.0.0/8"]}, inputs)
    kind.update(id, state, wider, False)
    assert not any(command.startswith("conntrack") for command in host.commands)


def test_the_undo_brings_back_the_table_and_file_of_before(kind, host):
    inputs, id, state = created(kind)
    old = host.files[PLAIN.firewall_file][0].decode()
    host.kept.clear()
    kind.update(id, state, kind.check({**NEWS, "listenPort": 51821}, inputs), False)
    script = host.kept[f"{undo.DIRECTORY}/firewall.sh"].decode()
    assert old.rstrip() in script
    assert "disable --now" not in script


def test_deleting_takes_away_table_unit_and_file(kind, host):
    _, id, state = created(kind)
    kind.delete(id, state)
    assert (host.table, host.files, host.units) == (None, {}, {})
    assert host.commands[-1].startswith("conntrack -D")
    assert kind.read(id, state, kind.check(NEWS, {})) is None


def forwarding(*versions):
    return {"versions": list(versions), "bridges": ["wgnode-br0"]}


def test_what_is_closed_is_said_by_the_preview_and_before_the_table_is_loaded(kind, host, monkeypatch):
    said = []
    monkeypatch.setattr(closing, "log", lambda text, *_: said.append((text, "load table" in host.events)))
    host.listeners = 'tcp LISTEN 0 128 0.0.0.0:80 0.0.0.0:* users:(("nginx",pid=9,fd=4))\n'
    inputs = kind.check(NEWS, {})
    given = {**NEWS, "allow": [{"protocol": "tcp", "port": 81}], "forward": [{"protocol": "tcp", "port": 82}]}
    first = kind.check({**given, "instance": UNKNOWN, "forwarding": UNKNOWN}, {})
    for news in (inputs, first, {**first, "listenPort": UNKNOWN}):
        foresee.judge(kind.foresee(host, news, None))
        ((text, loaded),) = said
        assert "TCP 80 (nginx, pid 9)" in text
        assert not loaded
        said.clear()
    foresee.judge(kind.foresee(host, {**first, "uplink": UNKNOWN}, None))
    assert said == []
    _, id, state = created(kind)
    assert [loaded for _, loaded in said] == [False]
    kind.read(id, state, inputs)
    assert len(said) == 1, "what is closed is said once"


def test_what_is_forwarded_is_in_the_table_and_missed_by_name(kind, host):
    forward = [{"protocol": "tcp", "port": 8080}, {"to": "2001:db8:1::/64"}]
    inputs, id, state = created(kind, forward=forward, keep=True, forwarding=forwarding(4))
    assert {"forward-allow-tcp-8080", "forward-allow-2001:db8:1::/64", "forward-keep-translated"} <= set(state["rules"])
    host.table = without(host.table, "forward-allow-tcp-8080")
    host.table = without(host.table, "forward-none-v6")
    state, _ = kind.read(id, state, inputs)
    assert {change.path for change in kind.diff(state, inputs, inputs).changes} == {
        'rules["forward-allow-tcp-8080"]',
        'rules["forward-none-v6"]',
    }


def test_interfaces_that_are_left_alone_may_have_new_ways_but_not_the_lan_s_bridge(kind):
    _, _, state = created(kind, forwarding=forwarding(), leaveAlone=["wgnode-br0", "vpn0"])
    assert [name for name in state["rules"] if name.startswith("forward-left-alone")] == ["forward-left-alone-vpn0"]


def test_no_new_ways_only_of_the_versions_that_were_not_forwarded(kind):
    for versions in ((4, 6), (4,), (6,), ()):
        _, _, state = created(kind, forwarding=forwarding(*versions))
        found = {name[-2:] for name in state["rules"] if name.startswith("forward-none-")}
        assert found == {f"v{version}" for version in (4, 6) if version not in versions}
    _, _, state = created(kind)
    assert not [name for name in state["rules"] if name.startswith("forward-none-")], "who says nothing forwarded all"
