"""How hosts differ from what their stacks deployed: read back by the resources themselves, equal differences told once.

What a reading warns of and no deployment can mend (another's firewall, a cable that is out) is no drift and told apart,
and so are hosts that are away: nobody knows whether they have drifted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

from pulumi_wgnode.errors import ExplainedError
from pulumi_wgnode.hosts.host import HostError
from pulumi_wgnode.operations import looking, part_words, sections, stacks
from pulumi_wgnode.operations.hosts import AT_ONCE
from pulumi_wgnode.operations.looking import Parts
from pulumi_wgnode.operations.sections import Section, counted
from pulumi_wgnode.operations.site_status import why_not
from pulumi_wgnode.operations.sites import Known
from wgnode.rollout.grouping import Group, grouped, whose

Place = Literal["clean", "drift", "away", "unread", "not deployed"]
CLEAN, DRIFT, NOT_LOOKED = 0, 2, 3
"""Exit codes. Drift that was seen is told by the code also where other hosts could not be asked."""


@dataclass(frozen=True)
class SiteDrift:
    """`lines` are what differs, or why nobody could look; `notes` are no drift."""

    name: str
    place: Place
    lines: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Drift:
    """Groups of sites, those that differ alike in one; the others by name."""

    environment: str | None
    groups: tuple[Group, ...] = ()
    away: Mapping[str, str] = field(default_factory=dict)
    unread: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[Group, ...] = ()
    clean: tuple[str, ...] = ()
    not_deployed: tuple[str, ...] = ()

    @property
    def exit_code(self) -> int:
        return DRIFT if self.groups else NOT_LOOKED if self.away or self.unread else CLEAN

    def to_dict(self) -> dict[str, Any]:
        words = {CLEAN: "clean", DRIFT: "drift", NOT_LOOKED: "could not look"}
        return {"verdict": words[self.exit_code], **asdict(self)}


def look(environment: str | None, known: Sequence[Known]) -> Drift:
    """Asks all hosts at once; each is bounded, so that one that is away stops nobody."""
    names = _names(known)
    seen = stacks.each(zip(names, known, strict=True), lambda pair: judge(pair[0], *_read(pair[1])), AT_ONCE)
    return summed(environment, [one for one in seen if isinstance(one, SiteDrift)])


def judge(name: str, parts: Parts, error: Exception | None) -> SiteDrift:
    """Of what was read of a site, or why it was not."""
    if error is not None:
        return SiteDrift(name, "away" if why_not(error) == "away" else "unread", (str(error),))
    if all(part.state == "missing" for part in parts):
        return SiteDrift(name, "not deployed")
    quiet = [replace(part, said=()) for part in parts if part.state != "unread"]
    notes = tuple(f"{part.name}: {said}" for part in parts if part.state != "unread" for said in part.said)
    unread = tuple(part_words.all_problems([part for part in parts if part.state == "unread"]))
    if differs := tuple(part_words.all_problems(quiet)):
        return SiteDrift(name, "drift", differs, (*unread, *notes))
    if unread:
        return SiteDrift(name, "unread", unread, notes)
    return SiteDrift(name, "clean", (), notes)


def summed(environment: str | None, sites: Sequence[SiteDrift]) -> Drift:
    def at(place: Place) -> list[SiteDrift]:
        return [one for one in sites if one.place == place]

    return Drift(
        environment,
        groups=tuple(grouped({one.name: one.lines for one in at("drift")})),
        away={one.name: "; ".join(one.lines) for one in at("away")},
        unread={one.name: "; ".join(one.lines) for one in at("unread")},
        notes=tuple(grouped({one.name: one.notes for one in sites})),
        clean=tuple(one.name for one in at("clean")),
        not_deployed=tuple(one.name for one in at("not deployed")),
    )


def text(drift: Drift) -> str:
    return sections.text(_headline(drift), _sections(drift))


def markdown(drift: Drift) -> str:
    return sections.markdown("wgnode drift", _headline(drift), _sections(drift))


def _names(known: Sequence[Known]) -> list[str]:
    """The stack's, with the site's where a stack has several."""
    several = Counter(one.stack for one in known)
    return [one.stack if several[one.stack] == 1 else "/".join(one.key) for one in known]


def _read(known: Known) -> tuple[Parts, Exception | None]:
    """First whether the host lets us in: one that does is not away, however slow it is."""
    if isinstance(known.site, ExplainedError):
        return (), known.site
    try:
        looking.reach(known.site)
    except HostError as error:
        return (), error
    parts = looking.parts_of(known, known.site)
    return ((), parts) if isinstance(parts, ExplainedError) else (parts, None)


def _headline(drift: Drift) -> str:
    counts = {
        "drifted": sum(len(group.sites) for group in drift.groups),
        "away": len(drift.away),
        "not read": len(drift.unread),
        "not deployed": len(drift.not_deployed),
        "clean": len(drift.clean),
    }
    where = f"environment {drift.environment}" if drift.environment else "all environments"
    told = ", ".join(f"{count} {word}" for word, count in counts.items() if count)
    return f"{where}, {counted(sum(counts.values()), 'site')}: {told or 'none'}"


def _sections(drift: Drift) -> Iterator[Section]:
    for group in drift.groups:
        yield Section(f"{whose(group.sites)} {'differs' if len(group.sites) == 1 else 'differ'}", group.lines)
    if drift.groups:
        stack = drift.groups[0].sites[0].split("/")[0]
        yield Section("To mend it", (f"`pulumi preview --diff --stack {stack}` shows all of it, `pulumi up` mends it",))
    for title, sites in (("Away", drift.away), ("Could not be read", drift.unread)):
        if sites:
            yield Section(title, tuple(f"{name}: {why}" for name, why in sites.items()))
    if drift.not_deployed:
        yield Section("Not deployed", (whose(drift.not_deployed, len(drift.not_deployed)),))
    for group in drift.notes:
        yield Section(f"No drift, but to be known of {whose(group.sites)}", group.lines)
