"""What rollouts keep with stacks themselves, by the engine's tags: any machine that has the backend reads it."""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass, field
from pathlib import Path

from pulumi_wgnode.operations.stacks import StackError, pulumi
from wgnode.rollout.history import History

HISTORY = "wgnode:rollout"
CLAIM = "wgnode:rollout-run"
NONE = ("does not support stack tags", "stack tags are not supported", "tags not supported", "unknown command")
"""How the engine says that a backend keeps none."""


@dataclass
class Tags:
    """Where a backend keeps none, what was written is known to this run alone: `kept` is False then."""

    folder: Path
    kept: bool = True
    _own: dict[tuple[str, str], str] = field(default_factory=dict)
    _histories: dict[str, History] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def read(self, stack: str) -> History:
        """Asked for once: who has the claim is the only one that writes. Raises StackError."""
        if stack not in self._histories:
            self._histories[stack] = History.parse(self.all(stack).get(HISTORY, ""))
        return self._histories[stack]

    def write(self, stack: str, history: History) -> None:
        """Raises StackError."""
        self.set(stack, HISTORY, history.to_text())
        self._histories[stack] = history

    def all(self, stack: str) -> dict[str, str]:
        """Raises StackError."""
        if self.kept:
            try:
                said = json.loads(pulumi(["stack", "tag", "ls", "--json", "--stack", stack], self.folder, _of(stack)))
                return {str(name): str(value) for name, value in said.items()} if isinstance(said, dict) else {}
            except StackError as error:
                self._without(error)
            except ValueError:
                return {}
        return {name: value for (of, name), value in self._own.items() if of == stack}

    def set(self, stack: str, name: str, value: str) -> None:
        """Raises StackError."""
        with self._lock:
            self._own[stack, name] = value
        if self.kept:
            try:
                pulumi(["stack", "tag", "set", name, value, "--stack", stack], self.folder, _of(stack))
            except StackError as error:
                self._without(error)

    def remove(self, stack: str, name: str) -> None:
        """Raises StackError."""
        with self._lock:
            self._own.pop((stack, name), None)
        if self.kept:
            pulumi(["stack", "tag", "rm", name, "--stack", stack], self.folder, _of(stack))

    def _without(self, error: StackError) -> None:
        if not any(words in str(error) for words in NONE):
            raise error
        self.kept = False


def _of(stack: str) -> str:
    return f"stack {stack!r}"
