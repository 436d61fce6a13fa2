"""The package's schema, made from the kinds' models, for tools that read it.

`pulumi package get-schema ./plugin/wgnode/pulumi-resource-wgnode` prints it.

Format: https://www.pulumi.com/docs/iac/guides/building-extending/packages/schema/
"""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from pulumi_wgnode.call.options import DESCRIPTIONS, ENVIRONMENT

ANY = {"$ref": "pulumi.json#/Any"}
_SECRETS = {"privateKey", "secrets"}
_PLAIN = {"string", "integer", "number", "boolean"}


def resource(inputs: type[BaseModel]) -> tuple[dict[str, Any], dict[str, Any]]:
    """(the resource's schema, the types that it uses by token). Outputs that are no inputs are left to the reader."""
    model = inputs.model_json_schema(by_alias=True)
    types = {
        _token(name): {"type": "object", **_object(definition, "properties", "required")}
        for name, definition in model.get("$defs", {}).items()
    }
    made = _object(model, "inputProperties", "requiredInputs")
    return {**made, "properties": made["inputProperties"]}, types


def options() -> dict[str, Any]:
    """The provider's own options."""
    return {
        name: {"type": "boolean", "description": f"{text} {ENVIRONMENT[name]} in the environment overrides it."}
        for name, text in DESCRIPTIONS.items()
    }


def _object(model: dict[str, Any], properties: str, required: str) -> dict[str, Any]:
    return {
        properties: {name: _property(name, value) for name, value in model.get("properties", {}).items()},
        required: model.get("required", []),
    }


def _property(name: str, value: dict[str, Any]) -> dict[str, Any]:
    made = _type(value)
    if "description" in value:
        made["description"] = value["description"]
    return {**made, "secret": True} if name in _SECRETS else made


def _type(value: dict[str, Any]) -> dict[str, Any]:
    choices = [one for one in value.get("anyOf", []) if one.get("type") != "null"]
    if len(choices) == 1:
        return _type(choices[0])
    if "$ref" in value:
        return {"$ref": f"#/types/{_token(value['$ref'].rsplit('/', 1)[1])}"}
    kind = value.get("type")
    if kind in _PLAIN:
        return {"type": kind}
    if kind == "array":
        return {"type": "array", "items": _type(value.get("items", {}))}
    if kind == "object" and isinstance(value.get("additionalProperties"), dict):
        return {"type": "object", "additionalProperties": _type(value["additionalProperties"])}
    return dict(ANY)


def _token(name: str) -> str:
    return f"wgnode:index:{name}"
