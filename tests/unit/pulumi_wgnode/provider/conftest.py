from __future__ import annotations

from collections.abc import Iterator

import grpc
import pytest
from pulumi.runtime.proto import provider_pb2_grpc

from pulumi_wgnode.call import deadline, told
from pulumi_wgnode.call.kind import UNKNOWN, CheckError, Diff, Imported, Partial, PropertyChange, Secret
from pulumi_wgnode.call.log import Severity, log, warn
from pulumi_wgnode.errors import ExplainedError
from pulumi_wgnode.hosts.host import HostUnreachable
from pulumi_wgnode.provider.serve import start
from pulumi_wgnode.provider.servicer import Servicer


class Toy:
    """A kind over a dictionary; `behave` in the inputs says how a change ends."""

    def __init__(self) -> None:
        self.things: dict[str, dict] = {}
        self.seen: list[tuple] = []

    def check(self, news, olds):
        if not isinstance(news.get("size", 1), int) and news["size"] is not UNKNOWN:
            raise CheckError([("size", "must be a number"), ("parts[0].name", "is taken")])
        return {"size": 1, **news}

    def diff(self, state, old_inputs, news):
        self.seen.append(("diff", state, old_inputs, news))
        changed = [name for name in news if news[name] != state.get(name)]
        return Diff(tuple(PropertyChange(name, replace=name == "place") for name in changed))

    def create(self, name, inputs, preview):
        self.seen.append(("create", name, inputs, preview))
        self.remaining = deadline.remaining()
        if preview:
            return "", {**inputs, "token": Secret(UNKNOWN)}
        if inputs.get("behave") == "raise":
            raise RuntimeError("a bug")
        log("making it")
        log("look out", Severity.WARNING)
        if inputs.get("behave") == "away":
            raise HostUnreachable(f"host root@{inputs['place']}: cannot connect (attempt {len(self.seen)})")
        if inputs.get("behave") == "refuse":
            raise ExplainedError(f"host root@{inputs['place']}: {'a long story ' * 20}", then="; and the way out")
        self.things[name] = inputs
        state = {**inputs, "token": Secret("hunter2"), "none": None, "list": (1, 2.5, True)}
        if inputs.get("behave") == "half":
            raise Partial(name, state, inputs, "half done")
        return name, state

    def read(self, id, state, inputs):
        if inputs.get("behave") == "away":
            warn(HostUnreachable(f"host root@{inputs['place']}: cannot connect"), "; skipped")
        if id.startswith("elsewhere:"):
            return Imported("own", {"token": Secret("hunter2")}, {"size": 3})
        return ({**self.things[id], "found": True}, self.things[id]) if id in self.things else None

    def update(self, id, state, inputs, preview):
        self.remaining = deadline.remaining()
        self.things[id] = inputs
        return inputs

    def delete(self, id, state):
        self.remaining = deadline.remaining()
        self.things.pop(id, None)


@pytest.fixture(autouse=True)
def new_run() -> None:
    """The memory of what was told is the process's."""
    told.forget()


@pytest.fixture
def toy() -> Toy:
    return Toy()


@pytest.fixture
def servicer(toy) -> Servicer:
    return Servicer("toy", "1.2.3", {"toy:index:Toy": toy}.__getitem__, lambda: '{"name": "toy"}')


@pytest.fixture
def engine(servicer) -> Iterator[provider_pb2_grpc.ResourceProviderStub]:
    """The engine's end of a real gRPC connection to the server."""
    server, port = start(servicer)
    options = [("grpc.max_metadata_size", 16 << 20), ("grpc.max_receive_message_length", 400 << 20)]
    with grpc.insecure_channel(f"127.0.0.1:{port}", options=options) as channel:
        yield provider_pb2_grpc.ResourceProviderStub(channel)
    server.stop(None)
