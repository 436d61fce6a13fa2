"""A pytest plugin: of tests that are many and slow, a run tries a sample that another commit's run draws anew.

The seed is the commit's id, so CI comes round to everything in time; it is printed at the end, and
`WGNODE_SAMPLE=SEED` draws the same sample again. `WGNODE_SAMPLE=all` (`make test-long`) leaves nothing out.
"""

from __future__ import annotations

import os
import random
import subprocess
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

import pytest

from tools import ROOT

VARIABLE = "WGNODE_SAMPLE"
ALL = "all"
FILES_IN_TURN = {"trouble": 1, "hosts": 4}
"""How many of the files marked `in_turn(KIND)` a run takes. Trouble: deployed sites are brought into it. Hosts: of one
kind after the other, each without a site."""
T = TypeVar("T")


def seed() -> str:
    """What was asked for, else the commit that is checked out; without either always the same."""
    return os.environ.get(VARIABLE) or _commit() or "no commit"


def everything() -> bool:
    return seed() == ALL


def choose(items: Sequence[T], count: int, purpose: str) -> list[T]:
    """`count` of the items, in their order; all of them where everything is asked for, or where there are fewer.

    `purpose` is a name of the caller's own, so that two samples of one seed are not alike.
    """
    if everything() or len(items) <= count:
        return list(items)
    chosen = sorted(random.Random(f"{seed()} {purpose}").sample(range(len(items)), count))
    return [items[each] for each in chosen]


def _of_files_not_in_turn(items: Sequence[pytest.Item]) -> set[pytest.Item]:
    kinds = {item: mark.args[0] for item in items if (mark := item.get_closest_marker("in_turn"))}
    chosen: set[Path] = set()
    for kind, count in FILES_IN_TURN.items():
        paths = sorted({item.path for item, of in kinds.items() if of == kind})
        chosen |= set(choose(paths, count, f"{kind} in turn"))
    return {item for item in kinds if item.path not in chosen}


def _commit() -> str:
    """Its abbreviated id. Root may run this in a clone of somebody else's."""
    argv = ["git", "-c", "safe.directory=*", "rev-parse", "--short=12", "HEAD"]
    try:
        done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return ""
    return done.stdout.strip()


class Sampled:
    """Keeps `n` (0: none) of the parameters of a test marked `@pytest.mark.sampled(n)`, and tells the seed at the end.

    Marked `sampled(n, of="a name")`, tests of a file with the same name are one family, of which n are tried.
    A test that draws by itself (`choose`) is marked without a number, so that `make test-long` finds it.
    Of the files marked `in_turn(KIND)` a run takes FILES_IN_TURN of that kind, and of those what their other marks say.
    """

    def __init__(self) -> None:
        self.seed = os.environ[VARIABLE] = seed()  # for workers, which must all draw the same

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        left_out = _of_files_not_in_turn(items)
        families: dict[tuple[str, int], list[pytest.Item]] = defaultdict(list)
        for item in items:
            if (mark := item.get_closest_marker("sampled")) and mark.args:
                test, of = item.nodeid.partition("[")[0], mark.kwargs.get("of")
                family = f"{test.partition('::')[0]} {of}" if of else test
                families[family, int(mark.args[0])].append(item)
        for (name, count), family in families.items():
            left_out |= set(family) - set(choose(family, count, name))
        if left_out:
            items[:] = [item for item in items if item not in left_out]
            config.hook.pytest_deselected(items=sorted(left_out, key=lambda item: item.nodeid))

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        said = (
            "nothing left out" if self.seed == ALL else f"the same again: {VARIABLE}={self.seed}; all: make test-long"
        )
        terminalreporter.write_line(f"sample of exhaustive tests: seed {self.seed} ({said})")
