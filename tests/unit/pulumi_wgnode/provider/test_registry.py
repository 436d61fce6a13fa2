from __future__ import annotations

import json

import pytest

from pulumi_wgnode.provider import registry
from pulumi_wgnode.resources.unread import OnHost
from tests.unit.pulumi_wgnode.keys import PIN

MESH = "wgnode:index:MeshTopology"


@pytest.mark.parametrize("name", registry.MODULES)
def test_every_kind_loads_and_has_all_that_a_kind_has(name):
    kind = registry.kind(name)
    for method in ("check", "diff", "create", "read", "update", "delete"):
        assert callable(getattr(kind, method))
    assert isinstance(kind, OnHost) == (name != MESH)


def test_where_a_runner_has_an_image_is_not_recorded():
    given = {
        "connection": {"address": "192.0.2.1", "hostKeys": [PIN]},
        "sha256": "ab" * 32,
    }
    recorded = registry.kind("wgnode:index:ApplianceImage").check({**given, "source": "/home/me/a.tar"}, {})
    assert recorded.keys() == given.keys()


def test_a_token_that_is_not_ours_is_no_kind():
    with pytest.raises(KeyError):
        registry.kind("wgnode:index:Other")


def test_the_schema_names_every_kind_and_defines_every_type_it_refers_to():
    text = registry.schema()
    schema = json.loads(text)
    assert set(schema["resources"]) == {*registry.MODULES, "wgnode:index:Mesh", "wgnode:index:Site"}
    for token in registry.MODULES:
        assert schema["resources"][token]["inputProperties"], token
    assert schema["types"]["wgnode:index:Connection"]["properties"]["privateKey"]["secret"] is True
    assert schema["resources"][MESH]["properties"]["meshSecret"]["secret"] is True
    for part in text.split('"#/types/')[1:]:
        assert part.split('"')[0] in schema["types"]
