"""Renames and what is to be forgotten, judged by what was there before: the configuration alone can't tell."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Set

from wgnode.topology import labels
from wgnode.topology.model import MeshSpec
from wgnode.topology.validate import Problem


def renames(spec: MeshSpec, known: Mapping[str, str | None]) -> dict[str, str]:
    """The old name by the new one, of renames that are still to be done, all at once (so that two can swap names).

    `known` has, by name, the rename that made it so. One that is done stays valid while it stands in the file, unless
    its site is itself about to be renamed.
    """
    asked = {name: site.renamed_from for name, site in spec.sites.items() if site.renamed_from}
    pending = {name for name, source in asked.items() if known.get(name) != source}
    while more := {source for name in pending if (source := asked[name]) in asked} - pending:
        pending |= more
    return {name: asked[name] for name in sorted(pending)}


def problems(
    spec: MeshSpec,
    known: Mapping[str, str | None],
    steps: Mapping[str, tuple[int, ...]],
    forgotten: Set[str],
) -> Iterator[Problem]:
    """`known` as for `renames`, of all names including those that rest; `steps` are the labels of the sites that were
    there last time, `forgotten` what the list then had."""
    moves = renames(spec, known)
    for name, source in moves.items():
        if source not in known:
            yield Problem(f"sites.{name}.renamedFrom", _unknown(name, source, known))
        elif name in known and name not in moves.values():
            yield Problem(
                f"sites.{name}.renamedFrom",
                f"site {name!r} has an id and an address of its own, which those of {source!r} would replace; rename"
                f" {source!r} to another name, or take {name!r} out of `sites` and list it under `forget` first",
            )
    for name in spec.forget:
        if name not in known and name not in forgotten:
            yield Problem("forget", f"there is no site {name!r} to forget; {_known(known)}")
    ahead = sorted(name for name in spec.sites if labels.skipped(steps.get(name, labels.NEW), spec.preshared_keys))
    if ahead:
        first = labels.skipped(steps[ahead[0]], spec.preshared_keys)
        yield Problem(
            "presharedKeys",
            f"{spec.preshared_keys!r} comes after {first!r} for {', '.join(ahead)}: set {first!r}, run up of this stack"
            f" and of every site's, then {spec.preshared_keys!r}",
        )


def _unknown(name: str, source: str, known: Mapping[str, str | None]) -> str:
    if later := next((new for new, old in known.items() if old == source and new != name), None):
        return f"site {source!r} was renamed to {later!r} already; write `renamedFrom: {later}`"
    done = f", and {name!r} is there already: take `renamedFrom` out" if name in known else ""
    return f"there is no site {source!r} to rename to {name!r}{done}; {_known(known)}"


def _known(known: Mapping[str, str | None]) -> str:
    return f"known are: {', '.join(sorted(known)) or 'none'}"
