"""One stack file, judged alone: how it is written, what it is of, and whether its values have the right shape.

Nothing in it is decrypted: of what is encrypted only that it is another value can be told.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, Field, ValidationError

from pulumi_wgnode.components import together
from pulumi_wgnode.components.arguments import GatewayArgs, HostArgs, SiteArgs
from pulumi_wgnode.contracts.connection import Jump
from pulumi_wgnode.contracts.mesh_topology import MeshTopologyInputs
from pulumi_wgnode.operations.checking.rollout_config import RolloutConfig
from pulumi_wgnode.operations.stacks import PROJECT
from pulumi_wgnode.shapes import shape_problems
from wgnode import yamlfile
from wgnode.topology.validate import Problem

KEYS = ("role", "mesh", "site", "rollout")


class OfflineJump(Jump):
    private_key: Any = None
    passphrase: Any = None


class OfflineHost(HostArgs):
    private_key: Any = None
    passphrase: Any = None
    jump_hosts: list[OfflineJump] | None = None  # type: ignore[assignment]  # lists can't be narrowed


class OfflineGateway(GatewayArgs):
    """Its program may know where the image lies."""

    image: str = ""


class OfflineSite(SiteArgs):
    """As `Site` takes it, but that secrets are whatever stands there."""

    host: OfflineHost
    recipient_key: Any = Field(
        description="the site's private recipient key, a secret; `wgnode site new` makes it, or"
        " `pulumi config set --secret --path wgmesh:site.recipientKey`"
    )
    device_secret: Any = None
    gateway: OfflineGateway = OfflineGateway()


@dataclass(frozen=True)
class StackFile:
    """`values` are those of wgmesh's keys, secrets as `sealed DIGEST`; `model` is None where they have problems.

    Paths of problems are from the key on: `wgmesh:site.lan.interface`.
    """

    role: str | None
    values: Mapping[str, Any]
    model: MeshTopologyInputs | OfflineSite | None
    policy: RolloutConfig | None
    problems: tuple[Problem, ...]


@functools.cache
def judge(text: str) -> StackFile:
    """Of the same text the same: two revisions share most of their files."""
    try:
        raw, ambiguous = yamlfile.judged(text)
    except yamlfile.YamlError as error:
        return StackFile(None, {}, None, None, (Problem("", str(error)),))
    config = raw.get("config") if isinstance(raw, dict) else None
    config = config if isinstance(config, dict) else {}
    written = [_written(path, what) for path, what in ambiguous if path.startswith(f".config.{PROJECT}:")]
    role, values = config.get(f"{PROJECT}:role"), {key: config.get(f"{PROJECT}:{key}") for key in KEYS}
    if role == "mesh":
        return _mesh(values, written)
    if role == "site":
        return _site(values, written)
    said = "is missing: mesh or site" if role is None else f"{role!r} is neither mesh nor site"
    return StackFile(None, values, None, None, (*written, Problem(f"{PROJECT}:role", said)))


def _written(path: str, what: str) -> Problem:
    return Problem(path.removeprefix(".config."), what)


def _mesh(values: Mapping[str, Any], written: list[Problem]) -> StackFile:
    """What several sites say together is judged where the whole environment is."""
    mesh, problems = _shaped(MeshTopologyInputs, values["mesh"], f"{PROJECT}:mesh")
    policy: RolloutConfig | None = RolloutConfig()
    if values["rollout"] is not None:
        policy, more = _shaped(RolloutConfig, values["rollout"], f"{PROJECT}:rollout")
        problems += more
    return StackFile("mesh", values, mesh, policy, (*written, *problems))


def _site(values: Mapping[str, Any], written: list[Problem]) -> StackFile:
    raw = values["site"] if isinstance(values["site"], dict) else {}
    opaque = dict(_sealed(raw, ""))
    shown = _without_secrets(raw) if raw.keys() != {"secure"} else {}
    site, problems = _shaped(OfflineSite, shown if raw else values["site"], f"{PROJECT}:site")
    problems += [Problem(f"{PROJECT}:site{one.path}", one.message) for one in together.problems(shown)]
    problems += [Problem(f"{PROJECT}:site.{path}", _CLEAR.format(path=path)) for path in together.clear_secrets(raw)]
    kept = [one for one in problems if not any(one.path.startswith(f"{PROJECT}:site{path}") for path in opaque)]
    return StackFile("site", {**values, "site": shown}, site if not kept else None, None, (*written, *kept))


def _shaped(model: type[Any], raw: Any, key: str) -> tuple[Any, list[Problem]]:
    try:
        return model.model_validate(raw if raw is not None else {}), []
    except ValidationError as error:
        base: type[BaseModel] = model
        return None, shape_problems(base, error, key)


def _sealed(value: Any, path: str) -> Iterator[tuple[str, str]]:
    """(path, what is shown of it) of every encrypted value."""
    if isinstance(value, dict):
        if value.keys() == {"secure"}:
            yield path, f"sealed {hashlib.sha256(str(value['secure']).encode()).hexdigest()[:8]}"
        else:
            for key, inner in value.items():
                yield from _sealed(inner, f"{path}.{key}")
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from _sealed(inner, f"{path}[{number}]")


def _without_secrets(value: Any) -> Any:
    if isinstance(value, dict):
        if value.keys() == {"secure"}:
            return next(shown for _, shown in _sealed(value, ""))
        return {key: _without_secrets(inner) for key, inner in value.items()}
    return [_without_secrets(inner) for inner in value] if isinstance(value, list) else value


_CLEAR = (
    "lies in the stack file in clear text: make a new one and set it with `pulumi config set --secret --path"
    f" {PROJECT}:site.{{path}}`"
)
