"""One running lab for all lab tests of a session, under a name of its own, removed afterwards whatever happened."""

from __future__ import annotations

import os
import re
import secrets
import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from lab import cgroup, state
from lab.api import Lab

_PREFIX = "test"


def fresh_name() -> str:
    """A lab's name that tells the next session whose it was."""
    return f"{_PREFIX}-{os.getpid()}-{secrets.token_hex(3)}"


@pytest.fixture(scope="session")
def lab_name() -> str:
    return fresh_name()


@pytest.fixture(scope="session")
def own_name() -> str:
    """A name of its own for what is no lab but removed like one."""
    _remove_orphans()
    return fresh_name()


@pytest.fixture(scope="session")
def lab(lab_name: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """A running lab. Its hosts are shared: a test leaves them as it found them."""
    _remove_orphans()
    made = Lab(lab_name, tmp_path_factory.mktemp("lab") / lab_name, progress=print)
    try:
        made.up()
        yield made
    finally:
        made.down()


@pytest.fixture
def other_lab(tmp_path: Path) -> Iterator[Lab]:
    """A lab that is not up yet, for tests that break one."""
    made = Lab(fresh_name(), tmp_path / "lab", progress=print)
    try:
        yield made
    finally:
        made.down()


def _remove_orphans() -> None:
    """Labs and machines of test sessions that were killed."""
    for name in {*state.names(), *cgroup.labs()}:
        match = re.fullmatch(rf"{_PREFIX}-(\d+)-[0-9a-f]{{6}}", name)
        if match and not Path("/proc", match[1]).exists():
            directory = state.registered(name)
            with suppress(FileNotFoundError):  # another worker was quicker
                cgroup.end(cgroup.of_lab(name))
            Lab(name).down()
            if directory:
                shutil.rmtree(directory, ignore_errors=True)
