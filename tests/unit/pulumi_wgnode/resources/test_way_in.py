"""Another way into the same host is an update: no replacement, no drift, and of the environment nothing is recorded."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pulumi_wgnode import contracts
from tests.unit.pulumi_wgnode.keys import OTHER_KEY, PIN
from tests.unit.pulumi_wgnode.resources.whole_site import WholeSite

JUMP = {"address": "192.0.2.1", "hostKeys": [PIN], "user": "ops"}
WAYS: dict[str, dict[str, Any]] = {
    "another key": {"privateKey": OTHER_KEY},
    "no key": {"privateKey": None},
    "the agent": {"privateKey": None, "agent": True},
    "a jump host": {"jumpHosts": [JUMP]},
    "a name in a file": {"sshHost": "berlin"},
    "an authority": {"hostAuthorities": [PIN]},
    "another user": {"user": "ops"},
    "another port": {"port": 2222},
}
VARIABLES = {
    "WGNODE_SSH_USER": "runneruser",
    "WGNODE_SSH_PORT": "22022",
    "WGNODE_SSH_PRIVATE_KEY": OTHER_KEY,
    "WGNODE_SSH_PASSPHRASE": "a passphrase of the runner's",
    "WGNODE_SSH_JUMP_HOSTS": "ops@bastion.example",
    "WGNODE_SSH_KNOWN_HOSTS": "/home/runner/known",
}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with pytest.MonkeyPatch.context() as patch:
        yield WholeSite(tmp_path_factory.mktemp("whole"), patch)


def moved(given: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    connection = {**given["connection"], **changes}
    return {**given, "connection": {name: value for name, value in connection.items() if value is not None}}


def of_kind(whole: WholeSite, kind: str) -> tuple[Any, dict[str, Any], dict[str, Any]]:
    token = f"wgnode:index:{kind}"
    _, inputs, state = whole.recorded[token]
    named = contracts.ALL[token].inputs.wire_names()
    return whole.kinds[token], {name: value for name, value in inputs.items() if name in named}, state


KINDS = ("HypervisorHost", "NatFirewall", "ApplianceImage", "Gateway")


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", KINDS)
def test_another_way_in_replaces_nothing_and_is_no_drift(whole: WholeSite, name: str, way: str) -> None:
    kind, inputs, state = of_kind(whole, name)
    changes = kind.diff(state, inputs, kind.check(moved(inputs, WAYS[way]), inputs)).changes
    assert not any(change.replace for change in changes)
    own = [change for change in changes if change.path.startswith("connection")]
    assert own
    assert not any(change.drift for change in own)
    lets_its_port_in = way == "another port" and name == "NatFirewall"
    assert (len(own) < len(changes)) == lets_its_port_in, "nothing else differs"


@pytest.mark.parametrize("name", KINDS)
def test_what_former_versions_recorded_of_defaults_is_no_difference(
    whole: WholeSite, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind, inputs, state = of_kind(whole, name)
    former = moved(inputs, {"port": 22, "user": "root", "agent": False})
    assert kind.diff(state, former, inputs).changes == ()
    monkeypatch.setenv("WGNODE_SSH_USER", "ops")
    assert [change.path for change in kind.diff(state, former, inputs).changes] == ["connection.user"]


@pytest.mark.parametrize("name", KINDS)
def test_nothing_of_the_environment_is_in_inputs_or_state(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable, value in VARIABLES.items():
        monkeypatch.setenv(variable, value)
    whole = WholeSite(tmp_path, monkeypatch)
    kind, inputs, state = of_kind(whole, name)
    checked = kind.check(moved(inputs, {"privateKey": None}), inputs)
    written = json.dumps([checked, state], default=str)
    for value in ("22022", "runneruser", "passphrase", "bastion.example", "/home/runner", json.dumps(OTHER_KEY)[1:-1]):
        assert value not in written
    assert checked["connection"] == {"address": "198.51.100.2", "hostKeys": [PIN]}
