"""The engine's own commands that change a stack: one at a time each, announced before it begins, waiting for locks.

Before a stack is changed, a line of what is going to happen to it is kept with the stack itself, as a tag, with the
number of the very process that will do it. So whoever comes after a run that was killed knows its work, and its lock.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path

from pulumi_wgnode.operations import stacks
from pulumi_wgnode.operations.rolling import process
from pulumi_wgnode.operations.rolling.tags import Tags
from pulumi_wgnode.operations.stacks import StackError
from wgnode.rollout.facts import Told
from wgnode.rollout.history import History
from wgnode.rollout.locks import Lock, is_locked, locks, own_and_dead, told

PATIENCE = 600.0
"""Seconds that a stack which somebody else has locked is waited for."""
AGAIN = 5.0
"""Seconds between two attempts at it."""
LONGEST = 3600.0
"""Seconds for one `up`: a host may install packages, and a guest boot under emulation."""
_WAIT = 'read -r _ && exec "$@"'
"""A shell that becomes the engine, under the number that was announced, once it is told to."""
FOLLOWS = ("expected resource operations for", "update failed")
"""How the engine's errors begin that it has because of another: of a plan whose later steps were not reached, say."""
SHOWN = 600
"""Characters of one: a guest's console may stand in it."""
_COLLECTED = re.compile(r"\d+ errors? occurred:")
Say = Callable[[str], object]


class Locked(StackError):
    """Somebody else has had the stack for as long as we wait."""


@dataclass
class Engine:
    """`folder` is the project as it is applied. `patience` is in seconds."""

    folder: Path
    tags: Tags
    say: Say = lambda line: None
    patience: float = PATIENCE

    def up(self, stack: str, line: Told, plan: Path | None = None) -> None:
        """Raises StackError with what the engine said."""
        more = ["--plan", str(plan)] if plan else []
        self.change(stack, line, ["up", "--yes", "--skip-preview", "--suppress-outputs", *more])

    def destroy(self, stack: str, line: Told) -> None:
        """Raises StackError."""
        self.change(stack, line, ["destroy", "--yes", "--skip-preview", "--suppress-outputs"])

    def change(self, stack: str, line: Told, arguments: Sequence[str]) -> None:
        """Raises StackError; Locked where somebody else has the stack for longer than `patience`."""
        deadline, shown = time.monotonic() + self.patience, ""
        former = self.tags.read(stack)
        while True:
            code, said = self._once(stack, former, line, arguments)
            if code == 0:
                return
            if not is_locked(said):
                raise StackError(f"stack {stack!r}: {_reason(said)}")
            found = locks(said)
            if self._release(stack, former, found):
                continue
            if time.monotonic() >= deadline:
                raise Locked(
                    f"stack {stack!r} is locked by {told(found)}, for longer than the {self.patience:.0f} s that it is"
                    " waited for; see whether that still runs (`pulumi cancel` ends it, and is yours to decide)"
                )
            if shown != (shown := told(found)):
                self.say(f"{stack}: waits, locked by {shown}")
            time.sleep(min(AGAIN, max(0.0, deadline - time.monotonic())))

    def _once(self, stack: str, former: History, line: Told, arguments: Sequence[str]) -> tuple[int, str]:
        """(exit code, all that was said)."""
        argv = ["pulumi", *arguments, "--stack", stack, "--non-interactive", "--cwd", str(self.folder)]
        if shutil.which("pulumi") is None:
            raise StackError("no `pulumi` on PATH; `. tools/activate` in the project's clone puts it there")
        with subprocess.Popen(
            ["/bin/sh", "-c", _WAIT, "sh", *argv],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        ) as running:
            try:
                self.tags.write(stack, former.told(line, process.here(running.pid)))
                said, _ = running.communicate("go\n", LONGEST)
            except subprocess.TimeoutExpired:
                running.terminate()
                said = running.communicate()[0] + f"\nerror: it did not end within {LONGEST:.0f} s"
            except BaseException:
                running.kill()
                raise
        return running.returncode, said

    def _release(self, stack: str, former: History, found: Sequence[Lock]) -> bool:
        """Whether the lock was a dead run's of ours, and is gone now."""
        if not own_and_dead(found, former.by, process.here(), process.host(), process.started):
            return False
        self.say(f"{stack}: releases the lock of a rollout's own run that is dead: {told(found)}")
        stacks.pulumi(["cancel", "--yes", "--stack", stack], self.folder, f"stack {stack!r}")
        return True


def _reason(said: str) -> str:
    """The engine's own errors, without the rest of what it shows, and without those that only follow from another."""
    lines = [line.strip() for line in said.splitlines()]
    found = [_error(lines, at) for at, line in enumerate(lines) if line.startswith("error: ")]
    causes = [one for one in found if one and not one.startswith(FOLLOWS)] or [one for one in found if one]
    return " | ".join(dict.fromkeys(causes)) or " ".join(lines[-3:]) or "it failed without a word"


def _error(lines: Sequence[str], at: int) -> str:
    """What a provider said stands in the lines below, up to an empty one."""
    first = lines[at].removeprefix("error: ")
    if not _COLLECTED.fullmatch(first):
        return first
    whole = " ".join(line.removeprefix("* ") for line in takewhile(bool, lines[at + 1 :]))
    return whole if len(whole) <= SHOWN else f"{whole[:SHOWN]} …"
