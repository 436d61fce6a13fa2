"""What all models of arguments, inputs and outputs share."""

from __future__ import annotations

from typing import Any, get_args

from pydantic import BaseModel, ConfigDict, Field, SecretStr
from pydantic.alias_generators import to_camel
from pydantic.fields import FieldInfo

_SECRET = {"secret": True}


class Model(BaseModel):
    """camelCase on the wire and in stack files, snake_case here; a key that nobody knows is an error.

    An error does not quote what was given, which may be a secret.
    """

    model_config = ConfigDict(
        alias_generator=to_camel, populate_by_name=True, extra="forbid", frozen=True, hide_input_in_errors=True
    )

    def to_dict(self) -> dict[str, Any]:
        """camelCase, as it goes to a resource; without what is not set."""
        return self.model_dump(by_alias=True, exclude_none=True)

    def inputs(self) -> dict[str, Any]:
        """By field, as `to_dict` has it: what a resource's class is called with."""
        given = self.to_dict()
        names = ((name, wire_name(name, field)) for name, field in type(self).model_fields.items())
        return {name: given[wire] for name, wire in names if wire in given}

    @classmethod
    def wire_names(cls) -> tuple[str, ...]:
        return tuple(wire_name(name, field) for name, field in cls.model_fields.items())

    @classmethod
    def secret_names(cls) -> tuple[str, ...]:
        """Those of `secret` fields, on the wire."""
        fields = cls.model_fields.items()
        return tuple(wire_name(name, field) for name, field in fields if is_secret(field))


def is_secret(field: FieldInfo) -> bool:
    """Of `secret`, or one that pydantic keeps out of texts by itself."""
    kinds = (field.annotation, *get_args(field.annotation))
    return field.json_schema_extra == _SECRET or SecretStr in kinds


def snake(wire: str) -> str:
    """A name of the wire as Python has it."""
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in wire)


def wire_name(name: str, field: FieldInfo) -> str:
    return field.alias or name


def secret(description: str, default: Any = ...) -> Any:
    """A field whose value no text shows, and every state encrypts."""
    return Field(default, description=description, repr=False, json_schema_extra=dict(_SECRET))
