"""Published vectors: a clone without them skips these tests and says so (the root conftest's `vectors`)."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(scope="session")
def load(vectors: Path) -> Callable[[str], Any]:
    """`load("kdf")` gives the parsed kdf.json."""

    def parse(name: str) -> Any:
        return json.loads((vectors / f"{name}.json").read_text())

    return parse
