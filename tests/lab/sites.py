"""The lab's hosts as fixtures for tests of the resources on them: each leaves its host as it was found."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from lab.api import Lab

from .host_site import Site

__all__ = ["Site", "berlin", "cabin", "site", "until"]


@pytest.fixture(params=["berlin", "cabin"])
def site(request: pytest.FixtureRequest, lab: Lab, in_runner: Any) -> Iterator[Site]:
    made = Site(lab, request.param, in_runner)
    yield made
    made.clean()


@pytest.fixture
def berlin(lab: Lab, in_runner: Any) -> Iterator[Site]:
    made = Site(lab, "berlin", in_runner)
    yield made
    made.clean()


@pytest.fixture
def cabin(lab: Lab, in_runner: Any) -> Iterator[Site]:
    made = Site(lab, "cabin", in_runner)
    yield made
    made.clean()


def until(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.3)
