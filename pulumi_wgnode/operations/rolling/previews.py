"""What the engine would do to a stack: compared with what a plan has predicted, or expected to be nothing."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from pulumi_wgnode.errors import ExplainedError
from pulumi_wgnode.operations import recorded, stacks
from pulumi_wgnode.operations.rolling.planning import PREVIEW_TIMEOUT
from pulumi_wgnode.operations.rolling.seeing import digests_of
from wgnode.rollout.fingerprint import called
from wgnode.rollout.plan import Plan

NOTHING = frozenset({"same", "read", "refresh", "import"})
"""Operations that leave a stack as it is."""
MAKES = frozenset({"create", "update", "replace", "create-replacement"})
"""Those whose new state is what the program wants."""
ENDS = frozenset({"delete", "replace"})
"""Those that end what is there."""
LASTING = frozenset(token for token, part in recorded.PARTS.items() if part != "image")
"""What no planned change makes anew, since that is no way to change a site that runs; another image is another one."""


def compared(folder: Path, plan: Plan, stack: str, file: Path, state: Callable[[str], Mapping[str, Any]]) -> str:
    """What differs from the plan's prediction, "" for nothing. The engine's own plan goes to `file`; `state` reads a
    stack's as it is by then."""
    try:
        steps = _preview(folder, stack, file)
        bound = plan.stacks[stack]
        found = digests_of(bound, stack, _as_state(steps, state(stack)), plan.unknown)
    except ExplainedError as error:
        return str(error)
    differ = sorted(part for part, digest in bound.after.items() if found.get(part) != digest)
    told = [f"other {', '.join(differ)} than was planned"] if differ else []
    return "; ".join([*told, *_ends(steps)])


def expected_clean(folder: Path, stack: str) -> str:
    """What a preview would change, "" for nothing."""
    try:
        changes = list(_changes(_preview(folder, stack, None)))
    except ExplainedError as error:
        return str(error)
    return f"a preview would still {', '.join(changes)}" if changes else ""


def _preview(folder: Path, stack: str, file: Path | None) -> list[Mapping[str, Any]]:
    """Raises StackError."""
    argv = ["preview", "--json", "--show-secrets", "--stack", stack, *(["--save-plan", str(file)] if file else [])]
    said = stacks.pulumi(argv, folder, f"stack {stack!r}", PREVIEW_TIMEOUT)
    try:
        steps = json.loads(said).get("steps") or []
    except (ValueError, AttributeError):
        raise stacks.StackError(f"stack {stack!r}: `pulumi preview --json` is not understood") from None
    return [step for step in steps if isinstance(step, dict)]


def _changes(steps: list[Mapping[str, Any]]) -> Iterator[str]:
    for step in steps:
        if step.get("op") not in NOTHING:
            yield f"{step.get('op')} {called(str(step.get('urn', '::')))}"


def _ends(steps: list[Mapping[str, Any]]) -> Iterator[str]:
    for step in steps:
        if step.get("op") in ENDS and (step.get("oldState") or {}).get("type") in LASTING:
            yield f"it would {step['op']} {called(str(step.get('urn', '::')))}"


def _as_state(steps: list[Mapping[str, Any]], now: Mapping[str, Any]) -> dict[str, Any]:
    """The state that those steps lead to, as far as its inputs go; outputs are today's: only a host knows them.

    The engine shows no step for what stays the same.
    """
    resources = {one["urn"]: dict(one) for one in now.get("resources") or () if not one.get("delete")}
    for step in steps:
        op, urn, new = str(step.get("op")), str(step.get("urn")), step.get("newState")
        if op == "delete":
            resources.pop(urn, None)
        elif op in MAKES and isinstance(new, dict):
            resources[urn] = {**resources.get(urn, {}), "urn": urn, "type": new["type"], "inputs": new.get("inputs")}
    return {"resources": list(resources.values())}
