"""Numbers of formats: what a newer version wrote is refused by name, and never guessed at. Pure, standard library only.

Every reader of a number of its own asks here before it says that something is damaged.
"""

from __future__ import annotations

import re

WAY_OUT = "docs/how-to/older-version.md"
_VERSION = re.compile(r"[0-9A-Za-z][0-9A-Za-z.+!-]{0,39}")


def newer(what: str, found: object, known: int, by: object = None) -> str | None:
    """What is to be said of a number that this version does not know yet; None for any other.

    `by` is the version that wrote it, if that is told.
    """
    if isinstance(found, bool) or not isinstance(found, int | float) or not found > known:
        return None
    writer = f"wgnode {by}" if isinstance(by, str) and _VERSION.fullmatch(by) else "a newer version of wgnode"
    return (
        f"{what} has format {found:g}, of {writer}; this version reads up to {known}, and changed nothing. Go on with"
        f" that version or a later one; how to go back to an older one: {WAY_OUT}"
    )
