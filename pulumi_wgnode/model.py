"""What all models of arguments, inputs and outputs share."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel


class Model(BaseModel):
    """camelCase on the wire and in stack files, snake_case here; a key that nobody knows is an error."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="forbid", frozen=True)

    def to_dict(self) -> dict[str, Any]:
        """camelCase, as it goes to a resource; without what is not set."""
        return self.model_dump(by_alias=True, exclude_none=True)
