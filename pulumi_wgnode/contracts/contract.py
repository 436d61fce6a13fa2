"""What a resource kind promises: its inputs and outputs, as documented models.

From these come the checks and defaults of the provider, what is a secret, the package's schema, the classes of sdk/
and docs/reference/. Outputs repeat the inputs, but for those that are too large (`unrepeated`).
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, get_args, get_origin

from pulumi_wgnode.call.kind import UNKNOWN, Properties, Secret
from pulumi_wgnode.model import Model, wire_name

PACKAGE = "wgnode"


@dataclass(frozen=True)
class Contract:
    """`name` is the kind's, as in its token. `unrepeated` are inputs, by wire name, that are no outputs."""

    name: str
    inputs: type[Model]
    outputs: type[Model]
    unrepeated: tuple[str, ...] = ()

    @property
    def token(self) -> str:
        return f"{PACKAGE}:index:{self.name}"

    @property
    def about(self) -> str:
        """What the kind is, in a few sentences."""
        return inspect.getdoc(self.inputs) or ""

    @property
    def produced(self) -> tuple[str, ...]:
        """The outputs that are no inputs, by wire name."""
        return self.outputs.wire_names()

    @property
    def secrets(self) -> tuple[str, ...]:
        """Inputs and outputs that are encrypted in every state, by wire name."""
        return (*self.inputs.secret_names(), *self.outputs.secret_names())

    def sealed(self, inputs: Properties) -> Properties:
        """Inputs with the secrets among them marked, at every depth: in whatever language they were given, and whether
        or not the program says so."""
        return dict(_sealed(self.inputs, inputs))


def _sealed(model: type[Model], values: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    fields = {wire_name(name, field): field for name, field in model.model_fields.items()}
    secret = model.secret_names()
    for name, value in values.items():
        if name in secret and value is not UNKNOWN:
            yield name, Secret(value)
        else:
            inner = _model_of(fields[name].annotation) if name in fields else None
            yield name, _sealed_inside(inner, value) if inner else value


def _sealed_inside(model: type[Model], value: Any) -> Any:
    if isinstance(value, Mapping):
        return dict(_sealed(model, value))
    return [_sealed_inside(model, one) for one in value] if isinstance(value, list) else value


def _model_of(annotation: Any) -> type[Model] | None:
    """The model that a field has one of, or several."""
    if isinstance(annotation, type) and issubclass(annotation, Model):
        return annotation
    if get_origin(annotation) is dict:
        return None  # by names of the program's own
    return next((found for one in get_args(annotation) if (found := _model_of(one))), None)
