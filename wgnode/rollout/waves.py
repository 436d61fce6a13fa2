"""Which site is in which wave."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable

from wgnode.rollout.policy import Policy


def waves(
    policy: Policy, sites: Iterable[str], changing: Collection[str], fresh: Collection[str] = ()
) -> list[tuple[str, ...]]:
    """The canary first (empty where there is none), then each wave that has sites, by name.

    The waves are cut from all `sites`, so that a site's place does not depend on what a change happens to touch; those
    that are not `changing` are left out afterwards. A canary that the change does not touch would prove nothing: the
    first sites that it does touch stand in for it, `fresh` ones, which never ran, last.
    """
    ordered = sorted(sites)
    canary = _canary(policy, ordered, changing, fresh)
    behind = [name for name in ordered if name not in canary]
    cut = [tuple(name for name in wave if name in changing) for wave in _cut(policy, behind)]
    return [tuple(name for name in canary if name in changing), *(wave for wave in cut if wave)]


def _canary(policy: Policy, ordered: list[str], changing: Collection[str], fresh: Collection[str]) -> list[str]:
    wanted = len(policy.canary) if isinstance(policy.canary, tuple) else policy.canary
    named = list(policy.canary) if isinstance(policy.canary, tuple) else []
    touched = sorted((name for name in ordered if name in changing), key=lambda name: name in fresh)
    useful = [name for name in named if name in changing]
    return useful or (named if not touched else touched[:wanted])


def _cut(policy: Policy, behind: list[str]) -> list[list[str]]:
    """Percentages are of all behind the canary, and rounded up where they end, so that 100 % is all."""
    cut, start, percent, count = [], 0, 0, 0
    for share in policy.waves:
        percent, count = percent + (share.percent or 0 if share else 0), count + (share.count or 0 if share else 0)
        end = count + math.ceil(len(behind) * percent / 100) if share else len(behind)
        cut.append(behind[start:end])
        start = max(start, end)
    return [*cut, behind[start:]]  # numbers that fitted before the canary changed
