"""What pydantic finds wrong with what a person has written, as problems with their paths: all at once."""

from __future__ import annotations

import difflib
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from pulumi_wgnode.model import is_secret
from pulumi_wgnode.words import shown, wanted
from wgnode.topology.validate import Problem


def shape_problems(model: type[BaseModel], error: ValidationError, prefix: str) -> list[Problem]:
    """pydantic's findings as problems; a secret's value is never shown."""
    return [
        Problem(prefix + path(found["loc"]), _message(model, dict(found))) for found in error.errors(include_url=False)
    ]


def path(location: tuple[int | str, ...]) -> str:
    """(sites, cabin, lans, 0) as ".sites.cabin.lans[0]"."""
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in location)


def _message(model: type[BaseModel], found: dict[str, Any]) -> str:
    location = found["loc"]
    if found["type"] == "missing":
        return f"is missing{_described(model, location)}"
    if found["type"] == "too_short":
        return f"is empty{_described(model, location)}"
    if found["type"] == "extra_forbidden":
        known = _known_keys(model, location[:-1])
        close = difflib.get_close_matches(str(location[-1]), known, n=1, cutoff=0.5)
        return f"unknown key; did you mean `{close[0]}`?" if close else f"unknown key; there are: {', '.join(known)}"
    given = found.get("input")
    if found["type"] == "value_error":
        said = str(found["ctx"]["error"])
        return said.replace(repr(given), shown(given)) if isinstance(given, str) else said
    return wanted(found) if _in_secret(model, location) else f"{wanted(found)}, not {shown(given)}"


def _in_secret(model: type[BaseModel], location: tuple[int | str, ...]) -> bool:
    """Whether what is there is a secret, or in one."""
    for place, step in enumerate(location):
        inner = _model_at(model, location[:place])
        for name, field in inner.model_fields.items() if inner else ():
            if step in (name, field.alias) and is_secret(field):
                return True
    return False


def _described(model: type[BaseModel], location: tuple[int | str, ...]) -> str:
    inner = _model_at(model, location[:-1])
    for name, field in inner.model_fields.items() if inner else ():
        if location[-1] in (name, field.alias) and field.description:
            return f": {field.description}"
    return "; add it"


def _known_keys(model: type[BaseModel], location: tuple[int | str, ...]) -> list[str]:
    inner = _model_at(model, location)
    return [field.alias or name for name, field in inner.model_fields.items()] if inner else []


def _model_at(annotation: Any, location: tuple[int | str, ...]) -> type[BaseModel] | None:
    """The model that holds what is at `location`, through lists, mappings and optional values."""
    for step in location:
        if model := model_in(annotation):
            annotation = next((f.annotation for n, f in model.model_fields.items() if step in (n, f.alias)), None)
        else:
            inner = [argument for argument in get_args(annotation) if argument is not type(None)]
            optional = len(inner) == 1 and not _is_container(annotation) and get_args(inner[0])
            annotation = get_args(inner[0])[-1] if optional else inner[-1] if inner else None
    return model_in(annotation)


def model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    inner = [argument for argument in get_args(annotation) if argument is not type(None)]
    if len(inner) == 1 and isinstance(inner[0], type) and issubclass(inner[0], BaseModel):
        return None if _is_container(annotation) else inner[0]
    return None


def _is_container(annotation: Any) -> bool:
    return getattr(annotation, "__origin__", None) in (list, dict, tuple)
