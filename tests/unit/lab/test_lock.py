"""The lock of a lab, whose folder goes with the last lab of the machine."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from lab import state


def test_labs_that_come_and_go_at_once_do_not_lose_the_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(state, "REGISTRY", tmp_path / "registry")

    def come_and_go(name: str) -> None:
        for _ in range(1000):
            with state.locked(name, tmp_path, lambda: None):
                state.forget(name)

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(come_and_go, "abcd"))
    assert not state.REGISTRY.exists()
