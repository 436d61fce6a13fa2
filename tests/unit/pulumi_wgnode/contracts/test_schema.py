"""The schema says all of every resource: each property described, each output that is recorded, each secret."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from pulumi_wgnode import contracts
from pulumi_wgnode.call.kind import Secret
from pulumi_wgnode.provider import registry
from pulumi_wgnode.resources.mesh_topology import MeshTopology
from pulumi_wgnode.resources.versioned import MARK
from tests.unit.pulumi_wgnode.resources.whole_site import WholeSite
from tests.unit.pulumi_wgnode.test_compiled import MESH

SCHEMA = json.loads(registry.schema())


def properties() -> Iterator[tuple[str, Mapping[str, Any]]]:
    for token, one in {**SCHEMA["resources"], **SCHEMA["types"]}.items():
        for kind in ("inputProperties", "properties"):
            for name, value in one.get(kind, {}).items():
                yield f"{token}.{name}", value
    for token, one in SCHEMA["functions"].items():
        for kind in ("inputs", "outputs"):
            for name, value in one[kind]["properties"].items():
                yield f"{token}.{name}", value


def test_every_kind_and_every_property_is_described() -> None:
    remote = {token for token, one in SCHEMA["resources"].items() if one.get("isComponent")}
    assert set(SCHEMA["resources"]) - remote == set(registry.MODULES) == set(contracts.ALL)
    assert remote == {"wgnode:index:Mesh", "wgnode:index:Site"}
    assert [token for token, one in SCHEMA["resources"].items() if len(one["description"]) < 40] == []
    assert len(list(properties())) > 150
    assert [name for name, value in properties() if len(value.get("description", "")) < 3] == []


@pytest.mark.parametrize(
    ("kind", "outputs"),
    [
        ("HypervisorHost", {"facts", "instance", "forwarding"}),
        ("ApplianceImage", {"directory"}),
        ("Gateway", {"publicKey", "addresses", "live"}),
        ("MeshTopology", {"topology", "bundles", "resting"}),
    ],
)
def test_what_programs_read_is_in_it(kind: str, outputs: set[str]) -> None:
    assert outputs <= SCHEMA["resources"][f"wgnode:index:{kind}"]["properties"].keys()


def test_facts_are_a_type_with_what_a_host_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    state = WholeSite(tmp_path, monkeypatch).recorded["wgnode:index:HypervisorHost"][2]
    facts = SCHEMA["types"]["wgnode:index:Facts"]
    assert facts["properties"].keys() == set(facts["required"]) == state["facts"].keys()


PLAIN = {"string": str, "integer": int, "boolean": bool}


def misfits(state: Mapping[str, Any], described: Mapping[str, Any]) -> Iterator[str]:
    """What of a state is not of its type: SDKs in other languages fail at it."""
    for name, value in state.items():
        if name in described["properties"]:
            yield from _misfits(value, described["properties"][name], name)


def _misfits(value: Any, one: Mapping[str, Any], path: str) -> Iterator[str]:
    value = value.value if isinstance(value, Secret) else value
    kind = SCHEMA["types"].get(one.get("$ref", "").removeprefix("#/types/"))
    if value is None or one.get("$ref") == "pulumi.json#/Any":
        return
    if kind and isinstance(value, dict):
        yield from (f"{path}.{name} is missing" for name in kind["required"] if name not in value)
        yield from (found for name in value for found in _misfits(value[name], kind["properties"][name], path))
    elif one.get("type") == "array" and isinstance(value, list | tuple):
        yield from (found for inner in value for found in _misfits(inner, one["items"], f"{path}[]"))
    elif one.get("type") == "object" and isinstance(value, dict):
        inner = one["additionalProperties"]
        yield from (found for name in value for found in _misfits(value[name], inner, f"{path}.{name}"))
    elif type(value) is not PLAIN.get(one.get("type", "")):
        yield f"{path}: {value!r}"


def test_all_that_is_recorded_of_a_site_is_in_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mark = registry.kind(registry.MESH).create("mesh", MeshTopology().check(MESH, {}), False)[1][MARK]
    for token, (_, inputs, state) in WholeSite(tmp_path, monkeypatch).recorded.items():
        described = SCHEMA["resources"][token]
        assert state.keys() - {"source"} <= described["properties"].keys(), token
        assert set(described["required"]) <= state.keys(), token
        assert list(misfits({**state, MARK: mark}, described)) == [], token
        assert inputs.keys() <= {*described["properties"], *described["inputProperties"]}, token


def test_all_that_is_recorded_of_a_mesh_is_in_it_and_its_secrets_are_marked() -> None:
    kind, described = MeshTopology(), SCHEMA["resources"]["wgnode:index:MeshTopology"]
    state = kind.create("mesh", kind.check(MESH, {}), False)[1]
    assert list(misfits(state, described)) == []
    assert set(described["required"]) <= state.keys() <= described["properties"].keys()
    sealed = {name for name, value in state.items() if isinstance(value, Secret)}
    assert sealed == {name for name, value in described["properties"].items() if value.get("secret")}


REACHED = ("Connection", "Jump", "SiteHost")


def test_what_is_secret_is_secret_wherever_it_is() -> None:
    secret = {name for name, value in properties() if value.get("secret")}
    assert secret == {
        *(f"wgnode:index:{kind}.{name}" for kind in REACHED for name in ("privateKey", "passphrase")),
        *(
            f"wgnode:index:{of}.{name}"
            for of in ("Site", "siteConfiguration")
            for name in ("recipientKey", "deviceSecret")
        ),
        "wgnode:index:siteConfiguration.secrets",
        "wgnode:index:Gateway.secrets",
        "wgnode:index:MeshTopology.privateKeys",
        "wgnode:index:MeshTopology.meshSecret",
    }


def test_no_type_has_the_name_of_a_resource_or_of_what_an_sdk_makes_for_its_arguments() -> None:
    """In Go all of them are types of one package."""
    resources = {token.rpartition(":")[2] for token in SCHEMA["resources"]}
    made = resources | {f"{name}Args" for name in resources}
    assert made & {token.rpartition(":")[2] for token in SCHEMA["types"]} == set()
