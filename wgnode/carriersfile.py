"""The table of carriers that comes with wgnode."""

from __future__ import annotations

from pathlib import Path

from wgnode import pathmtu
from wgnode.pathmtu.carriers import Carriers, parse

FILE = Path(pathmtu.__file__).with_name("carriers.toml")


def shipped() -> Carriers:
    """Raises CarrierError for a file that somebody has changed wrongly."""
    return parse(FILE.read_text(encoding="utf-8"), FILE.name)
