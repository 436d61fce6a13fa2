"""Imports of a machine that boots, without what they do for developers: a third less time (docs/performance.md).

Dataclasses write source for each class and compile it: that was done when the image was built. They import `inspect`,
with Python's parser and more, to look at annotations, and to write a text where a class has none.
"""

from __future__ import annotations

import importlib
import marshal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import CodeType, ModuleType
from typing import Any

FILE = f"{__file__.rpartition('/')[0]}/made.bin"
"""Source to code, marshalled by the interpreter that reads it (wgnode/image/guest_python.py)."""


@contextmanager
def at_hand(file: str = FILE) -> Iterator[None]:
    """Source for which there is no code, or no file at all, is compiled as ever."""
    made, stand_in = _read(file), Inspect("inspect")

    def run(source: str, *namespaces: dict[str, Any]) -> None:
        exec(made.get(source, source), *namespaces)  # noqa: S102  # as dataclasses do

    sys.modules.setdefault("inspect", stand_in)
    dataclasses = vars(importlib.import_module("dataclasses"))
    dataclasses["exec"] = run  # a module's own name goes before the builtin's
    try:
        yield
    finally:
        del dataclasses["exec"]
        if sys.modules["inspect"] is stand_in:  # the next who wants it gets the real one
            del sys.modules["inspect"]


class Inspect(ModuleType):
    """What dataclasses need of it; for all else, the real one."""

    @staticmethod
    def get_annotations(of: type) -> dict[str, Any]:
        return dict(of.__dict__.get("__annotations__", {}))  # noqa: RUF063  # this stands in for it

    @staticmethod
    def signature(_: type) -> str:
        """Of a class without a text: it gets its name as one."""
        return ""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        if sys.modules.get("inspect") is self:
            del sys.modules["inspect"]
        return getattr(importlib.import_module("inspect"), name)


def _read(file: str) -> dict[str, CodeType]:
    try:
        with open(file, "rb") as stream:
            return dict(marshal.load(stream))
    except FileNotFoundError:
        return {}
