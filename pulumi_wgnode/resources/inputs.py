"""What the inputs of the resources on a host have in common, and how inputs are checked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, TypeAdapter, ValidationError

from pulumi_wgnode.call.kind import UNKNOWN, CheckError, Judged, Properties, has_unknown
from pulumi_wgnode.errors import ExplainedError
from pulumi_wgnode.hosts.host import Connection
from pulumi_wgnode.words import wanted


def connection(properties: Properties) -> Connection:
    """The connection in a resource's inputs or state. Raises ExplainedError, which quotes none of it."""
    try:
        return described(properties["connection"])
    except (KeyError, TypeError, ValueError, AttributeError):
        raise ExplainedError("the connection that is recorded of this resource can't be read by this version") from None


def described(raw: Mapping[str, Any], is_jump: bool = False) -> Connection:
    """As the contract has it (contracts/connection.py), also of what an older version took."""
    port, jumps = raw.get("port"), raw.get("jumpHosts")
    if raw.get("address") is None and raw.get("sshHost") is None:
        raise KeyError("address")
    return Connection(
        address=raw.get("address"),
        host_keys=tuple(raw.get("hostKeys") or ()),
        port=None if port is None else int(port),
        user=raw.get("user"),
        private_key=raw.get("privateKey"),
        passphrase=raw.get("passphrase"),
        certificate=raw.get("certificate"),
        agent=raw.get("agent") is True,
        authorities=tuple(raw.get("hostAuthorities") or ()),
        ssh_host=raw.get("sshHost"),
        jumps=None if jumps is None else tuple(described(jump, is_jump=True) for jump in jumps),
        is_jump=is_jump,
    )


def undescribed(connection: Connection) -> Properties:
    """The other way: as the contract has it, for the resources to read by."""
    given = {
        "address": connection.address,
        "sshHost": connection.ssh_host,
        "hostKeys": list(connection.host_keys),
        "hostAuthorities": list(connection.authorities) or None,
        "port": connection.port,
        "user": connection.user,
        "agent": connection.agent,
        "privateKey": connection.private_key,
        "passphrase": connection.passphrase,
        "certificate": connection.certificate,
        "jumpHosts": None if connection.jumps is None else [undescribed(jump) for jump in connection.jumps],
    }
    return {name: value for name, value in given.items() if value is not None}


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
    judged = {name: value for name in model.model_fields if isinstance(value := getattr(checked, name), Judged)}
    made = checked.model_dump(by_alias=True, exclude_none=True, exclude=set(judged))
    return made | {model.model_fields[name].alias or name: value for name, value in judged.items()}


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
