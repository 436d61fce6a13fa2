"""Whatever stands at whatever place of good inputs: the provider takes it, or says at that place what is wrong.

Over the wire's own form, as an engine sends it: of the wrong type, unknown, secret, empty, huge, and of names that are
none. Nothing of it may end in a traceback, or be judged before it is known.
"""

from __future__ import annotations

import copy
import json
import math
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from pulumi.runtime import rpc
from pulumi.runtime.proto import provider_pb2

from pulumi_wgnode.call.kind import UNKNOWN, CheckError, Secret
from pulumi_wgnode.provider import answers, construct, registry
from pulumi_wgnode.provider.codec import SIGNATURE, decode_map, encode_map
from pulumi_wgnode.provider.servicer import Servicer
from tests.unit.pulumi_wgnode import whole_inputs

SCHEMA = json.loads(registry.schema())
SERVICER = Servicer("wgnode", "0.1.0", registry.kind, registry.schema)
Step = str | int
Path = tuple[Step, ...]


def nested(depth: int) -> Any:
    return {"a": nested(depth - 1)} if depth else {}


ASSET = {SIGNATURE: rpc._special_asset_sig, "text": "x"}
GONE: dict[str, Any] = {"nothing": None, "no-text": "", "no-list": [], "no-map": {}}
"""With these, something else may be what is missing."""
VALUES: dict[str, Any] = {
    **GONE,
    "true": True,
    "zero": 0,
    "negative": -1,
    "huge": 2.0**70,
    "fraction": 0.5,
    "not-a-number": math.nan,
    "infinite": -math.inf,
    "nul": "\0",
    "signs": "\U0001f984\u202e\u0301",
    "long": "x" * 100_000,
    "digits": "1" * 5000,
    "lines": "a\nb",
    "format": "%s{0}{{",
    "zone": "fe80::1%eth0",
    "list": ["x"],
    "list-of-nothing": [None],
    "list-of-lists": [[["x"]]],
    "list-of-maps": [{"a": 1}],
    "map": {"a": 1},
    "map-of-nothing": {"": None},
    "nested-nothing": {"a": {"b": None}},
    "deep": nested(40),
    "secret": Secret("x"),
    "asset": ASSET,
    "nested-asset": [{"a": ASSET}],
}
UNKNOWNS: dict[str, Any] = {
    "unknown": UNKNOWN,
    "secret-unknown": Secret(UNKNOWN),
    "output": {SIGNATURE: rpc._special_output_value_sig, "secret": True},
}
NAMES = ["", " ", "\0", "a.b", "a[0]", 'a"b', "\U0001f984", "x" * 3000, "%s{0}", "__class__", SIGNATURE, "1", "A"]


class Aborted(Exception):
    """A call that ends as an error of the provider, not as one of a program's."""


class Context:
    def code(self) -> None:
        return None

    def abort(self, code: Any, text: str) -> None:
        raise Aborted(text)


def failures(name: str, given: Mapping[str, Any]) -> list[tuple[str, str]]:
    """(path, what is wrong) as the engine gets it; of what is in a secret, the path stands in the text."""
    sent, token, context = encode_map(given), f"wgnode:index:{name}", Context()
    if name in whole_inputs.RESOURCES:
        asked = provider_pb2.CheckRequest(urn=f"urn:pulumi:dev::p::{token}::n", news=sent)
        found = list(SERVICER.Check(asked, context).failures)  # type: ignore[arg-type]
    elif name in whole_inputs.FUNCTIONS:
        found = list(SERVICER.Invoke(provider_pb2.InvokeRequest(tok=token, args=sent), context).failures)  # type: ignore[arg-type]
    else:
        found = answers.failures(CheckError(_of_component(token, sent)), sent)
    return [(one.property, one.reason) if one.property else _in_text(one.reason) for one in found]


def _of_component(token: str, sent: Any) -> list[tuple[str, str]]:
    try:
        return construct.failures(token, decode_map(sent))
    except CheckError as error:
        return error.failures


def _in_text(reason: str) -> tuple[str, str]:
    path, _, why = reason.partition(": ")
    return ("", reason) if " " in path else (path, why)


def places(value: Any, path: Path = ()) -> Iterator[Path]:
    if path:
        yield path
    steps: Any = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for step, inner in steps:
        yield from places(inner, (*path, step))


def holder(inputs: Any, path: Path) -> Any:
    for step in path[:-1]:
        inputs = inputs[step]
    return inputs


def written(path: Path) -> str:
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path).removeprefix(".")


def said_well(found: list[tuple[str, str]]) -> bool:
    """No error of Python's, nothing of ours, no end."""
    return all(why and len(why) < 1100 and "UNKNOWN" not in why and " object at 0x" not in why for _, why in found)


def described(name: str) -> Mapping[str, Any]:
    token = f"wgnode:index:{name}"
    if token in SCHEMA["functions"]:
        inputs: Mapping[str, Any] = SCHEMA["functions"][token]["inputs"]["properties"]
        return inputs
    properties: Mapping[str, Any] = SCHEMA["resources"][token]["inputProperties"]
    return properties


def reached(value: Any, one: Mapping[str, Any], whose: str) -> Iterator[str]:
    """The properties of types, as TYPE.property, that are given in a value which the schema describes."""
    if one.get("$ref", "").startswith("#/types/"):
        kind = one["$ref"].removeprefix("#/types/")
        for name, inner in (value or {}).items():
            yield f"{kind}.{name}"
            yield from reached(inner, SCHEMA["types"][kind]["properties"][name], kind)
    elif one.get("type") == "array":
        for inner in value or ():
            yield from reached(inner, one["items"], whose)
    elif "additionalProperties" in one:
        for inner in (value or {}).values():
            yield from reached(inner, one["additionalProperties"], whose)


def of_type(one: Mapping[str, Any], seen: set[str]) -> Iterator[str]:
    """All that there are in what the schema describes."""
    if one.get("$ref", "").startswith("#/types/"):
        kind = one["$ref"].removeprefix("#/types/")
        if kind not in seen:
            seen.add(kind)
            for name, inner in SCHEMA["types"][kind]["properties"].items():
                yield f"{kind}.{name}"
                yield from of_type(inner, seen)
    for inner in (one.get("items"), one.get("additionalProperties")):
        if inner:
            yield from of_type(inner, seen)


def test_everything_that_takes_inputs_is_tried_here() -> None:
    tokens = {*SCHEMA["resources"], *SCHEMA["functions"]}
    assert whole_inputs.ALL.keys() == {token.rsplit(":", 1)[1] for token in tokens}


@pytest.mark.parametrize("name", whole_inputs.ALL)
def test_what_is_tried_has_every_property_of_the_schema_and_is_good(name: str) -> None:
    good, properties = whole_inputs.ALL[name], described(name)
    assert good.keys() == properties.keys()
    given = {found for path, one in properties.items() for found in reached(good[path], one, name)}
    seen: set[str] = set()
    assert given == {found for one in properties.values() for found in of_type(one, seen)}
    found = failures(name, good)
    assert found == [] or (name in whole_inputs.FUNCTIONS and "the topology has format" in found[0][1])


@pytest.mark.sampled(3)  # some seconds each
@pytest.mark.parametrize("value", VALUES)
def test_a_value_anywhere_is_taken_or_refused_where_it_is(value: str) -> None:
    for name, good in whole_inputs.ALL.items():
        for path in places(good):
            given = copy.deepcopy(good)
            holder(given, path)[path[-1]] = VALUES[value]
            found, here = failures(name, given), written(path)
            assert said_well(found), (name, here, found)
            if found and value not in GONE and name not in whole_inputs.FUNCTIONS:
                assert any(where.startswith(here) for where, _ in found), (name, here, found)


@pytest.mark.sampled(1)
@pytest.mark.parametrize("value", UNKNOWNS)
def test_what_only_an_update_will_tell_is_judged_nowhere(value: str) -> None:
    for name, good in {**whole_inputs.RESOURCES, **whole_inputs.COMPONENTS}.items():
        for path in places(good):
            given = copy.deepcopy(good)
            holder(given, path)[path[-1]] = UNKNOWNS[value]
            assert failures(name, given) == [], (name, written(path))


@pytest.mark.sampled(2)
@pytest.mark.parametrize("key", NAMES, ids=repr)
def test_a_name_that_nobody_knows_is_taken_or_refused(key: str) -> None:
    for name, good in whole_inputs.ALL.items():
        for path in [(), *places(good)]:
            for renamed in (False, True):
                given = copy.deepcopy(good)
                there = holder(given, (*path, key))
                if not isinstance(there, dict):
                    continue
                value = there.pop(next(iter(there))) if renamed and there else None
                there[key] = value
                assert said_well(failures(name, given)), (name, written(path))
