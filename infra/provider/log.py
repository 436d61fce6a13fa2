"""Progress of long work, shown by the engine beside the resource it belongs to."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextvars import ContextVar
from enum import Enum


class Severity(Enum):
    STATUS = "status"  # replaces the line before it
    INFO = "info"  # stays
    WARNING = "warning"  # stays, and is shown again at the end


Sink = Callable[[str, Severity], None]
_sink: ContextVar[Sink | None] = ContextVar("wgnode_log", default=None)
_cancelled = threading.Event()


def log(text: str, severity: Severity = Severity.STATUS) -> None:
    """Tell the person at the terminal what the current resource is doing; silent outside the provider's server."""
    sink = _sink.get()
    if sink is not None:
        sink(text, severity)


def send_to(sink: Sink | None) -> None:
    """Where `log` goes for the rest of this call (each gRPC call sets its own)."""
    _sink.set(sink)


def cancel() -> None:
    """Ctrl-C was pressed: what only waits for something should stop waiting."""
    _cancelled.set()


def cancelled() -> bool:
    """Whether to stop waiting. A change that has begun is still brought to its end."""
    return _cancelled.is_set()
