"""Property values of the Pulumi wire format to plain Python values and back.

The engine sends a struct per resource; secrets, unknowns and outputs are strings or structs with a signature in
them (pulumi/pulumi, sdk/go/common/resource/sig). Source of the constants: pulumi.runtime.rpc.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from google.protobuf import struct_pb2

from pulumi_wgnode.call.kind import UNKNOWN, CheckError, Properties, Secret

SIGNATURE = "4dabf18193072939515e22adb298388d"
SECRET_SIGNATURE = "1b47061264138c4ac30d75fd1eb44270"  # noqa: S105 (a format's marker, nobody's secret)
OUTPUT_SIGNATURE = "d0e6a833031e9bbcd3f4e8bde6ca49a4"
UNKNOWN_TEXT = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"


def decode(value: struct_pb2.Value) -> Any:
    """One value. Raises CheckError for assets, archives and resource references, which no resource here takes."""
    kind = value.WhichOneof("kind")
    if kind == "string_value":
        return UNKNOWN if value.string_value == UNKNOWN_TEXT else value.string_value
    if kind == "number_value":
        number = value.number_value
        return int(number) if number.is_integer() else number
    if kind == "bool_value":
        return value.bool_value
    if kind == "list_value":
        return [_decode_at(f"[{place}]", item) for place, item in enumerate(value.list_value.values)]
    if kind == "struct_value":
        return _decode_struct(value.struct_value)
    return None


def _decode_struct(struct: struct_pb2.Struct) -> Any:
    fields = struct.fields
    if SIGNATURE not in fields:
        return decode_map(struct)
    signature = fields[SIGNATURE].string_value
    if signature == SECRET_SIGNATURE:
        return decode(fields["value"])
    if signature == OUTPUT_SIGNATURE:
        return decode(fields["value"]) if "value" in fields else UNKNOWN
    raise CheckError([("", "is an asset, an archive or a resource, and none of these goes here")])


def decode_map(struct: struct_pb2.Struct) -> Properties:
    return {name: _decode_at(name, value) for name, value in struct.fields.items()}


def _decode_at(step: str, value: struct_pb2.Value) -> Any:
    try:
        return decode(value)
    except CheckError as error:
        raise CheckError([(step + _below(path), reason) for path, reason in error.failures]) from None


def _below(path: str) -> str:
    return f".{path}" if path and not path.startswith("[") else path


def encode(value: Any) -> struct_pb2.Value:
    """One value; tuples become lists. Raises TypeError for what the format has no place for."""
    made = struct_pb2.Value()
    _fill(made, value)
    return made


def _fill(made: struct_pb2.Value, value: Any) -> None:
    """In its place: a message that is given to another is copied, at each level once more."""
    if value is None:
        made.null_value = struct_pb2.NULL_VALUE
    elif value is UNKNOWN:
        made.string_value = UNKNOWN_TEXT
    elif isinstance(value, str):
        made.string_value = value
    elif isinstance(value, Secret):
        _fill(made, {SIGNATURE: SECRET_SIGNATURE, "value": value.value})
    elif isinstance(value, bool):
        made.bool_value = value
    elif isinstance(value, int | float):
        made.number_value = value
    elif isinstance(value, Mapping):
        made.struct_value.SetInParent()
        _fill_map(made.struct_value, value)
    elif isinstance(value, list | tuple):
        made.list_value.SetInParent()
        for item in value:
            _fill(made.list_value.values.add(), item)
    else:
        raise TypeError(f"a {type(value).__name__} is not a property value")


def _fill_map(made: struct_pb2.Struct, properties: Mapping[str, Any]) -> None:
    for name, value in properties.items():
        _fill(made.fields[name], value)


def encode_map(properties: Mapping[str, Any]) -> struct_pb2.Struct:
    made = struct_pb2.Struct()
    _fill_map(made, properties)
    return made


def keep_secrets(made: struct_pb2.Struct, given: struct_pb2.Struct) -> struct_pb2.Struct:
    """`made`, in which what is a secret in `given`, by the same name, is one too: kinds see plain values.

    As the engine does it for providers that don't know secrets (annotateSecrets in sdk/go/common/resource/plugin).
    """
    for name, before in given.fields.items():
        if name not in made.fields:
            continue
        now = made.fields[name]
        if _is_object(now) and _is_object(before):
            keep_secrets(now.struct_value, before.struct_value)
        elif not _is_secret(now) and _has_secret(before):
            secret = {SIGNATURE: struct_pb2.Value(string_value=SECRET_SIGNATURE), "value": now}
            made.fields[name].CopyFrom(struct_pb2.Value(struct_value=struct_pb2.Struct(fields=secret)))
    return made


def _is_object(value: struct_pb2.Value) -> bool:
    return value.HasField("struct_value") and SIGNATURE not in value.struct_value.fields


def _is_secret(value: struct_pb2.Value) -> bool:
    if not value.HasField("struct_value"):
        return False
    fields = value.struct_value.fields
    signature = fields[SIGNATURE].string_value if SIGNATURE in fields else ""
    output = signature == OUTPUT_SIGNATURE and "secret" in fields and fields["secret"].bool_value
    return output or signature == SECRET_SIGNATURE


def _has_secret(value: struct_pb2.Value) -> bool:
    inner = [*value.struct_value.fields.values(), *value.list_value.values]
    return _is_secret(value) or any(map(_has_secret, inner))


def secret_at(given: struct_pb2.Struct, path: str) -> bool:
    """Whether what stands there, or what it is in, is a secret or has one: "host.privateKey", "keys[0]"."""
    value = struct_pb2.Value(struct_value=given)
    for name, index in re.findall(r"([^.\[\]\"]+)(?=\.|\[|\"|$)|\[(\d+)\]", path):
        if _is_secret(value):
            return True
        inner = value.list_value.values
        if index or name.isdigit():
            place = int(index or name)
            value = inner[place] if place < len(inner) else struct_pb2.Value()
        else:
            fields = value.struct_value.fields
            value = fields[name] if name in fields else struct_pb2.Value()
    return _has_secret(value)
