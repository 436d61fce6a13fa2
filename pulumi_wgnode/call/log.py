"""Progress of long work, shown by the engine beside the resource it belongs to."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass
from enum import Enum

from pulumi_wgnode.call import told
from pulumi_wgnode.errors import ExplainedError


class Severity(Enum):
    STATUS = "status"  # replaces the line before it
    INFO = "info"  # stays
    DOUBT = "doubt"  # as WARNING, of what may as well be in order
    WARNING = "warning"  # stays, and is shown again at the end


Sink = Callable[[str, Severity], None]
_cancelled = threading.Event()


@dataclass(frozen=True)
class Line:
    """Where a call's words go: the resource's own line, and the stack's for what is no single resource's matter.

    `resource` is its name; without one (outside the provider's server) nothing counts as told before.
    """

    sink: Sink
    stack: Sink
    resource: str = ""


_line: ContextVar[Line | None] = ContextVar("wgnode_log", default=None)


def log(text: str, severity: Severity = Severity.STATUS) -> None:
    """Tell the person at the terminal what the current resource is doing; silent outside the provider's server.

    A warning that this run has given already is not given again.
    """
    line = _line.get()
    if line is None:
        return
    if severity in (Severity.DOUBT, Severity.WARNING) and line.resource and told.by(text, line.resource) is not None:
        return
    line.sink(text, severity)


def warn(error: ExplainedError, then: str = "", severity: Severity = Severity.INFO) -> None:
    """Of what meets every resource alike: in full once, on the stack's line; here in short, with what follows from it
    here, at that severity."""
    line = _line.get()
    if line is None:
        return
    if not line.resource or told.by(error.cause, line.resource) is None:
        line.stack(str(error), Severity.WARNING)
    line.sink(f"{error.short}{then}", severity)


def send_to(sink: Sink | None, stack: Sink | None = None, resource: str = "") -> None:
    """Where `log` goes for the rest of this call (each gRPC call sets its own)."""
    _line.set(None if sink is None else Line(sink, stack or sink, resource))


def cancel() -> None:
    """Ctrl-C was pressed: what only waits for something should stop waiting."""
    _cancelled.set()


def cancelled() -> bool:
    """Whether to stop waiting. A change that has begun is still brought to its end."""
    return _cancelled.is_set()
