"""docs/reference/: a page for each resource of the Pulumi package, out of its schema, and for each command."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from pulumi_wgnode.provider import registry
from tools import ROOT, command_pages

FOLDER = ROOT / "docs" / "reference"
_TYPES = "#/types/"
_ABSENT = object()


def pages() -> dict[str, str]:
    """By file name, each page's text."""
    schema = json.loads(registry.schema())
    described = schema["resources"] | {token: _as_resource(one) for token, one in schema["functions"].items()}
    made = {f"{_short(token)}.md": _page(token, one, schema["types"]) for token, one in described.items()}
    return {"README.md": _index(schema), **made, **command_pages.pages()}


def _as_resource(function: Mapping[str, Any]) -> dict[str, Any]:
    inputs, outputs = function["inputs"], function["outputs"]
    made = {"inputProperties": inputs["properties"], "requiredInputs": inputs["required"]}
    return {**made, "description": function["description"], "properties": outputs["properties"], "isFunction": True}


def _index(schema: Mapping[str, Any]) -> str:
    lines, functions = _listed(schema["resources"]), _listed(schema["functions"])
    options = [_row(name, value, False) for name, value in schema["provider"]["inputProperties"].items()]
    return "\n".join(
        [
            "# The Pulumi package `wgnode`",
            "",
            "Written by `make docs` out of `pulumi_wgnode/contracts/`, which the provider checks by; do not edit.",
            "",
            *_table("resource", lines, "| | |"),
            *_table("function", functions, "| | |"),
            "## Options of the provider",
            "",
            *_table("option", options),
        ]
    )


def _listed(described: Mapping[str, Any]) -> list[str]:
    entries = ((_short(token), _first(one["description"])) for token, one in described.items())
    return [f"| [{name}]({name}.md) | {about} |" for name, about in entries]


def _page(token: str, one: Mapping[str, Any], types: Mapping[str, Any]) -> str:
    inputs, required = one["inputProperties"], one["requiredInputs"]
    alone = one.get("isFunction") or one.get("isComponent")
    outputs = {name: value for name, value in one["properties"].items() if alone or name not in inputs}
    parts = ["# " + _short(token), "", f"`{token}`", "", one["description"], ""]
    parts += [
        "## Inputs",
        "",
        *_table("input", [_row(name, value, name in required) for name, value in inputs.items()]),
    ]
    parts += ["## Outputs", "", *([] if alone else ["Beside the inputs:", ""])]
    parts += _table("output", [_row(name, value, False) for name, value in outputs.items()])
    for name in sorted(set(_used([*inputs.values(), *outputs.values()], types))):
        rows = [_row(key, value, key in types[name]["required"]) for key, value in types[name]["properties"].items()]
        about = [types[name]["description"], ""] if "description" in types[name] else []
        parts += [f"## {_short(name)}", "", *about, *_table("property", rows)]
    return "\n".join(parts)


def _used(values: list[Mapping[str, Any]], types: Mapping[str, Any]) -> Iterator[str]:
    """The tokens of the types that these properties and their types refer to."""
    for value in values:
        if value.get("$ref", "").startswith(_TYPES):
            token = value["$ref"].removeprefix(_TYPES)
            yield token
            yield from _used(list(types[token]["properties"].values()), types)
        for inner in ("items", "additionalProperties"):
            if isinstance(value.get(inner), dict):
                yield from _used([value[inner]], types)


def _table(what: str, rows: list[str], head: str = "| | type | |") -> list[str]:
    columns = head.count("|") - 1
    return [head.replace("| |", f"| {what} |", 1), "|" + "---|" * columns, *rows, ""]


def _row(name: str, value: Mapping[str, Any], required: bool) -> str:
    default = value.get("default", _ABSENT)
    notes = ["required"] if required else []
    notes += [f"default `{json.dumps(default)}`"] if default not in (_ABSENT, "") else []
    notes += ["secret"] if value.get("secret") else []
    about = value["description"] + (f" ({', '.join(notes)})" if notes else "")
    return f"| `{name}` | {_type(value)} | {about} |"


def _type(value: Mapping[str, Any]) -> str:
    if "$ref" in value:
        token = value["$ref"].removeprefix(_TYPES)
        return "any" if token == value["$ref"] else f"[{_short(token)}](#{_short(token).lower()})"
    if value["type"] == "array":
        return f"list of {_type(value['items'])}"
    if value["type"] == "object":
        return f"map of {_type(value['additionalProperties'])}"
    return str(value["type"])


def _short(token: str) -> str:
    return token.rsplit(":", 1)[1]


def _first(text: str) -> str:
    return " ".join(text.split("\n\n")[0].split())
