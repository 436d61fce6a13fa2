"""How an environment's changes are rolled out, as `wgmesh:rollout` of the mesh's stack says it.

Works on the plain configuration (camelCase). What isn't given is the profile's.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from wgnode.topology.validate import Problem

Reaction = Literal["undo", "pause"]
REST = "rest"
"""The last wave, where it is not counted: all that is left."""


@dataclass(frozen=True)
class Share:
    """A number of sites, or a percentage of them."""

    count: int | None = None
    percent: int | None = None

    @classmethod
    def parse(cls, given: Any) -> Share:
        """5, or "10%". Raises ValueError."""
        text = given.strip() if isinstance(given, str) else given
        if isinstance(text, str) and text.endswith("%") and text[:-1].isdecimal() and int(text[:-1]) <= 100:
            return cls(percent=int(text[:-1]))
        if isinstance(text, int) and not isinstance(text, bool) and text >= 0:
            return cls(count=text)
        raise ValueError(f"{given!r} is neither a number of sites nor a percentage such as 10%")

    def of(self, sites: int) -> int:
        """How many of so many; of a percentage at least one, where there are any."""
        return self.count if self.count is not None else math.ceil(sites * (self.percent or 0) / 100)


@dataclass(frozen=True)
class Limits:
    """What a gate lets pass: `loss` of probes in percent, `round_trip` in milliseconds, `handshake` in seconds after an
    apply within which each peer that is expected to has made one."""

    loss: int = 1
    round_trip: int = 1000
    handshake: int = 180


@dataclass(frozen=True)
class Policy:
    """`canary` are names or a number of sites; `waves` are of the sites behind the canary, None is the rest.

    `parallel` sites of a wave are applied at once, `unavailable` may be away or owed before the rollout waits for a
    person, `soak` is in seconds.
    """

    canary: tuple[str, ...] | int
    waves: tuple[Share | None, ...]
    parallel: int
    unavailable: Share
    soak: int
    limits: Limits = Limits()
    canary_failure: Reaction = "undo"
    later_failure: Reaction = "pause"

    @classmethod
    def of(cls, raw: Mapping[str, Any]) -> Policy:
        """From configuration in which `problems` finds nothing; {} is the profile `default`."""
        given = {**PROFILES[raw.get("profile", "default")], **raw}
        failure = given.get("onFailure") or {}
        limits = given.get("limits") or {}
        return cls(
            canary=given["canary"] if isinstance(given["canary"], int) else tuple(given["canary"]),
            waves=tuple(None if size == REST else Share.parse(size) for size in given["waves"]),
            parallel=given["parallel"],
            unavailable=Share.parse(given["maxUnavailable"]),
            soak=given["soak"],
            limits=Limits(
                loss=limits.get("loss", Limits.loss),
                round_trip=limits.get("roundTrip", Limits.round_trip),
                handshake=limits.get("handshake", Limits.handshake),
            ),
            canary_failure=failure.get("canary", "undo"),
            later_failure=failure.get("later", "pause"),
        )


PROFILES: Mapping[str, Mapping[str, Any]] = {
    "default": {"canary": 1, "waves": ["10%", REST], "parallel": 4, "maxUnavailable": 1, "soak": 300},
    "fast": {"canary": 1, "waves": [REST], "parallel": 8, "maxUnavailable": "10%", "soak": 60},
    "emergency": {"canary": 0, "waves": [REST], "parallel": 16, "maxUnavailable": "100%", "soak": 0},
}
"""`emergency` is for a change that is worse to wait for than to get wrong: no canary, all sites, whoever is away."""


def problems(raw: Mapping[str, Any], sites: Collection[str]) -> list[Problem]:
    """All that is wrong with it, for a mesh of these sites; passes over what has another type."""
    name = raw.get("profile", "default")
    if name not in PROFILES:
        return [Problem("profile", f"there is no profile {name!r}; there are: {', '.join(PROFILES)}")]
    given = {**PROFILES[name], **raw}
    if wrong := list(_type_problems(given["canary"], given["waves"])):
        return wrong
    found = [*_canary_problems(given["canary"], sites, name), *_share_problems(given["maxUnavailable"])]
    return [*found, *_wave_problems(given["waves"], len(sites) - _canaries(given["canary"], sites), len(sites))]


def _type_problems(canary: Any, waves: Any) -> Iterator[Problem]:
    names = isinstance(canary, list) and all(isinstance(name, str) for name in canary)
    if not names and (isinstance(canary, bool) or not isinstance(canary, int) or canary < 0):
        yield Problem("canary", f"{canary!r} is neither a list of sites' names nor a number of sites")
    if not isinstance(waves, list):
        yield Problem("waves", f"{waves!r} is no list of sizes, such as [10%, 50%, {REST}]")


def _canary_problems(canary: Any, sites: Collection[str], profile: str) -> Iterator[Problem]:
    if canary in (0, []) and profile != "emergency":
        yield Problem(
            "canary",
            "no canary: name a site at which a change shows itself first, such as `canary: [berlin]`, or give a number;"
            " only `profile: emergency` goes without",
        )
    if isinstance(canary, int) and canary > len(sites):
        yield Problem("canary", f"{canary} sites, but the mesh has {len(sites)}")
    for position, name in enumerate(canary if isinstance(canary, list) else ()):
        if name not in sites:
            known = ", ".join(sorted(sites)) or "none"
            yield Problem(f"canary[{position}]", f"unknown site {name!r}; the mesh's sites: {known}")
        elif name in canary[:position]:
            yield Problem(f"canary[{position}]", f"site {name!r} stands there twice; name it once")


def _canaries(canary: Any, sites: Collection[str]) -> int:
    return min(canary, len(sites)) if isinstance(canary, int) else len({*canary} & {*sites})


def _share_problems(given: Any) -> Iterator[Problem]:
    try:
        Share.parse(given)
    except ValueError as error:
        yield Problem("maxUnavailable", str(error))


def _wave_problems(waves: Any, behind: int, all_sites: int) -> Iterator[Problem]:
    """`behind` are the sites behind the canary, of which the waves are."""
    if not waves:
        yield Problem("waves", f"no wave; `waves: [{REST}]` is one of all sites behind the canary")
    sizes: list[Share] = []
    for position, size in enumerate(waves):
        path = f"waves[{position}]"
        if size == REST:
            if position != len(waves) - 1:
                yield Problem(path, f"nothing is left behind `{REST}`; make it the last wave")
            continue
        try:
            sizes.append(Share.parse(size))
        except ValueError as error:
            yield Problem(path, f"{error}, nor `{REST}`")
            return
        if sizes[-1] in (Share(count=0), Share(percent=0)):
            yield Problem(path, "a wave of no sites; take it out")
    if sizes or waves:
        yield from _sum_problems(sizes, REST in waves, behind, all_sites)


def _sum_problems(sizes: list[Share], rest: bool, behind: int, all_sites: int) -> Iterator[Problem]:
    percent, count = sum(size.percent or 0 for size in sizes), sum(size.count or 0 for size in sizes)
    whose = f"the {behind} sites behind the canary (the mesh has {all_sites})"
    if percent > 100:
        yield Problem("waves", f"the waves don't add up: {percent} % of the sites; keep them at 100 %")
    elif percent and not count and not rest and percent < 100:
        yield Problem("waves", f"the waves don't add up: {percent} % of the sites; end with `{REST}`, or make it 100 %")
    elif (total := count + math.ceil(behind * percent / 100)) > behind and count:
        yield Problem("waves", f"the waves don't add up: they take {total} sites, more than {whose}; end with `{REST}`")
    elif count and total < behind and not rest:
        yield Problem("waves", f"the waves don't add up: they take {total} sites of {whose}; end with `{REST}`")
