"""What a component is given: values, some of which only an update will tell.

Arguments are a mapping by their names on the wire, in which any value may be an Output. They are judged as far as they
are known (`problems`), get their defaults (`filled`), and are taken apart without being waited for (`part`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from inspect import isawaitable
from typing import Any

import pulumi
from pulumi import Input, Output
from pulumi.output import UNKNOWN as LATER
from pulumi.output import Unknown as Later
from pydantic import BaseModel, SecretStr, TypeAdapter

from pulumi_wgnode.call.kind import UNKNOWN, CheckError
from pulumi_wgnode.components import together
from pulumi_wgnode.model import Model, wire_name
from pulumi_wgnode.resources.inputs import validated
from pulumi_wgnode.shapes import model_in


class BadArguments(pulumi.RunError):
    """The text has all that is wrong, by path, and quotes no value."""


def known(value: Any) -> Any:
    """With UNKNOWN for what is an Output."""
    if isinstance(value, Output) or isawaitable(value):
        return UNKNOWN
    if isinstance(value, Mapping):
        return {name: known(one) for name, one in value.items()}
    return [known(one) for one in value] if isinstance(value, list | tuple) else value


def problems(model: type[Model], given: Mapping[str, Any]) -> list[tuple[str, str]]:
    """By path, what is wrong with what is known; `given` has UNKNOWN for what isn't."""
    try:
        validated(model, dict(given))
    except CheckError as error:
        return error.failures
    return []


def site_problems(given: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What several arguments of a site say together, as far as they are known."""
    return [(problem.path.removeprefix("."), problem.message) for problem in together.problems(given)]


def require(
    model: type[Model],
    given: Mapping[str, Any],
    whose: str,
    more: Callable[[Mapping[str, Any]], list[tuple[str, str]]] = lambda given: [],
) -> None:
    """Raises BadArguments with all that is wrong with what is known; `more` judges several values together."""
    if failures := [*problems(model, known(given)), *more(known(given))]:
        raise BadArguments(f"{whose}:" + "".join(f"\n  {path} {reason}" for path, reason in failures))


def filled(model: type[BaseModel], given: Any) -> Any:
    """With the defaults of whatever isn't given, at any depth."""
    if isawaitable(given):
        given = Output.from_input(given)
    if isinstance(given, Output):
        return given.apply(lambda value: filled(model, value), run_with_unknowns=True)
    if not isinstance(given, Mapping):
        return given
    made = {name: value for name, value in given.items() if value is not None}
    for name, field in model.model_fields.items():
        wire, inner = wire_name(name, field), model_in(field.annotation)
        if wire in made:
            made[wire] = filled(inner, made[wire]) if inner else made[wire]
        elif not field.is_required():
            made[wire] = _plain(field.get_default(call_default_factory=True))
    return {name: value for name, value in made.items() if value is not None}


def _plain(default: Any) -> Any:
    return TypeAdapter(Any).dump_python(default, by_alias=True, exclude_none=True)


def mapping(arguments: Model) -> dict[str, Any]:
    """A model's values by their names on the wire, as `filled` takes them."""
    return {name: _opened(value) for name, value in arguments.to_dict().items()}


def _opened(value: Any) -> Any:
    return value.get_secret_value() if isinstance(value, SecretStr) else value


def part(given: Any, *path: str) -> Input[Any]:
    """What is there, None where nothing is: an Output where it, or what it is in, is one."""
    for name in path:
        if isinstance(given, Output):
            given = given.apply(lambda value, name=name: _in(value, name), run_with_unknowns=True)  # type: ignore[misc]
        else:
            given = given.get(name) if isinstance(given, Mapping) else None
    return given


def _in(value: Any, name: str) -> Any:
    if isinstance(value, Later):
        return LATER
    return value.get(name) if isinstance(value, Mapping) else None


def made_of(function: Callable[..., Any], *given: Any) -> Input[Any]:
    """What `function` makes of them: at once where all are plain values, so that its errors come at once."""
    if any(_is_later(value) for value in given):
        return Output.all(*given).apply(lambda values: function(*values))
    return function(*given)


def _is_later(value: Any) -> bool:
    """Whether an Output is anywhere in it."""
    if isinstance(value, Mapping):
        return any(_is_later(one) for one in value.values())
    if isinstance(value, list | tuple):
        return any(_is_later(one) for one in value)
    return isinstance(value, Output) or isawaitable(value)
