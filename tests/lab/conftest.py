"""One running lab for all lab tests of a session, under a name of its own, removed afterwards whatever happened."""

from __future__ import annotations

import ctypes
import os
import re
import secrets
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar

import pytest

from lab import cgroup, state
from lab.api import Lab
from lab.deployment import Deployment
from tests.lab.environment import Shared

_PREFIX = "test"
CLONE_NEWNET = 0x40000000
T = TypeVar("T")


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


@pytest.fixture(scope="session")
def transcript() -> list[str]:
    """What the first `up` of each stack said."""
    return []


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory, transcript: list[str]) -> Iterator[Shared]:
    """A lab of their own for all tests of a worker that need the demo environment deployed, and no more than that."""
    _remove_orphans()
    name = fresh_name()
    made = Lab(name, tmp_path_factory.mktemp("deployed") / name, progress=print)
    try:
        made.up()
        yield Shared(made, transcript)
    finally:
        made.down()


@pytest.fixture(scope="module")
def deployed(shared: Shared) -> Deployment:
    """The demo environment, for each file as it was at first; every test leaves it working.

    A file that uses it has a fixture `lab` that is `deployed.lab`.
    """
    return shared.restored()


@pytest.fixture(scope="session")
def in_runner(lab: Lab) -> Iterator[Callable[[Callable[[], T]], T]]:
    with calls_in_runner(lab) as run:
        yield run


@contextmanager
def calls_in_runner(lab: Lab) -> Iterator[Callable[[Callable[[], T]], T]]:
    """Calls run in a thread that lives in the runner's network namespace, where Pulumi would run."""

    def enter() -> None:
        file = os.open(f"/run/netns/{lab.namespace('runner')}", os.O_RDONLY)
        try:
            if ctypes.CDLL(None, use_errno=True).setns(file, CLONE_NEWNET) != 0:
                raise OSError(ctypes.get_errno(), "setns")
        finally:
            os.close(file)

    with ThreadPoolExecutor(1, initializer=enter) as thread:
        yield lambda call: thread.submit(call).result()


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
