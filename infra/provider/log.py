"""Progress of long work, shown by the engine beside the resource it belongs to."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar

_sink: ContextVar[Callable[[str], None] | None] = ContextVar("wgnode_log", default=None)


def log(text: str) -> None:
    """Tell the person at the terminal what the current resource is doing; silent outside the provider's server."""
    sink = _sink.get()
    if sink is not None:
        sink(text)


def send_to(sink: Callable[[str], None] | None) -> None:
    """Where `log` goes for the rest of this call (each gRPC call sets its own)."""
    _sink.set(sink)
