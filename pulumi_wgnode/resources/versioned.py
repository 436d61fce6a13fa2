"""A mark in every resource's state of the format that it is written in, so that an older version does not guess at it.

A state without the mark is of format 1, which versions before the mark wrote. FORMAT grows when what a resource keeps,
or what it makes of a host, would be misread by the version before; that version then refuses the state by name, and so
does it refuse to read, change or delete the resource.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import version
from typing import Any

from pulumi_wgnode.call.kind import Diff, Imported, Kind, Partial, Properties
from pulumi_wgnode.errors import ExplainedError
from wgnode import formats

FORMAT = 1
MARK = "written"


class Versioned:
    """Any kind, with that; what else it has (`foresee`, `require_replaceable`) is its own."""

    def __init__(self, kind: Kind, known: int = FORMAT) -> None:
        self._kind, self._known = kind, known

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
        """What comes back is in our format; a state without a mark stays so, as nothing of it was written anew."""
        found = self._kind.read(id, self._understood(state), inputs)
        if isinstance(found, Imported):
            return Imported(found.id, self._marked(found.state), found.inputs)
        if found is None or MARK not in state:
            return found
        same = state[MARK]["format"] == self._known
        return ({**found[0], MARK: state[MARK]} if same else self._marked(found[0])), found[1]

    def update(self, id: str, state: Properties, inputs: Properties, preview: bool) -> Properties:
        with self._partial():
            return self._marked(self._kind.update(id, self._understood(state), inputs, preview))

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

    def _marked(self, state: Properties) -> Properties:
        return {**state, MARK: {"format": self._known, "by": version("wgnode")}}

    @contextmanager
    def _partial(self) -> Iterator[None]:
        """What was half made is in our format too."""
        try:
            yield
        except Partial as error:
            error.state = self._marked(error.state)
            raise
