"""The package's schema, made from the kinds' contracts, for tools that read it.

`pulumi package get-schema ./plugin/wgnode/pulumi-resource-wgnode` prints it.

Format: https://www.pulumi.com/docs/iac/guides/building-extending/packages/schema/
"""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from pulumi_wgnode import contracts
from pulumi_wgnode.call.options import DESCRIPTIONS, ENVIRONMENT
from pulumi_wgnode.components import component as components
from pulumi_wgnode.components.component import Component
from pulumi_wgnode.components.site_configuration import FUNCTION, Function
from pulumi_wgnode.contracts.contract import PACKAGE, Contract

LANGUAGES = {
    # `pulumi_wgnode` is the package that the plugin itself is in, and may stand in the same virtual environment.
    "python": {"packageName": "pulumi_wgnode_sdk", "respectSchemaVersion": True, "pyproject": {"enabled": True}},
    "nodejs": {"packageName": "pulumi-wgnode", "respectSchemaVersion": True},
    "go": {
        "importBasePath": "wgnode.invalid/sdk/wgnode",
        "respectSchemaVersion": True,
        "generateResourceContainerTypes": True,
    },
}
"""How the SDKs are called. Nothing is published, so no address on the internet is claimed: a program names the folder
that `make sdk` or `pulumi package add` made (docs/decisions/sdks.md)."""
ANY = {"$ref": "pulumi.json#/Any"}
_NAMES = {
    "Site": "SiteIdentity",
    "HostArgs": "SiteHost",
    "LanArgs": "SiteLan",
    "GatewayArgs": "SiteGateway",
    "FirewallArgs": "SiteFirewall",
}
"""Types that have another name here: a resource and what SDKs make for its arguments have these, or would."""
_PLAIN = {"string", "integer", "number", "boolean"}


def package(version: str) -> dict[str, Any]:
    """The whole schema."""
    resources: dict[str, Any] = {}
    types: dict[str, Any] = {}
    for contract in contracts.ALL.values():
        resources[contract.token], used = resource(contract)
        types |= used
    for component in components.ALL.values():
        resources[component.token], used = remote(component)
        types |= used
    functions = {}
    for one in (FUNCTION,):
        functions[one.token], used = function(one)
        types |= used
    return {
        "name": PACKAGE,
        "version": version,
        "description": "A mesh of single-purpose WireGuard gateways on hosts reached over SSH",
        "language": LANGUAGES,
        "config": {"variables": options()},
        "provider": {"inputProperties": options()},
        "resources": resources,
        "functions": functions,
        "types": types,
    }


def resource(contract: Contract) -> tuple[dict[str, Any], dict[str, Any]]:
    """(the resource's schema, the types that it uses by token)."""
    inputs, types = _described(contract.inputs)
    outputs, more = _described(contract.outputs)
    repeated = {name: one for name, one in inputs["properties"].items() if name not in contract.unrepeated}
    required = [name for name in inputs["required"] if name in repeated]
    made = {
        "description": contract.about,
        "inputProperties": inputs["properties"],
        "requiredInputs": inputs["required"],
        "properties": {**repeated, **outputs["properties"]},
        "required": [*required, *outputs["required"]],
    }
    return made, types | more


def remote(component: Component) -> tuple[dict[str, Any], dict[str, Any]]:
    """(the component's schema, the types that it uses by token)."""
    inputs, types = _described(component.inputs)
    outputs, more = _described(component.outputs)
    for name in component.plain:
        inputs["properties"][name] |= {"plain": True}
        inputs["properties"][name]["items"] |= {"plain": True}
    made = {
        "isComponent": True,
        "description": component.about,
        "inputProperties": inputs["properties"],
        "requiredInputs": inputs["required"],
        "properties": outputs["properties"],
        "required": outputs["required"],
    }
    return made, types | more


def function(one: Function) -> tuple[dict[str, Any], dict[str, Any]]:
    """(the function's schema, the types that it uses by token)."""
    inputs, types = _described(one.inputs)
    outputs, more = _described(one.outputs)
    made = {"description": one.about, "inputs": inputs, "outputs": outputs}
    return made, types | more


def options() -> dict[str, Any]:
    """The provider's own options."""
    return {
        name: {"type": "boolean", "description": f"{text} {ENVIRONMENT[name]} in the environment overrides it."}
        for name, text in DESCRIPTIONS.items()
    }


def _described(model: type[BaseModel]) -> tuple[dict[str, Any], dict[str, Any]]:
    """(properties and those that are required, the types that they refer to by token)."""
    raw = model.model_json_schema(by_alias=True)
    defined = raw.get("$defs", {}).items()
    return _object(raw), {_token(name): {"type": "object", **_object(one)} for name, one in defined}


def _object(model: dict[str, Any]) -> dict[str, Any]:
    properties = {name: _property(value) for name, value in model.get("properties", {}).items()}
    about = {"description": model["description"]} if "description" in model else {}
    return {**about, "properties": properties, "required": model.get("required", [])}


def _property(value: dict[str, Any]) -> dict[str, Any]:
    made = {**_type(value), "description": value.get("description", "")}
    # An SDK gives defaults as if the program had, and a text that is empty says there no more than none.
    if isinstance(value.get("default"), str | int | bool) and value["default"] != "":
        made["default"] = value["default"]
    choices = [value, *value.get("anyOf", [])]
    return {**made, "secret": True} if any(one.get("secret") or one.get("writeOnly") for one in choices) else made


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
    if kind == "object" and "additionalProperties" in value:
        inner = value["additionalProperties"]
        return {"type": "object", "additionalProperties": _type(inner) if isinstance(inner, dict) else dict(ANY)}
    return dict(ANY)


def _token(name: str) -> str:
    return f"{PACKAGE}:index:{_NAMES.get(name, name)}"
