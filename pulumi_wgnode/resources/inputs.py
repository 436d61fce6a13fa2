"""What the inputs of the resources on a host have in common, and how inputs are checked."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import ip_address, ip_interface, ip_network
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.alias_generators import to_camel

from pulumi_wgnode.call.kind import UNKNOWN, CheckError, Properties, has_unknown
from pulumi_wgnode.hosts.host import Connection
from pulumi_wgnode.words import wanted
from wgnode.topology.transit import DEFAULT_V4, DEFAULT_V6

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


def _text_of(parse: Callable[[str], object]) -> AfterValidator:
    """Of what `parse` takes, which raises ValueError with the reason."""

    def check(text: str) -> str:
        if "%" in text:
            raise ValueError(f"{text!r} has a zone, which means something on one machine only")
        parse(text)
        return text

    return AfterValidator(check)


NetworkText = Annotated[str, _text_of(ip_network)]
AddressText = Annotated[str, _text_of(ip_address)]
InterfaceText = Annotated[str, _text_of(ip_interface)]
"""An address with the length of its network's prefix."""


class Inputs(BaseModel):
    """camelCase on the wire, snake_case here; a property that nobody knows is an error."""

    model_config = ConfigDict(
        alias_generator=to_camel, populate_by_name=True, extra="forbid", hide_input_in_errors=True
    )

    @classmethod
    def wire_names(cls) -> tuple[str, ...]:
        return tuple(field.alias or name for name, field in cls.model_fields.items())


class ConnectionInputs(Inputs):
    address: str
    host_keys: list[str] = Field(min_length=1)
    port: int = Field(22, ge=1, le=65535)
    user: str = "root"
    private_key: str | None = None
    agent: bool = False


class HostInputs(Inputs):
    connection: ConnectionInputs


class TransitInputs(Inputs):
    """The networks of the link between host and gateway."""

    v4: NetworkText | None = DEFAULT_V4
    v6: NetworkText | None = DEFAULT_V6


def connection(properties: Properties) -> Connection:
    """The connection in a resource's inputs or state."""
    raw = ConnectionInputs.model_validate(properties["connection"])
    return Connection(raw.address, tuple(raw.host_keys), raw.port, raw.user, raw.private_key)


def validated(model: type[BaseModel], news: Properties) -> Properties:
    """The inputs with defaults filled in; raises CheckError with all that is wrong, but never judges an UNKNOWN."""
    news = {name: value for name, value in news.items() if value is not None}
    try:
        checked = model.model_validate(news)
    except ValidationError as error:
        failures = [
            (_path(problem["loc"]), _said(dict(problem)))
            for problem in error.errors(include_url=False)
            if not _is_unknown(news, problem["loc"])
        ]
        if failures:
            raise CheckError(failures) from None
        return _known_defaults(model, news)
    return checked.model_dump(by_alias=True, exclude_none=True)


def _said(problem: dict[str, Any]) -> str:
    """Without the value: the provider can't tell which of them are secret."""
    if problem["type"] == "value_error":
        return str(problem["ctx"]["error"])
    if problem["type"] == "missing":
        return "is missing"
    if problem["type"] == "extra_forbidden":
        return "is no property of this resource"
    return wanted(problem)


def _known_defaults(model: type[BaseModel], news: Properties) -> Properties:
    """Defaults wherever nothing unknown is in the way, so that a preview shows no changes that aren't there."""
    filled = dict(news)
    for name, info in model.model_fields.items():
        wire = info.alias or name
        if wire not in news and not info.is_required():
            value = info.get_default(call_default_factory=True)
        elif wire in news and not has_unknown(news[wire]):
            value = TypeAdapter(info.rebuild_annotation()).validate_python(news[wire])
        else:
            continue
        dumped = TypeAdapter(Any).dump_python(value, by_alias=True, exclude_none=True)
        if dumped is not None:
            filled[wire] = dumped
    return filled


def _is_unknown(value: Any, path: tuple[int | str, ...]) -> bool:
    for step in path:
        try:
            value = value[step]
        except (KeyError, IndexError, TypeError):
            break
    return value is UNKNOWN


def _path(location: tuple[int | str, ...]) -> str:
    path = ""
    for step in location:
        path += f"[{step}]" if isinstance(step, int) else f".{step}"
    return path.removeprefix(".")
