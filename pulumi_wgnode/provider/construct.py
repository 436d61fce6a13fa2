"""Components made for programs of any language (Construct): each in a runtime of its own.

What Pulumi's Python runtime knows of a run (its monitor, its configuration, what is outstanding) are context variables,
and what it waits for belongs to an event loop. So each call has a context and a loop of its own, in its own thread:
many at once don't see each other, and none holds up another, nor the calls by which the engine makes their resources in
this same process (docs/decisions/remote-components.md).
"""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NoReturn

from pulumi import ResourceOptions, RunError
from pulumi.provider import ConstructResult, Provider
from pulumi.provider.server import ProviderServicer
from pulumi.runtime.proto import provider_pb2
from pulumi.runtime.stack import wait_for_rpcs

from pulumi_wgnode.call.kind import Properties
from pulumi_wgnode.components import Mesh, Site, component
from pulumi_wgnode.components.given import problems, site_problems

AT_ONCE = 128
"""More wait: each that runs takes a few threads."""
_free = threading.BoundedSemaphore(AT_ONCE)


class ConstructError(Exception):
    """As the program is to see it, without a traceback."""


class Components(Provider):
    """Makes them by their tokens, of arguments by their names on the wire."""

    def construct(
        self,
        name: str,
        resource_type: str,
        inputs: Mapping[str, Any],
        options: ResourceOptions | None = None,
    ) -> ConstructResult:
        made = _MAKERS[resource_type](name, dict(inputs), options)
        return ConstructResult(made.urn, made.outputs())


def failures(token: str, inputs: Properties) -> list[tuple[str, str]]:
    """By path, what is wrong with the arguments; what is UNKNOWN is not judged. Raises KeyError for another token."""
    found = problems(component.ALL[token].inputs, inputs)
    return [*found, *site_problems(inputs)] if token == component.SITE.token else found


def construct(request: provider_pb2.ConstructRequest, engine: str) -> provider_pb2.ConstructResponse:
    """Ends when all of the component's resources are registered. `engine` is its address. Raises ConstructError."""
    with _free:
        return contextvars.Context().run(asyncio.run, _construct(request, engine))


async def _construct(request: provider_pb2.ConstructRequest, engine: str) -> provider_pb2.ConstructResponse:
    try:
        made = await ProviderServicer(Components(None), [], engine).Construct(request, _Context())
        await wait_for_rpcs()  # also what is only said, such as a warning
        return made
    except RunError as error:
        raise ConstructError(str(error)) from None


class _Context:
    """What of a call's context the runtime uses."""

    async def abort_with_status(self, status: Any) -> NoReturn:
        raise ConstructError(str(status.details))


def _mesh(name: str, inputs: dict[str, Any], options: ResourceOptions | None) -> Mesh:
    return Mesh(name, inputs, options)


def _site(name: str, inputs: dict[str, Any], options: ResourceOptions | None) -> Site:
    topology, bundle = inputs.pop("topology"), inputs.pop("bundle", None)
    return Site(name, inputs, topology=topology, bundle=bundle, root=Path.cwd(), opts=options)


_MAKERS: dict[str, Callable[[str, dict[str, Any], ResourceOptions | None], Any]] = {
    component.MESH.token: _mesh,
    component.SITE.token: _site,
}
