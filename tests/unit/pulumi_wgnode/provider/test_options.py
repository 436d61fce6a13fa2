"""What the provider is told about hosts that are away, and by whom."""

from __future__ import annotations

import json

import pytest
from pulumi.runtime.proto import provider_pb2

from pulumi_wgnode.call import options
from pulumi_wgnode.call.kind import UNKNOWN, CheckError
from pulumi_wgnode.call.options import Options, parse
from pulumi_wgnode.provider import registry
from pulumi_wgnode.provider.codec import encode_map

URN = "urn:pulumi:dev::wgmesh::pulumi:providers:wgnode::default_0_1_0"


@pytest.fixture(autouse=True)
def _reset(monkeypatch):
    monkeypatch.setattr(options, "_current", Options())
    for variable in options.ENVIRONMENT.values():
        monkeypatch.delenv(variable, raising=False)


@pytest.mark.parametrize(
    ("given", "on"), [("true", True), ("True", True), (True, True), ("false", False), (False, False)]
)
def test_the_engines_strings_and_a_programs_booleans_mean_the_same(given, on):
    assert parse({"skipUnreachable": given}, {}) == Options(skip_unreachable=on)
    assert parse({"deleteUnreachable": given}, {}) == Options(delete_unreachable=on)


def test_what_is_not_given_or_not_known_yet_is_off():
    assert parse({}, {}) == parse({"skipUnreachable": None, "deleteUnreachable": UNKNOWN}, {}) == Options()


@pytest.mark.parametrize("said", ["true", "false"])
def test_the_environment_overrides_the_configuration_for_one_run(said):
    opposite = "false" if said == "true" else "true"
    made = parse({"skipUnreachable": opposite}, {"WGNODE_SKIP_UNREACHABLE": said, "WGNODE_DELETE_UNREACHABLE": ""})
    assert made == Options(skip_unreachable=said == "true")


def test_everything_that_is_wrong_is_told_at_once_by_where_it_stands():
    given = {"skipUnreachabel": True, "other": 1, "deleteUnreachable": 1, "version": "0.1.0", "__internal": {}}
    with pytest.raises(CheckError) as raised:
        parse(given, {"WGNODE_SKIP_UNREACHABLE": "yes"})
    failures = raised.value.failures
    assert [path for path, _ in failures] == ["skipUnreachable", "deleteUnreachable", "skipUnreachabel", "other"]
    assert "WGNODE_SKIP_UNREACHABLE must be true or false, not 'yes'" in failures[0][1]
    assert "wgnode:deleteUnreachable must be true or false, not 1" in failures[1][1]
    assert "did you mean `skipUnreachable`?" in failures[2][1]
    assert "there are: skipUnreachable, deleteUnreachable" in failures[3][1]


def test_the_engine_checks_diffs_and_sets_them(engine, monkeypatch):
    wrong = provider_pb2.CheckRequest(urn=URN, news=encode_map({"skipUnreachable": "perhaps"}))
    assert [failure.property for failure in engine.CheckConfig(wrong).failures] == ["skipUnreachable"]
    right = provider_pb2.CheckRequest(urn=URN, news=encode_map({"skipUnreachable": "true", "version": "0.1.0"}))
    assert engine.CheckConfig(right).inputs == right.news
    difference = provider_pb2.DiffRequest(urn=URN, olds=encode_map({}), news=right.news)
    answer = engine.DiffConfig(difference)
    assert (answer.changes, list(answer.diffs), list(answer.replaces)) == (answer.DIFF_SOME, ["skipUnreachable"], [])
    same = provider_pb2.DiffRequest(urn=URN, olds=encode_map({"skipUnreachable": True}), news=right.news)
    assert engine.DiffConfig(same).changes == answer.DIFF_NONE
    monkeypatch.setenv("WGNODE_DELETE_UNREACHABLE", "true")
    engine.Configure(provider_pb2.ConfigureRequest(args=right.news))
    assert options.current() == Options(skip_unreachable=True, delete_unreachable=True)


def test_the_schema_describes_them():
    schema = json.loads(registry.schema())
    assert (
        schema["config"]["variables"].keys()
        == schema["provider"]["inputProperties"].keys()
        == options.ENVIRONMENT.keys()
    )
    assert "WGNODE_SKIP_UNREACHABLE" in schema["config"]["variables"]["skipUnreachable"]["description"]
