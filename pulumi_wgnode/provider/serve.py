"""The plugin's process: a gRPC server on a port that it prints, gone as soon as the engine is done with it."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import grpc
from pulumi.runtime.proto import provider_pb2_grpc

from pulumi_wgnode.provider import engine_log
from pulumi_wgnode.provider.servicer import Servicer

MESSAGE_LIMIT = 400 << 20  # bytes; the engine's own
WORKERS = 1 << 14
"""More than there can be calls at once, and each is only started when it is needed: most wait for SSH, and one that
makes a component waits for other calls to this same process, so there must always be another."""
DRAIN = 60.0  # seconds that a change which has begun gets to end, if the engine does not kill us before
_OPTIONS = [
    ("grpc.max_receive_message_length", MESSAGE_LIMIT),
    ("grpc.max_send_message_length", MESSAGE_LIMIT),
]


def start(servicer: Servicer, address: str = "127.0.0.1:0") -> tuple[grpc.Server, int]:
    """A running server and its port."""
    server = grpc.server(ThreadPoolExecutor(WORKERS), options=_OPTIONS)
    provider_pb2_grpc.add_ResourceProviderServicer_to_server(servicer, server)
    port = server.add_insecure_port(address)
    server.start()
    return server, port


def serve(servicer: Servicer, wanted: Callable[[], bool]) -> None:
    """Serve until the engine sends SIGINT or we are not `wanted` any more. Never returns.

    The plugin has its own process group, so Ctrl-C does not reach it: the engine calls Cancel, and at the end of
    every command sends SIGINT and waits 5 seconds. So we leave at once, by os._exit, because joining idle worker
    threads would cost every command those 5 seconds; but a change to a host that has begun is brought to its end.
    """
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    if len(sys.argv) > 1:
        engine_log.connect(sys.argv[1])
    _, port = start(servicer)
    print(port, flush=True)
    while not stop.wait(2) and wanted():
        pass
    servicer.drain(DRAIN)
    sys.stderr.flush()
    os._exit(0)
