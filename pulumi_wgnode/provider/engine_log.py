"""Where `log` goes in the provider's server: to the engine, as a line beside the resource that is being worked on."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import grpc
from pulumi.runtime.proto import engine_pb2, engine_pb2_grpc

from pulumi_wgnode.call.log import Severity, send_to

_SEVERITIES = {
    Severity.STATUS: engine_pb2.INFO,
    Severity.INFO: engine_pb2.INFO,
    Severity.DOUBT: engine_pb2.WARNING,
    Severity.WARNING: engine_pb2.WARNING,
}
_lock = threading.Lock()
_engine: engine_pb2_grpc.EngineStub | None = None
_address = ""


def connect(address: str) -> None:
    """Log to the engine at "127.0.0.1:port" from now on; an empty address changes nothing."""
    global _address, _engine
    if address:
        with _lock:
            _address, _engine = address, engine_pb2_grpc.EngineStub(grpc.insecure_channel(address))


def address() -> str:
    """The engine's; empty before it is known."""
    return _address


@contextmanager
def for_resource(urn: str) -> Iterator[None]:
    """Inside, `log` writes to the line of the resource with this URN."""

    send_to(partial(_tell, urn), partial(_tell, ""), urn.rpartition("::")[2])
    try:
        yield
    finally:
        send_to(None)


def _tell(urn: str, text: str, severity: Severity) -> None:
    """On the line of that resource, or the stack's for no URN."""
    if _engine is None:
        return
    request = engine_pb2.LogRequest(
        severity=_SEVERITIES[severity], message=text, urn=urn, ephemeral=severity is Severity.STATUS
    )
    try:
        _engine.Log(request, timeout=2)
    except grpc.RpcError:
        return  # an engine that has gone away reads no progress
