"""What is said where memory may not be locked; that it is locked where it may be, a lab test shows."""

from __future__ import annotations

import resource

import pytest

from wgnode.platform.linux import process


def test_a_limit_is_said_and_nothing_is_locked(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object) -> None:
        raise ValueError("not allowed to raise maximum limit")

    monkeypatch.setattr(resource, "setrlimit", refused)
    monkeypatch.setattr(resource, "getrlimit", lambda _: (8 << 20, 8 << 20))
    monkeypatch.setattr(process, "_may_lock_without_limit", lambda: False)
    monkeypatch.setattr(process.ctypes, "CDLL", lambda *_, **__: pytest.fail("locked under a limit"))
    said = process.lock_memory()
    assert said is not None
    assert "only 8388608 bytes" in said
    assert "CAP_IPC_LOCK" in said
