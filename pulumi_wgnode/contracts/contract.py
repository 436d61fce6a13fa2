"""What a resource kind promises: its inputs and outputs, as documented models.

From these come the checks and defaults of the provider, what is a secret, the package's schema, the classes of sdk.py
and docs/reference/. Outputs repeat the inputs, but for those that are too large (`unrepeated`).
"""

from __future__ import annotations

import inspect
from dataclasses import dataclass

from pulumi_wgnode.model import Model

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
