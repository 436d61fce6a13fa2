"""Whatever inputs a program gives that its types let pass: the provider takes them, or says by name what is wrong."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pulumi_wgnode.call.kind import UNKNOWN, CheckError
from pulumi_wgnode.components.site_configuration import site_configuration
from pulumi_wgnode.hosts.host import Connection, Host, HostUnreachable
from pulumi_wgnode.provider import construct, registry
from pulumi_wgnode.resources.appliance_image import ApplianceImage
from pulumi_wgnode.resources.gateway import Gateway
from pulumi_wgnode.resources.hypervisor_host import HypervisorHost
from pulumi_wgnode.resources.mesh_topology import MeshTopology
from pulumi_wgnode.resources.nat_firewall import NatFirewall
from tests.unit.pulumi_wgnode import whole_inputs

SCHEMA = json.loads(registry.schema())
EXAMPLES = ["", " ", ",", "10.0.0.0/8", "10.0.0.0/30", "fd00::/126", "10.0.0.1", "fe80::1%eth0", "::/0", "wan0", "{}"]
STRINGS = st.sampled_from(EXAMPLES) | st.text(max_size=8)
INTEGERS = st.sampled_from([0, 1, 4, 6, 22, 1280, 65535, 65536, -1, 1 << 40])


def nowhere(_: Connection) -> Host:
    raise HostUnreachable("no host is asked in a check", then="")


KINDS: dict[str, tuple[Any, dict[str, Any]]] = {
    "MeshTopology": (MeshTopology(), whole_inputs.ALL["MeshTopology"]),
    **{
        kind.__name__: (kind(connect=nowhere), whole_inputs.ALL[kind.__name__])
        for kind in (HypervisorHost, NatFirewall, ApplianceImage, Gateway)
    },
}


def of_type(value: Mapping[str, Any]) -> st.SearchStrategy[Any]:
    """What the schema lets pass for it: a program's compiler sees no more. Also what only an update will tell."""
    if "$ref" in value:
        found = SCHEMA["types"].get(value["$ref"].removeprefix("#/types/"))
        return objects(found["properties"], found["required"]) if found else STRINGS | INTEGERS
    return st.just(UNKNOWN) | _KNOWN[value["type"]](value)


def _mapping(value: Mapping[str, Any]) -> st.SearchStrategy[Any]:
    return st.dictionaries(STRINGS, of_type(value["additionalProperties"]), max_size=2)


_KNOWN = {
    "string": lambda _: STRINGS,
    "integer": lambda _: INTEGERS,
    "number": lambda _: INTEGERS,
    "boolean": lambda _: st.booleans(),
    "array": lambda value: st.lists(of_type(value["items"]), max_size=2),
    "object": _mapping,
}


def objects(properties: Mapping[str, Any], required: list[str]) -> st.SearchStrategy[dict[str, Any]]:
    by = {name: of_type(value) for name, value in properties.items()}
    optional = {name: one for name, one in by.items() if name not in required}
    return st.fixed_dictionaries({name: by[name] for name in required}, optional=optional)


def places(value: Any, described: Mapping[str, Any]) -> Iterator[tuple[Any, Any, Mapping[str, Any]]]:
    """Where something else can stand in good inputs: container, step, and what the schema says of it."""
    for name, one in described.items():
        yield value, name, one
        if "$ref" in one and isinstance(value.get(name), dict) and one["$ref"].startswith("#/types/"):
            yield from places(value[name], SCHEMA["types"][one["$ref"].removeprefix("#/types/")]["properties"])


@pytest.mark.parametrize("name", KINDS)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_inputs_of_the_schema_s_types_pass_or_are_refused_by_name(name: str, data: st.DataObject) -> None:
    kind, good = KINDS[name]
    described = SCHEMA["resources"][f"wgnode:index:{name}"]["inputProperties"]
    news = copy.deepcopy(good)
    for _ in range(data.draw(st.integers(1, 3))):
        container, step, one = data.draw(st.sampled_from(list(places(news, described))))
        container[step] = data.draw(of_type(one))
    checked, failures = outcome(kind, news)
    for path, reason in failures:
        assert path.replace("[", ".").split(".")[0] in described, (path, reason)
        assert reason
    if not failures:
        said = {one for one, value in news.items() if value is not None and one in described}
        assert checked.keys() >= {one for one in said if news[one] != described[one].get("default")}


@pytest.mark.parametrize("name", whole_inputs.COMPONENTS)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_so_do_the_arguments_of_components(name: str, data: st.DataObject) -> None:
    token = f"wgnode:index:{name}"
    described = SCHEMA["resources"][token]["inputProperties"]
    given = copy.deepcopy(whole_inputs.ALL[name])
    assert construct.failures(token, given) == []
    for _ in range(data.draw(st.integers(1, 3))):
        container, step, one = data.draw(st.sampled_from(list(places(given, described))))
        container[step] = data.draw(of_type(one))
    for path, reason in construct.failures(token, given):
        assert path.replace("[", ".").split(".")[0] in described, (path, reason)
        assert reason


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_so_do_those_of_a_function(data: st.DataObject) -> None:
    described = SCHEMA["functions"]["wgnode:index:siteConfiguration"]["inputs"]["properties"]
    given = copy.deepcopy(whole_inputs.ALL["siteConfiguration"])
    for _ in range(data.draw(st.integers(1, 3))):
        container, step, one = data.draw(st.sampled_from(list(places(given, described))))
        container[step] = data.draw(of_type(one))
    with pytest.raises(CheckError) as refused:  # there is no mesh that is empty
        site_configuration(given)
    for path, reason in refused.value.failures:
        assert path.replace("[", ".").split(".")[0] in {"", *described}, (path, reason)
        assert reason


def outcome(kind: Any, news: dict[str, Any]) -> tuple[dict[str, Any], list[tuple[str, str]]]:
    """What check makes of it, or the failures that it names; anything else that it raises is a fault of ours."""
    try:
        return kind.check(news, {}), []
    except CheckError as error:
        return {}, error.failures or [("", "")]


@pytest.mark.parametrize("name", KINDS)
def test_what_only_an_update_will_tell_is_judged_nowhere(name: str) -> None:
    kind, good = KINDS[name]
    for step in good:
        checked = kind.check({**copy.deepcopy(good), step: UNKNOWN}, {})
        assert checked[step] is UNKNOWN
