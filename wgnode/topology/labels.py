"""From which facts the pre-shared keys of a pair are derived, and how a mesh comes from the old ones to the new.

Label 1 is derived from both public keys, label 2 from both ids. A site has those labels that it accepts, first the one
that it answers handshakes with (only a responder chooses: its key goes into the response, and the initiator tries all
that it has). A pair loses no handshake while its two sides are a step apart at most:

    KEYS (1)   accept (1, 2)   use (2, 1)   drop (2)

Sites that were allocated with an id begin at the end: whoever knows them knows their ids.
docs/decisions/preshared-keys-from-ids.md has the table of all mixed states.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, get_args

Step = Literal["accept", "use", "drop"]

OLD = (1,)
NEW = (2,)
STEPS: dict[str, tuple[int, ...]] = {"accept": (1, 2), "use": (2, 1), "drop": NEW}
ORDER = (OLD, *STEPS.values())


def parse(raw: Iterable[int | float | str]) -> tuple[int, ...]:
    """A site's labels as they were written. Raises ValueError for those of a newer version."""
    found = tuple(int(label) for label in raw)
    if found not in ORDER:
        raise ValueError(f"pre-shared keys of labels {list(found)} are none that this version knows; use a later one")
    return found


def at(labels: tuple[int, ...], wanted: Step | None) -> tuple[int, ...]:
    """A site's labels at a step; without one it stays where it is, accepting both at least. What is dropped is gone."""
    if labels == NEW:
        return NEW
    return STEPS[wanted] if wanted else max(labels, STEPS["accept"], key=ORDER.index)


def skipped(labels: tuple[int, ...], wanted: Step | None) -> str | None:
    """The step that must come first, if `wanted` is more than one away."""
    if labels == NEW or not wanted:
        return None
    here, there = ORDER.index(labels), ORDER.index(STEPS[wanted])
    return get_args(Step)[here] if there > here + 1 else None


def of_pair(here: tuple[int, ...], there: tuple[int, ...]) -> tuple[int, ...]:
    """What a site uses with another, in its own order."""
    return tuple(label for label in here if label in there)
