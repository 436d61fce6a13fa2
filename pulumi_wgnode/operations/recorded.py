"""What a site's stack has recorded of its host: the resources of its last `pulumi up`, out of the stack's state."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pulumi_wgnode.contracts import texts
from pulumi_wgnode.operations.stacks import StackError, pulumi

SIGNATURE, SECRET = "4dabf18193072939515e22adb298388d", "1b47061264138c4ac30d75fd1eb44270"
PARTS = {
    "wgnode:index:HypervisorHost": "host",
    "wgnode:index:NatFirewall": "firewall",
    "wgnode:index:ApplianceImage": "image",
    "wgnode:index:Gateway": "gateway",
}
"""What a site has on its host, and what each part is called."""


@dataclass(frozen=True, repr=False)
class Recorded:
    """A resource as the state has it, its secrets opened, all of it structures."""

    token: str
    id: str
    inputs: Mapping[str, Any]
    outputs: Mapping[str, Any]

    @property
    def part(self) -> str:
        return PARTS[self.token]


def read(folder: Path, stack: str) -> tuple[Recorded, ...]:
    """Those on the site's host, in the order of PARTS; none of a stack that was never run. Raises StackError."""
    return of(stack, export(folder, stack))


def export(folder: Path, stack: str) -> Mapping[str, Any]:
    """The stack's state as it is, {} of one that was never run. Raises StackError."""
    what = f"stack {stack!r}"
    said = pulumi(["stack", "export", "--show-secrets", "--stack", stack], folder, what)
    try:
        return json.loads(said).get("deployment") or {}
    except (ValueError, AttributeError):
        raise _unreadable(stack) from None


def of(stack: str, deployment: Mapping[str, Any]) -> tuple[Recorded, ...]:
    """Raises StackError."""
    try:
        resources = deployment.get("resources") or []
        found = [_recorded(raw) for raw in resources if raw.get("type") in PARTS and not raw.get("delete")]
    except (ValueError, AttributeError, TypeError, KeyError):
        raise _unreadable(stack) from None
    return tuple(sorted(found, key=lambda one: list(PARTS).index(one.token)))


def _unreadable(stack: str) -> StackError:
    return StackError(f"stack {stack!r}: `pulumi stack export` gives no state that this version can read")


def _recorded(raw: Mapping[str, Any]) -> Recorded:
    kind = raw["type"].rsplit(":", 1)[1]
    inputs, outputs = (texts.read(kind, opened(raw.get(name) or {})) for name in ("inputs", "outputs"))
    return Recorded(raw["type"], raw.get("id", ""), inputs, outputs)


def opened(value: Any) -> Any:
    """A value of the state with its secrets as they are, whole numbers as such."""
    if isinstance(value, Mapping):
        if value.get(SIGNATURE) == SECRET:
            return opened(json.loads(value["plaintext"]))
        return {name: opened(one) for name, one in value.items()}
    if isinstance(value, list):
        return [opened(one) for one in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value
