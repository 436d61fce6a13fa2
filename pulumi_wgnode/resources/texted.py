"""A kind whose long parts may be texts (contracts/texts.py): within, they are structures."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from pulumi_wgnode.call.kind import Diff, Imported, Partial, Properties
from pulumi_wgnode.call.log import Severity, log
from pulumi_wgnode.contracts import texts
from pulumi_wgnode.hosts.host import Host

SHOWN = 20
"""Changes within texts that are told by path."""
_SIGNS = {"ADD": "+", "DELETE": "-", "UPDATE": "~"}


class Texted:
    """What comes out has the form of the inputs that went in; what else the kind has (`require_replaceable`) is its
    own. `name` is the kind's."""

    def __init__(self, kind: Any, name: str) -> None:
        self._kind, self._name = kind, name

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self._kind, name)

    def check(self, news: Properties, olds: Properties) -> Properties:
        return self._as(news, self._kind.check(self._read(news), self._read(olds)))

    def diff(self, state: Properties, old_inputs: Properties, news: Properties) -> Diff:
        """By the paths of the structures. The engine's display can't follow them into a text, so they are told as well;
        of a whole text it would show every peer that there is."""
        found: Diff = self._kind.diff(self._read(state), self._read(old_inputs), self._read(news))
        if told := [
            f"{_SIGNS[one.kind]} {one.path}" for one in found.changes if texts.within(self._name, one.path, news)
        ]:
            more = f" and {len(told) - SHOWN} more" if len(told) > SHOWN else ""
            log(f"within its texts: {', '.join(told[:SHOWN])}{more}", Severity.INFO)
        return found

    def create(self, name: str, inputs: Properties, preview: bool) -> tuple[str, Properties]:
        with self._partial(inputs):
            id, state = self._kind.create(name, self._read(inputs), preview)
        return id, self._as(inputs, state)

    def read(self, id: str, state: Properties, inputs: Properties) -> tuple[Properties, Properties] | Imported | None:
        found: tuple[Properties, Properties] | Imported | None = self._kind.read(
            id, self._read(state), self._read(inputs)
        )
        if found is None or isinstance(found, Imported):
            return found
        return self._as(inputs, found[0]), self._as(inputs, found[1])

    def update(self, id: str, state: Properties, inputs: Properties, preview: bool) -> Properties:
        with self._partial(inputs):
            return self._as(inputs, self._kind.update(id, self._read(state), self._read(inputs), preview))

    def delete(self, id: str, state: Properties) -> None:
        self._kind.delete(id, self._read(state))

    def foresee(self, host: Host, inputs: Properties, state: Properties | None) -> Any:
        return self._kind.foresee(host, self._read(inputs), state if state is None else self._read(state))

    def _read(self, properties: Properties) -> Properties:
        return texts.read(self._name, properties)

    def _as(self, inputs: Properties, properties: Properties) -> Properties:
        return texts.written(self._name, properties, inputs) if texts.stay(self._name, inputs) else properties

    @contextmanager
    def _partial(self, inputs: Properties) -> Iterator[None]:
        """What was half made has the same form."""
        try:
            yield
        except Partial as error:
            error.state, error.inputs = self._as(inputs, error.state), self._as(inputs, error.inputs)
            raise
