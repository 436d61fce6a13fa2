"""The schema is one that Pulumi's engine takes, and SDKs come out of it."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pulumi_wgnode.provider import registry
from pulumi_wgnode.provider.schema import LANGUAGES
from tools import sdk
from tools.progress import StepFailed

NO_HOST = "no language plugin 'pulumi-language-go' found"
"""The engine reads the schema first; an official one then has the language host, one built from Go modules has not."""


def engine_says(schema: dict[str, Any], folder: Path, environment: dict[str, str]) -> str:
    """What the engine finds wrong with the schema before it asks for a language host; empty for nothing."""
    (folder / "schema.json").write_text(json.dumps(schema))
    done = subprocess.run(
        ["pulumi", "package", "gen-sdk", "schema.json", "--language", "go", "--out", "sdk"],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
    )
    return "" if done.returncode == 0 or NO_HOST in done.stderr else done.stderr


def gateway_requires_nothing_there_is(schema: dict[str, Any]) -> None:
    schema["resources"]["wgnode:index:Gateway"]["required"].append("colour")


def a_port_is_of_no_kind(schema: dict[str, Any]) -> None:
    schema["types"]["wgnode:index:Connection"]["properties"]["port"]["type"] = "port"


def a_port_refers_to_nothing(schema: dict[str, Any]) -> None:
    schema["types"]["wgnode:index:Connection"]["properties"]["port"] = {"$ref": "#/types/wgnode:index:Harbour"}


def a_resource_has_no_name(schema: dict[str, Any]) -> None:
    schema["resources"]["Gateway"] = schema["resources"]["wgnode:index:Gateway"]


WRONG = {
    gateway_requires_nothing_there_is: "colour",
    a_port_is_of_no_kind: "port/type",
    a_port_refers_to_nothing: "Harbour",
    a_resource_has_no_name: "Gateway",
}


def test_the_engine_takes_the_schema(tmp_path: Path, pulumi_environment: Callable[..., dict[str, str]]) -> None:
    assert engine_says(json.loads(registry.schema()), tmp_path, pulumi_environment()) == ""
    wrong = json.loads(registry.schema())
    gateway_requires_nothing_there_is(wrong)
    assert "colour" in engine_says(wrong, tmp_path, pulumi_environment())


def test_an_sdk_is_called_otherwise_than_the_package_that_the_plugin_is_in() -> None:
    assert LANGUAGES["python"]["packageName"] not in ("pulumi_wgnode", "wgnode")


def test_no_sdk_gives_an_empty_text_for_what_a_program_leaves_out() -> None:
    """`Site` refuses one for `mesh`, as it would refuse it from a program."""
    schema = json.loads(registry.schema())
    properties = [one["properties"] for one in schema["types"].values()]
    properties += [one["inputProperties"] for one in schema["resources"].values()]
    assert not [name for of in properties for name, value in of.items() if value.get("default") == ""]


@pytest.mark.sampled(0)  # builds the generators, a minute
@pytest.mark.parametrize("spoil", WRONG, ids=lambda spoil: spoil.__name__)
def test_what_is_wrong_with_a_schema_is_said(spoil: Callable[[dict[str, Any]], None], tmp_path: Path) -> None:
    schema = json.loads(registry.schema())
    path = tmp_path / "schema.json"
    path.write_text(json.dumps(schema))
    sdk.check(path)
    spoil(schema)
    path.write_text(json.dumps(schema))
    with pytest.raises(StepFailed, match=WRONG[spoil]):
        sdk.check(path)


@pytest.mark.sampled(0)
def test_an_sdk_for_each_language_has_every_resource(tmp_path: Path) -> None:
    kinds = {token.rsplit(":", 1)[1] for token in json.loads(registry.schema())["resources"]}
    said = {
        folder.name: "".join(path.read_text() for path in folder.rglob("*.[tpg][syo]*") if path.is_file())
        for folder in sdk.write(tmp_path / "sdk")
    }
    assert said.keys() == {"python", "nodejs", "go"}
    for kind in kinds:
        assert f"class {kind}(pulumi." in said["python"]
        assert f"class {kind} extends pulumi." in said["nodejs"]
        assert f"func New{kind}(ctx *pulumi.Context" in said["go"]
