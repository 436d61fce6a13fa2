"""docs/architecture.md names files that exist, and every room of wgnode/."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "architecture.md").read_text()
NAMED = re.findall(r"`((?:wgnode|pulumi_wgnode|infra|fastpath|lab|stacks|tests)/[\w./]*)`", PAGE)


def test_all_that_is_named_exists() -> None:
    assert len(NAMED) > 40
    assert [name for name in NAMED if not (ROOT / name).exists()] == []


def test_every_room_has_its_line() -> None:
    rooms = {f"wgnode/{path.name}/" for path in (ROOT / "wgnode").iterdir() if (path / "__init__.py").exists()}
    assert rooms <= set(NAMED)


def test_two_screens() -> None:
    assert len(PAGE.splitlines()) <= 100
