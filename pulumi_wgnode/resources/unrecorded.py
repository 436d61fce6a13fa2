"""Inputs that say only where this runner finds something: a resource gets them, the engine's state never does.

What `check` gives back is what the engine records, so they are taken out there and put back before the resource is made
or changed. Both happen in one process: the engine checks a program's inputs with the provider that it then asks to
act on them. So no state holds a path of somebody's clone or a URL with a password in it, and another runner's place of
the same thing is no difference.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from pulumi_wgnode.call.kind import Diff, Imported, Kind, Partial, Properties


class Unrecorded:
    """A kind without its inputs `names` in anything that is recorded; `key` names the input that says what is there."""

    def __init__(self, kind: Kind, key: str, names: tuple[str, ...]) -> None:
        self._kind, self._key, self._names = kind, key, names
        self._told: dict[str, Properties] = {}

    def check(self, news: Properties, olds: Properties) -> Properties:
        checked = self._kind.check(news, olds)
        told = {name: checked[name] for name in self._names if name in checked}
        if told and isinstance(key := checked.get(self._key), str):
            self._told[key] = told
        return self._without(checked)

    def diff(self, state: Properties, old_inputs: Properties, news: Properties) -> Diff:
        return self._kind.diff(self._without(state), self._without(old_inputs), self._with(news))

    def create(self, name: str, inputs: Properties, preview: bool) -> tuple[str, Properties]:
        with self._partial():
            id, state = self._kind.create(name, self._with(inputs), preview)
        return id, self._without(state)

    def read(self, id: str, state: Properties, inputs: Properties) -> tuple[Properties, Properties] | Imported | None:
        found = self._kind.read(id, state, inputs)
        if found is None or isinstance(found, Imported):
            return found
        return self._without(found[0]), self._without(found[1])

    def update(self, id: str, state: Properties, inputs: Properties, preview: bool) -> Properties:
        with self._partial():
            return self._without(self._kind.update(id, state, self._with(inputs), preview))

    def delete(self, id: str, state: Properties) -> None:
        self._kind.delete(id, state)

    @contextmanager
    def _partial(self) -> Iterator[None]:
        """The engine records what was half made too."""
        try:
            yield
        except Partial as error:
            error.state, error.inputs = self._without(error.state), self._without(error.inputs)
            raise

    def _with(self, inputs: Properties) -> Properties:
        key = inputs.get(self._key)
        return {**(self._told.get(key, {}) if isinstance(key, str) else {}), **inputs}

    def _without(self, properties: Properties) -> Properties:
        return {name: value for name, value in properties.items() if name not in self._names}
