"""What is told on a forge of a plan and of drift: once for each change and environment, and then in place."""

from __future__ import annotations

import re

from pulumi_wgnode.operations.pipelines.forge import Forge, Told
from pulumi_wgnode.operations.sections import COMMENT

LABEL = "wgnode-drift"
_CUT = "\n\n… the rest is left out here, since a comment has no room for it; the job's files have all of it\n"
_FENCED = re.compile(r"^(`{3,})", re.MULTILINE)
CLEAN, DRIFT = 0, 2


def comment(forge: Forge, environment: str, report: str, code: int, errors: str) -> None:
    """The plan of this change, where there is one, else why not."""
    mark = f"<!-- wgnode plan {environment} -->"
    text = report if code == 0 else f"### wgnode rollout plan: there is none\n\n{_quoted(errors)}"
    forge.comment(_body(mark, text), _former(forge.comments(), mark))


def issue(forge: Forge, environment: str, report: str, code: int, errors: str) -> str:
    """Open or update the environment's issue, or close it where nothing differs; what was done."""
    mark = f"<!-- wgnode drift {environment} -->"
    former = _former(forge.issues(LABEL), mark)
    if code == CLEAN:
        if former is not None:
            forge.close(former, _body(mark, report))
        return "nothing differs" + ("" if former is None else f": closed issue {former}")
    title = f"Drift in {environment}" if code == DRIFT else f"Hosts of {environment} could not all be asked"
    text = report + (f"\n{_quoted(errors)}" if errors.strip() else "")
    forge.issue(title, _body(mark, text), LABEL, former)
    return f"{title}: " + ("opened an issue" if former is None else f"updated issue {former}")


def _former(there: list[Told], mark: str) -> int | None:
    """Only what we wrote ourselves: whoever else puts the mark into theirs could change it after a review."""
    return min((one.id for one in there if one.ours and one.body.startswith(mark)), default=None)


def _body(mark: str, text: str) -> str:
    """At most as long as forges take."""
    whole = f"{mark}\n{text}"
    if len(whole) <= COMMENT:
        return whole
    room = COMMENT - len(_CUT) - len("\n" + "`" * 80)
    kept = whole[:room].rpartition("\n")[0]
    fences = _FENCED.findall(kept)
    return kept + (f"\n{fences[-1]}" if len(fences) % 2 else "") + _CUT


def _quoted(text: str) -> str:
    """As it is, whatever it contains."""
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}\n{text.strip()}\n{fence}\n"
