"""A deployed project for rollouts: real plans, a fake engine that changes states, hosts and gates that are faked.

The fake engine keeps states, tags and locks in files, as a backend does. What an `up` makes of a stack is what the
plan's own functions make of the commit in its folder, drawn beforehand.
"""

from __future__ import annotations

import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from click.testing import CliRunner
from click.testing import Result as Done

from pulumi_wgnode.hosts.host import Connection, HostUnreachable
from pulumi_wgnode.hosts.ssh import pool
from pulumi_wgnode.operations.gating import judging
from pulumi_wgnode.operations.gating.expected import Expected
from pulumi_wgnode.operations.gating.judging import Judged
from pulumi_wgnode.operations.rolling import claiming, running
from tests.unit.pulumi_wgnode.operations.test_rollout_plan import Deployed
from tools import ROOT
from wgnode.cli import main
from wgnode.rollout.facts import Verdict
from wgnode.rollout.policy import Limits
from wgnode.rollout.watch import Result

SITES = ("prod-site0", "prod-site1", "prod-site2", "prod-site3")
STACKS = ("prod-mesh", *SITES)
ENGINE = r"""#!/bin/sh
here="$(dirname "$0")"
verb="$1 $2"; name="$4"; value="$5"; [ "$1 $2" != "stack tag" ] || name="$4"
all="$*"; stack=; file=; cwd=.; json=
while [ $# -gt 0 ]; do
  case "$1" in --stack) stack="$2";; --save-plan) file="$2";; --cwd) cwd="$2";; --json) json=1;; esac; shift
done
case "$verb" in "up "*|destroy*|cancel*|preview*) echo "$verb $stack" >> "$here/calls";; esac
at() { cat "$cwd/stacks/commit"; }
case "$verb" in
  "stack export") echo "$stack" >> "$here/reads"; cat "$here/$stack.export";;
  config*) cat "$here/$stack.config";;
  "stack tag")
    mkdir -p "$here/$stack.tags"
    case "$all" in
      *"tag ls"*)
        echo '{"x": "x"'
        for file in "$here/$stack.tags"/*; do
          [ ! -f "$file" ] || printf ', "%s": "%s"' "$(basename "$file" | tr % :)" "$(sed 's/"/\\"/g' "$file")"
        done
        echo '}';;
      *"tag set"*) printf %s "$value" > "$here/$stack.tags/$(echo "$name" | tr : %)";;
      *"tag rm"*) rm -f "$here/$stack.tags/$(echo "$name" | tr : %)";;
    esac;;
  cancel*) rm -f "$here/$stack.lock";;
  preview*)
    [ -z "$file" ] || echo "the engine's plan of $stack" > "$file"
    [ -z "$json" ] || cat "$here/$stack.preview.$(at)" 2>/dev/null || echo '{"steps": []}';;
  up*|destroy*)
    if [ -f "$here/$stack.lock" ]; then
      echo "error: the stack is currently locked by 1 lock(s). Either wait for the other process(es) to end or delete"
      echo "  file:///x/$stack.json: created by $(cat "$here/$stack.lock") at 2026-11-30T08:00:00Z"; exit 255
    fi
    echo "root@$(uname -n) (pid $$)" > "$here/$stack.lock"
    if [ -f "$here/$stack.kills" ]; then
      rm "$here/$stack.kills"
      [ "$(cat "$here/$stack.killed" 2>/dev/null)" ] || cp "$here/$stack.export.half" "$here/$stack.export"
      kill -9 "$PPID"; exit 1
    fi
    rm "$here/$stack.lock"
    if [ "$stack" != prod-mesh ] && ! cmp -s "$here/prod-mesh.export" "$here/prod-mesh.export.$(at)"; then
      echo "error: it would read a mesh of another commit"; exit 255
    fi
    if [ -f "$here/$stack.fails" ]; then
      cp "$here/$stack.export.failed" "$here/$stack.export"; echo "error: the host said no"; exit 255
    fi
    case "$verb" in
      up*) cp "$here/$stack.export.$(at)" "$here/$stack.export";;
      *) echo '{"version": 3, "deployment": {}}' > "$here/$stack.export";;
    esac
    echo "$(at) $stack" >> "$here/applied";;
esac
"""


class World(Deployed):
    """Four sites behind a mesh that gives each a peer more (or, without `mesh`, a port each), and a plan of that."""

    def __init__(self, root: Path, mesh: bool = True, rollout: dict[str, Any] | None = None) -> None:
        super().__init__(root, 4)
        (root / ".gitignore").write_text("bin\nbuild\n")
        self.rollout = {"canary": ["site0"], "waves": [1, "rest"], "parallel": 2, "soak": 0, **(rollout or {})}
        self._at("old")
        self.write()
        self.commit()
        self._keep("old")
        if mesh:
            self.sites["site0"]["endpoint"] = "198.51.100.1:51821"
        for number in range(4):
            self.own[f"site{number}"]["firewall"]["allow"].append({"protocol": "tcp", "port": 443})
        self._at("new")
        self.write(*self.own)
        self.file = root / "x.plan"
        self.plan_made = self.made()
        self.up()
        self._keep("new")
        for stack in STACKS:
            self._foresee(stack)
        self._restore("old")
        (self.bin / "pulumi").write_text(ENGINE)
        for stack in STACKS:
            self._half(stack)

    def _at(self, which: str) -> None:
        (self.root / "stacks/commit").write_text(which)

    def _keep(self, which: str) -> None:
        for stack in STACKS:
            shutil.copy(self.bin / f"{stack}.export", self.bin / f"{stack}.export.{which}")

    def _restore(self, which: str) -> None:
        for stack in STACKS:
            shutil.copy(self.bin / f"{stack}.export.{which}", self.bin / f"{stack}.export")

    def _foresee(self, stack: str) -> None:
        """What a preview of the new commit shows."""
        resources = json.loads((self.bin / f"{stack}.export.new").read_text())["deployment"]["resources"]
        steps = [{"op": "update", "urn": one["urn"], "newState": one} for one in resources]
        (self.bin / f"{stack}.preview.new").write_text(json.dumps({"steps": steps}))

    def _half(self, stack: str) -> None:
        """Cut off in the middle: the old resources, and an operation that is pending. Failed there: the new inputs."""
        state = json.loads((self.bin / f"{stack}.export.old").read_text())
        resource = state["deployment"]["resources"][-1]
        state["deployment"]["pending_operations"] = [{"resource": resource, "type": "updating"}]
        (self.bin / f"{stack}.export.half").write_text(json.dumps(state))
        state = json.loads((self.bin / f"{stack}.export.new").read_text())
        state["deployment"]["resources"][-1]["initErrors"] = ["the host said no"]
        (self.bin / f"{stack}.export.failed").write_text(json.dumps(state))

    # What is done to it

    def mark(self, stack: str, what: str) -> None:
        """`fails`, `kills`, `ill`, `unmeasured` or `away`, until `unmark`."""
        (self.bin / f"{stack}.{what}").write_text("")

    def unmark(self, stack: str, what: str) -> None:
        (self.bin / f"{stack}.{what}").unlink()

    def killed(self, order: str = "run", kill: str = "") -> int:
        """The exit code of a run in a process of its own that is killed, at that point of that step or by itself."""
        argv = [sys.executable, "-m", "tests.unit.pulumi_wgnode.operations.rollout_world", str(self.root), kill]
        done = subprocess.run(
            [*argv, *self._arguments(order)],
            cwd=ROOT,
            env=os.environ | {"PATH": f"{self.bin}:/usr/bin:/bin"},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        return done.returncode

    def run(self, order: str = "run", *arguments: str) -> Done:
        """In this process."""
        return CliRunner().invoke(main, [*self._arguments(order), *arguments])

    def _arguments(self, order: str) -> list[str]:
        return ["rollout", order, str(self.file), "-C", str(self.root), "--lock-timeout", "0", "--json"]

    # What it is like

    def at(self, which: str, stacks: Iterable[str] = STACKS) -> bool:
        return all(self.state_of(stack) == which for stack in stacks)

    def state_of(self, stack: str) -> str:
        now = (self.bin / f"{stack}.export").read_text()
        return next(
            (one for one in ("old", "new", "half") if now == (self.bin / f"{stack}.export.{one}").read_text()), "?"
        )

    @property
    def reads(self) -> Counter[str]:
        """How often each stack's state was read, or would have been by a gate."""
        return Counter((self.bin / "reads").read_text().split())

    @property
    def applied(self) -> list[str]:
        """ "new prod-mesh", in order."""
        file = self.bin / "applied"
        return file.read_text().splitlines() if file.exists() else []


def faked(root: Path, set: Callable[[object, str, Any], None] = setattr) -> None:
    """In this process: hosts that are there unless marked, and gates that pass unless marked."""
    bin = root / "bin"

    def connect(connection: Connection) -> None:
        number = int(connection.address.rsplit(".", 1)[1]) - 1
        if (bin / f"prod-site{number}.away").exists():
            raise HostUnreachable(f"host root@{connection.address}: no answer")

    def judge(folder: Path, names: list[str], soak: float, limits: Limits, *more: Any) -> Judged:
        with (bin / "reads").open("a") as file:  # of those whose states it was not given
            file.writelines(f"{name}\n" for name in names if not isinstance(more[-1].get(name), Expected))
        return Judged({name: gated(name) for name in names}, soak, limits)

    def gated(stack: str) -> Result:
        if (bin / f"{stack}.ill").exists():
            return Result(Verdict.FAIL, ("with cabin: no handshake yet",))
        if (bin / f"{stack}.unmeasured").exists():
            return Result(Verdict.UNMEASURED, ("its hostd does not answer",))
        return Result(Verdict.PASS)

    set(pool, "connect", connect)
    set(judging, "judge", judge)
    set(claiming, "SETTLED", 0.0)


def driven(root: str, kill: str, *arguments: str) -> None:
    """The process of a run that is killed."""
    faked(Path(root))
    when, _, number = kill.partition(":")
    left = itertools.count(int(number or 0), -1)

    def point(self: running.Run, point: str) -> None:
        if point == when and next(left) == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    running.Run.at = point  # type: ignore[method-assign]
    main(list(arguments))


if __name__ == "__main__":
    driven(*sys.argv[1:])
