"""A mark in every resource's state of the format that it is written in, so that an older version does not guess at it.

A state without the mark is of format 1, which versions before the mark wrote. A kind's format grows when what it keeps,
or what it makes of a host, would be misread by the version before; that version then refuses the state by name, and so
does it refuse to read, change or delete the resource. A state has the smallest format that has all that is in it, so
that a fleet whose sites use nothing new goes back and forth. The preview says where a format will grow.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import version
from typing import Any

from pulumi_wgnode.call.kind import Diff, Imported, Kind, Partial, Properties
from pulumi_wgnode.call.log import Severity, log
from pulumi_wgnode.contracts import texts
from pulumi_wgnode.errors import ExplainedError
from wgnode import formats

FORMAT = 1
MARK = "written"
Needed = Callable[[Properties], int]
"""The smallest format of a kind that has all of a state."""
_FIRST_CONNECTION = {"address", "port", "user", "hostKeys", "privateKey", "agent"}


def of_connection(state: Properties) -> int:
    """2 where a host is reached in a way that versions before knew nothing of: they would call it in another."""
    way = state.get("connection")
    said = {name for name, value in way.items() if value} if isinstance(way, Mapping) else set()
    return 2 if said - _FIRST_CONNECTION else FORMAT


def of_gateway(state: Properties) -> int:
    """1 had `config` and `secrets` as JSON in text. With devices of users it is 3: versions before could not judge the
    node by a configuration that has them, and their `up` would take them away. With an access policy it is 4: devices
    would reach all there. So it is of another backend than a microvm: versions before would start a virtual machine in
    its place."""
    if (state.get("machine") or {}).get("backend"):
        return 4
    config = texts.read("Gateway", {"config": state.get("config")})["config"]
    if not isinstance(config, Mapping):
        return 2
    return 4 if config.get("policy") else 3 if config.get("devices") else 2


def of_firewall(state: Properties) -> int:
    """3 where devices leave by it, which versions before would end."""
    return 3 if state.get("egress") else of_connection(state)


def of_host(state: Properties) -> int:
    """3 where routes are text (contracts/texts.py), which versions before can't read; 4 where the gateway is no
    microvm, whose links versions before would make otherwise; 5 where devices leave by it, which they would end."""
    if isinstance(networks := state.get("networks"), Mapping) and networks.get("egress"):
        return 5
    if state.get("backend"):
        return 4
    return 3 if isinstance(networks, Mapping) and isinstance(networks.get("routes"), str) else of_connection(state)


class Versioned:
    """Any kind, with that; what else it has (`foresee`, `require_replaceable`) is its own.

    `known` is the greatest format that this version reads; without `needed` all that it writes is of that.
    """

    def __init__(self, kind: Kind, known: int = FORMAT, needed: Needed | None = None) -> None:
        self._kind, self._known, self._needed = kind, known, needed or (lambda _: known)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self._kind, name)

    def check(self, news: Properties, olds: Properties) -> Properties:
        return self._kind.check(news, olds)

    def diff(self, state: Properties, old_inputs: Properties, news: Properties) -> Diff:
        return self._kind.diff(self._understood(state), old_inputs, news)

    def create(self, name: str, inputs: Properties, preview: bool) -> tuple[str, Properties]:
        with self._partial():
            id, state = self._kind.create(name, inputs, preview)
        return id, self._marked(state)

    def read(self, id: str, state: Properties, inputs: Properties) -> tuple[Properties, Properties] | Imported | None:
        """What comes back is in our format; a state in which nothing is new keeps its mark, or stays without one."""
        found = self._kind.read(id, self._understood(state), inputs)
        if isinstance(found, Imported):
            return Imported(found.id, self._marked(found.state), found.inputs)
        if found is None:
            return None
        if self._grows(state, found[0]) or (MARK in state and _format(state) != self._needed(found[0])):
            return self._marked(found[0]), found[1]
        return ({**found[0], MARK: state[MARK]} if MARK in state else found[0]), found[1]

    def update(self, id: str, state: Properties, inputs: Properties, preview: bool) -> Properties:
        with self._partial():
            made = self._kind.update(id, self._understood(state), inputs, preview)
        self._grows(state, made)
        return self._marked(made)

    def delete(self, id: str, state: Properties) -> None:
        self._kind.delete(id, self._understood(state))

    def _understood(self, state: Properties) -> Properties:
        """Without the mark. Raises ExplainedError for one of a newer version."""
        mark = state.get(MARK)
        if isinstance(mark, Mapping) and (
            why := formats.newer("the state of this resource", mark.get("format"), self._known, mark.get("by"))
        ):
            raise ExplainedError(why)
        return {name: value for name, value in state.items() if name != MARK}

    def _grows(self, state: Properties, made: Properties) -> bool:
        """Whether it does, which is told."""
        was, is_now = _format(state), self._needed(made)
        if was < is_now:
            log(_GROWS.format(was=was, now=is_now, way_out=formats.WAY_OUT), Severity.INFO)
        return was < is_now

    def _marked(self, state: Properties) -> Properties:
        return {**state, MARK: {"format": self._needed(state), "by": version("wgnode")}}

    @contextmanager
    def _partial(self) -> Iterator[None]:
        """What was half made is in our format too."""
        try:
            yield
        except Partial as error:
            error.state = self._marked(error.state)
            raise


def _format(state: Properties) -> int:
    mark = state.get(MARK)
    found = mark.get("format") if isinstance(mark, Mapping) else FORMAT
    return int(found) if isinstance(found, int | float) else FORMAT


_GROWS = (
    "its state has format {was}; with the next `pulumi up` it has format {now}, which versions of wgnode that know only"
    " {was} refuse ({way_out})"
)
