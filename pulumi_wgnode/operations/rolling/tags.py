"""What rollouts keep with stacks themselves, by the engine's tags: any machine that has the backend reads it."""

from __future__ import annotations

import json
import threading
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

from pulumi_wgnode.operations.stacks import pulumi
from wgnode.rollout.history import History

HISTORY = "wgnode:rollout"
CLAIM = "wgnode:rollout-run"


@dataclass
class Tags:
    """The engine writes all tags of a stack anew for each that is set, so those of one stack are set one by one."""

    folder: Path
    _histories: dict[str, History] = field(default_factory=dict)
    _writing: defaultdict[str, threading.Lock] = field(default_factory=lambda: defaultdict(threading.Lock))

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
        try:
            said = json.loads(self._tag(stack, "ls", "--json"))
        except ValueError:
            return {}
        return {str(name): str(value) for name, value in said.items()} if isinstance(said, dict) else {}

    def set(self, stack: str, name: str, value: str) -> None:
        """Raises StackError."""
        with self._writing[stack]:
            self._tag(stack, "set", name, value)

    def remove(self, stack: str, name: str) -> None:
        """Raises StackError."""
        with self._writing[stack]:
            self._tag(stack, "rm", name)

    def _tag(self, stack: str, *arguments: str) -> str:
        return pulumi(["stack", "tag", *arguments, "--stack", stack], self.folder, f"stack {stack!r}")
