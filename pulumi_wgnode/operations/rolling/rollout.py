"""`rollout run`, `again`, `resume` and `undo`: what has to be so before a run begins, and what it leaves."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable, Collection
from importlib.metadata import version
from pathlib import Path

from pulumi_wgnode.operations.rolling import claiming, revision
from pulumi_wgnode.operations.rolling.hands import Hands
from pulumi_wgnode.operations.rolling.outcome import Outcome
from pulumi_wgnode.operations.rolling.progress import Progress
from pulumi_wgnode.operations.rolling.running import RefusedError, Run
from pulumi_wgnode.operations.rolling.seeing import Eyes
from pulumi_wgnode.operations.rolling.tags import Tags
from wgnode.rollout.plan import Plan
from wgnode.rollout.refusal import facts, refusals
from wgnode.rollout.steps import Order


def go(
    folder: Path,
    plan: Plan,
    order: Order,
    engine_plan: bytes | None,
    patience: float,
    progress: Progress,
    own: Collection[Path] = (),
) -> Outcome:
    """`engine_plan` is what lies beside the plan's file; `patience` in seconds; `own` are files of the rollout's that
    may lie in the project, such as the plan. Raises ExplainedError."""
    refuse(folder, plan, order, engine_plan, own)
    tags = Tags(folder)
    with (
        tempfile.TemporaryDirectory() as scratch,
        claiming.claimed(tags, plan.mesh, plan.environment, plan.commit, order, progress.say) as holder,
        Hands(folder, plan, tags, Path(scratch), progress.say, patience, _kept(engine_plan, Path(scratch))) as hands,
    ):
        eyes = Eyes(folder, plan, tags)
        check = _checked(folder, plan, order, holder.check, own)
        run = Run(plan, eyes, hands, order, check, progress.step, progress.say)
        end = run.go()
        places = facts(plan, eyes.seen).places
        return Outcome(plan, order, end, places, run.took, run.gated, tuple(progress.events))


def refuse(folder: Path, plan: Plan, order: Order, engine_plan: bytes | None, own: Collection[Path] = ()) -> None:
    """What can be told before any stack is looked at. Raises RefusedError, RevisionError.

    For the way back it does not matter what is checked out.
    """
    head = plan.commit if order == "undo" else revision.read(folder, plan.base, own).commit
    against = list(refusals(plan, plan.environment, version("wgnode"), head))
    if engine_plan is not None and hashlib.sha256(engine_plan).hexdigest() != plan.engine_plan:
        against.append(
            "the engine's plan beside it (FILE.engine) is another one: keep both as `rollout plan` wrote them"
        )
    if engine_plan is None and plan.engine_plan and order != "undo":
        against.append("the engine's plan of the mesh is missing: FILE.engine lies beside the plan where it was made")
    if against:
        raise RefusedError("; ".join(against))
    revision.commit(folder, plan.base)


def _kept(engine_plan: bytes | None, scratch: Path) -> Path | None:
    if engine_plan is None:
        return None
    file = scratch / "mesh.plan"
    file.write_bytes(engine_plan)
    return file


def _checked(
    folder: Path, plan: Plan, order: Order, mine: Callable[[], object], own: Collection[Path]
) -> Callable[[], None]:
    """Before every step: that this run still is the one that runs, and that nobody has changed the files under it."""

    def check() -> None:
        mine()
        if order != "undo" and (now := revision.read(folder, plan.base, own).commit) != plan.commit:
            raise RefusedError(
                f"commit {now[:12]} was checked out while the rollout ran; check out {plan.commit[:12]} again, and say"
                " resume"
            )

    return check
