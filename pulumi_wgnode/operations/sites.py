"""Which sites stacks have: by their configuration where it tells, else by what their states have recorded.

The second works with any program that uses the package, also one with several sites in a stack.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pulumi_wgnode.errors import ExplainedError
from pulumi_wgnode.operations import recorded, stacks
from pulumi_wgnode.operations.recorded import Recorded
from pulumi_wgnode.operations.stacks import NoSite, SiteStack
from pulumi_wgnode.resources.inputs import connection


@dataclass(frozen=True, repr=False)
class Known:
    """What is known of a site before its host is asked, or why it is not: how it is reached, and its stack's state."""

    stack: str
    site: SiteStack | ExplainedError
    recorded: tuple[Recorded, ...] | ExplainedError

    @property
    def key(self) -> tuple[str, str]:
        """The stack, and the name that the site is shown under."""
        return self.stack, self.stack if isinstance(self.site, ExplainedError) else self.site.site


def know(folder: Path, names: Sequence[str], named: bool = True, states: bool = True) -> list[Known]:
    """Asks the engine twice for each, of many at once; without `states` once, where the configuration tells.

    Stacks that have no site are told where they were `named`, or where none has any.
    """
    found = [one for of in stacks.each(names, lambda name: _in_stack(folder, name, states)) for one in _made(of)]
    with_sites = [one for one in found if not isinstance(one.site, NoSite)]
    return found if named or not with_sites else with_sites


def know_again(folder: Path, known: Sequence[Known], keys: Sequence[tuple[str, str]]) -> list[Known]:
    """With the states of those anew."""
    old = sorted({stack for stack, _ in keys})
    fresh = dict(zip(old, stacks.each(old, lambda name: recorded.read(folder, name)), strict=True))
    return [Known(one.stack, one.site, _own(one, fresh[one.stack])) if one.stack in fresh else one for one in known]


def _in_stack(folder: Path, stack: str, states: bool) -> list[Known]:
    (site,) = stacks.each([stack], lambda name: stacks.read_site(folder, name))
    if not states and not isinstance(site, NoSite):
        return [Known(stack, site, ())]
    (state,) = stacks.each([stack], lambda name: recorded.read(folder, name))
    if isinstance(site, NoSite) and not isinstance(state, ExplainedError):
        return [Known(stack, one, _of(one, state)) for one in _recorded(stack, state)] or [
            Known(stack, NoSite(f"{site}, and its state has no gateway"), state)
        ]
    return [Known(stack, site, state)]


def _made(of: list[Known] | ExplainedError) -> list[Known]:
    if isinstance(of, ExplainedError):
        raise of
    return of


def _recorded(stack: str, state: Sequence[Recorded]) -> list[SiteStack]:
    """A site for each gateway."""
    gateways = [one for one in state if one.part == "gateway" and _whose(one)]
    return [
        SiteStack(stack, str(_whose(one)["name"]), "", connection(dict(one.inputs)), None, _whose(one)["id"])
        for one in gateways
    ]


def _own(known: Known, state: tuple[Recorded, ...] | ExplainedError) -> tuple[Recorded, ...] | ExplainedError:
    if isinstance(state, ExplainedError) or isinstance(known.site, ExplainedError):
        return state
    return _of(known.site, state)


def _of(site: SiteStack, state: Sequence[Recorded]) -> tuple[Recorded, ...]:
    return tuple(one for one in state if site.id is None or _is_of(site, one))


def _is_of(site: SiteStack, one: Recorded) -> bool:
    """An image may say of nobody whose it is: then it is of the site on its host."""
    owner = _whose(one)
    return owner["id"] == site.id if owner else connection(dict(one.inputs)).address == site.connection.address


def _whose(one: Recorded) -> Mapping[str, Any]:
    """{} of a resource that says of nobody whose it is."""
    return one.inputs.get("site") or one.inputs.get("neededBy") or {}
