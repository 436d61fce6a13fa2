from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.hostd.fakes import FakeGuest
from wgnode.io.loop import Loop


@pytest.fixture
def loop() -> Iterator[Loop]:
    made = Loop()
    yield made
    made.close()


@pytest.fixture
def guest(tmp_path: Path) -> Iterator[FakeGuest]:
    made = FakeGuest(tmp_path)
    yield made
    made.close()
