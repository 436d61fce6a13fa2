"""The way in that is configured now, where the one of the last `pulumi up` fails.

The engine reads a resource over the connection in its state, before it compares it with what the program says. What the
program says of one resource is checked in the same process, though, and then known for all others on its host. It is
used only where it leads to the machine that the resource is on: a wrong address must not make it look gone.
"""

from __future__ import annotations

from collections.abc import Callable

from pulumi_wgnode.call.kind import Imported, Kind, Properties, has_unknown
from pulumi_wgnode.hosts import owners
from pulumi_wgnode.hosts.host import Connection, Host
from pulumi_wgnode.hosts.query import answer
from pulumi_wgnode.resources.inputs import connection

Found = tuple[Properties, Properties] | Imported | None
_now: dict[Connection, Properties] = {}


def learn(news: Properties, olds: Properties) -> None:
    """From the inputs of a resource that the program changes: its connection of now."""
    to = news.get("connection")
    if to and "connection" in olds and not has_unknown(to) and to != olds["connection"]:
        _now[connection(olds)] = to


def of(inputs: Properties) -> Properties | None:
    return _now.get(connection(inputs))


def read(
    kind: Kind, connect: Callable[[Connection], Host], to: Properties, id: str, state: Properties, inputs: Properties
) -> Found:
    """As `kind.read`, over `to`; what comes back has the former connection, so that the new one is a difference.

    Raises HostError; LookupError where it leads to another machine, or nobody can tell.
    """
    host = connect(connection({"connection": to}))
    if not _is_machine_of(host, state):
        raise LookupError(f"host {host.name} is another machine")
    found = kind.read(id, {**state, "connection": to}, {**inputs, "connection": to})
    former = {"connection": inputs["connection"]}
    if isinstance(found, Imported):
        return Imported(found.id, {**found.state, **former}, {**found.inputs, **former})
    return found and ({**found[0], **former}, {**found[1], **former})


def _is_machine_of(host: Host, state: Properties) -> bool:
    """An image's state does not tell the machine, but for whom it is there."""
    seen = answer(host, owners.QUERY)
    if "neededBy" in state:
        return seen.of(state["neededBy"]["id"]) is not None
    return bool(seen.machine) and seen.machine == state.get("machineId")
