"""What is as long as the mesh has sites is a text to the engine, and structures to everybody else."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from pulumi_wgnode.call.kind import UNKNOWN, CheckError, Partial
from pulumi_wgnode.call.log import send_to
from pulumi_wgnode.contracts import texts
from pulumi_wgnode.contracts.node import config_of, described, keys_described
from pulumi_wgnode.operations import recorded, site_parts
from pulumi_wgnode.resources.inputs import connection
from pulumi_wgnode.resources.texted import Texted
from pulumi_wgnode.resources.versioned import Versioned, of_gateway, of_host
from tests.unit.pulumi_wgnode.resources import gateway_case, hypervisor_case
from tests.unit.pulumi_wgnode.resources.gateway_case import CONFIG, PRIVATE, clock
from wgnode.nodeconfig import NodeConfig, NodeSecrets, PeerConfig

__all__ = ["clock"]


def peer(number: int) -> PeerConfig:
    networks = (f"10.{128 + number // 250}.{number % 250}.0/24", f"fd00:{number:x}::/64")
    return PeerConfig(f"site{number:04}", (number.to_bytes(32),), networks, f"198.51.100.1:{1000 + number}")


def mesh_of(peers: int) -> NodeConfig:
    return replace(CONFIG, peers=tuple(peer(number) for number in range(1, peers + 1)))


def gateway(config: NodeConfig, structures: bool = False) -> dict[str, Any]:
    """Inputs, as `Site` gives them or as other programs do."""
    keys = NodeSecrets((PRIVATE,), {one.public_keys[0]: (b"\7" * 32,) for one in config.peers})
    if structures:
        return {**gateway_case.NEWS, "config": described(config), "secrets": keys_described(keys)}
    return {**gateway_case.NEWS, "config": config.to_json().decode(), "secrets": keys.to_json().decode()}


def host_of(routes: int, structures: bool = False) -> dict[str, Any]:
    given = [{"to": f"10.{128 + one // 250}.{one % 250}.0/24", "via": "10.1.0.2"} for one in range(routes)]
    whose = {one["to"]: "site 'x'" for one in given}
    long = {"routes": given, "whose": whose, "peers": [f"198.51.100.{one % 250}" for one in range(routes)]}
    written = long if structures else {name: json.dumps(value) for name, value in long.items()}
    return {**hypervisor_case.NEWS, "networks": {**hypervisor_case.NEWS["networks"], **written}}


def values(properties: Any) -> int:
    """How many the engine handles."""
    if isinstance(properties, Mapping):
        return 1 + sum(map(values, properties.values()))
    return 1 + sum(map(values, properties)) if isinstance(properties, list) else 1


@pytest.fixture
def host(clock: Any) -> Any:
    made = gateway_case.GatewayHost()
    made.waited = clock.sleep
    return made


@pytest.fixture
def kind(host: Any) -> Any:
    return Versioned(Texted(gateway_case.Gateway(connect=lambda _: host), "Gateway"), 3, of_gateway)


@pytest.fixture
def hypervisor() -> Any:
    machine = hypervisor_case.FakeHypervisor()
    machine.routes_up = {one["to"]: f"via {one['via']}" for one in host_of(texts.MANY + 1, True)["networks"]["routes"]}
    made = hypervisor_case.HypervisorHost(connect=lambda _: machine, reconnect=lambda _: machine.new_connection())
    return Versioned(Texted(made, "HypervisorHost"), 3, of_host)


MANY = texts.MANY + 1


@pytest.mark.parametrize("given", [gateway, host_of])
def test_what_the_engine_handles_of_many_does_not_grow_with_them(kind: Any, hypervisor: Any, given: Any) -> None:
    made, of = (kind, mesh_of) if given is gateway else (hypervisor, int)
    few, many, more = (made.check(given(of(count)), {}) for count in (texts.MANY, MANY, 3 * MANY))
    assert values(few) > 5 * texts.MANY, "structures, in which each change is shown by itself"
    assert values(many) == values(more) < values(few)


def test_a_gateway_of_many_is_made_read_and_compared_as_text(kind: Any) -> None:
    inputs = kind.check(gateway(mesh_of(MANY)), {})
    assert {name: type(inputs[name]) for name in ("config", "secrets", "peers")} == dict.fromkeys(
        ("config", "secrets", "peers"), str
    )
    id, state = kind.create("x", inputs, False)
    assert config_of(state["config"]) == mesh_of(MANY)
    found, real = kind.read(id, state, inputs)
    assert (found, real) == (state, inputs)
    assert kind.diff(found, real, inputs).changes == ()
    kind.delete(id, state)
    assert kind.read(id, state, inputs) is None


def test_a_peer_more_is_told_by_its_name(kind: Any) -> None:
    inputs = kind.check(gateway(mesh_of(MANY)), {})
    id, state = kind.create("x", inputs, False)
    news = kind.check(gateway(mesh_of(MANY + 1)), inputs)
    said: list[str] = []
    send_to(lambda text, severity: said.append(text))
    try:
        paths = [change.path for change in kind.diff(state, inputs, news).changes]
    finally:
        send_to(None)
    name = f"site{MANY + 1:04}"
    assert {f"config.peers.{name}", "secrets", f"peers.{name}"} <= set(paths)
    assert not [path for path in paths if "site" in path and name not in path]
    assert said == [f"within its texts: + config.peers.{name}, + peers.{name}"]
    state = kind.update(id, state, news, False)
    assert kind.diff(state, news, news).changes == ()


def test_what_was_recorded_as_structures_is_no_difference(kind: Any) -> None:
    """As by the version before, and by programs of other people."""
    before = kind.check(gateway(mesh_of(MANY), structures=True), {})
    id, state = kind.create("x", before, False)
    found, real = kind.read(id, state, before)
    for one in (found, real):
        assert isinstance(one["config"], dict), "what was given as a structure stays one"
    inputs = kind.check(gateway(mesh_of(MANY)), before)
    assert kind.diff(state, before, inputs).changes == ()
    found, real = kind.read(id, state, inputs)
    assert (type(found["config"]), type(real["config"])) == (str, str)
    assert kind.diff(found, real, before).changes == ()


def test_what_is_unknown_or_wrong_is_neither(kind: Any) -> None:
    assert kind.check({**gateway(mesh_of(MANY)), "config": UNKNOWN, "secrets": UNKNOWN}, {})["config"] is UNKNOWN
    for wrong in ("{}", "[]", "1", "no JSON"):
        with pytest.raises(CheckError) as error:
            kind.check({**gateway(mesh_of(MANY)), "config": wrong}, {})
        assert [path for path, _ in error.value.failures] == ["config"]


def test_what_is_half_made_is_text_too(kind: Any, host: Any) -> None:
    host.fails = "secrets.cpio"
    inputs = kind.check(gateway(mesh_of(MANY)), {})
    with pytest.raises(Partial) as error:
        kind.create("x", inputs, False)
    for had in (error.value.state, error.value.inputs):
        assert (type(had["config"]), type(had["secrets"])) == (str, str)


def test_routes_of_many_are_texts_in_a_format_that_versions_before_refuse(hypervisor: Any) -> None:
    inputs = hypervisor.check(host_of(MANY), {})
    id, state = hypervisor.create("x", inputs, False)
    assert {name: type(inputs["networks"][name]) for name in ("routes", "whose", "peers")} == dict.fromkeys(
        ("routes", "whose", "peers"), str
    )
    assert (type(state["routes"]), state["written"]["format"]) == (str, 3)
    assert hypervisor.read(id, state, inputs) == (state, inputs)
    assert hypervisor.diff(state, inputs, inputs).changes == ()
    more = hypervisor.check(host_of(MANY + 1), inputs)
    changes = {change.path for change in hypervisor.diff(state, inputs, more).changes}
    assert {f"networks.routes[{MANY}]", 'routes["10.128.65.0/24"]'} <= changes
    structures = hypervisor.check(host_of(MANY, structures=True), {})
    assert hypervisor.diff(state, inputs, structures).changes == ()
    assert of_host(structures) < 3


def test_a_command_that_compares_names_the_peer(kind: Any, host: Any) -> None:
    """`wgnode status` and `wgnode drift`, out of a state with texts."""
    inputs = kind.check(gateway(mesh_of(MANY)), {})
    id, state = kind.create("x", inputs, False)
    raw = {"type": "wgnode:index:Gateway", "urn": "x", "id": id, "inputs": inputs, "outputs": state}
    (one,) = recorded.of("prod-x", {"resources": [copy.deepcopy(raw)]})
    assert one.inputs["config"] == described(mesh_of(MANY))
    host.node["peers"] = [peer for peer in host.node["peers"] if peer["name"] != "site0003"]
    host.node["live"] = "other"
    part = site_parts.read(one, connection(dict(gateway_case.NEWS)), kind)
    assert ("peers", "site0003") in [difference.path for difference in part.differences]
