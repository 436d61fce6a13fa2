"""Which tests a worker gets at once: those of a file of lab tests stay together, so that what they share is made once.

By a scheduler of our own and not by marks for `--dist loadgroup`, which pytest-xdist 3.8 silently passes over with
pytest 9.2 (https://github.com/pytest-dev/pytest-xdist/issues/1386).
"""

from __future__ import annotations

from xdist.scheduler import LoadScopeScheduling

LAB = "tests/lab/"


class FilesTogether(LoadScopeScheduling):  # type: ignore[misc]
    """In the order in which they were collected (with `--no-loadscope-reorder`)."""

    def _split_scope(self, nodeid: str) -> str:
        return nodeid.partition("::")[0] if nodeid.startswith(LAB) else nodeid
