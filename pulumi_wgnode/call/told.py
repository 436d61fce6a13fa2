"""What this run has told already: one cause, such as a host that is away, meets every resource on it, in refresh, diff
and update. The engine runs one provider process a run, so its memory is enough."""

from __future__ import annotations

import threading

from pulumi_wgnode.errors import ExplainedError

_by: dict[str, str] = {}
_lock = threading.Lock()


def by(cause: str, resource: str) -> str | None:
    """Who told it before; None for the first time, which is `resource`'s from then on."""
    with _lock:
        before = _by.get(cause)
        _by.setdefault(cause, resource)
    return before


def forget() -> None:
    """A new run."""
    with _lock:
        _by.clear()


def text_of(error: ExplainedError, resource: str) -> str:
    """The error as `resource` is to tell it: in full, if nobody has."""
    if by(error.cause, resource) is None or error.short == error.args[0]:
        return str(error)
    return f"{error.short}, as told in full above{error.then}"
